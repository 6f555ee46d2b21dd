//! What a judge came to.
//!
//! Owns that "nothing found" and "could not look" are two things; must never judge.

use crate::core::findings::finding::Finding;

/// What one judge found, and what it could not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and what that means for this judgement.
    pub not_seen: Vec<String>,
}

impl From<Vec<Finding>> for Judged {
    fn from(findings: Vec<Finding>) -> Self {
        Self { findings, not_seen: Vec::new() }
    }
}

impl Judged {
    /// It could not look at all.
    #[must_use]
    pub fn blind(why: String) -> Self {
        Self { findings: Vec::new(), not_seen: vec![why] }
    }
}
