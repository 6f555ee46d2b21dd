//! A finding: what the mesh would break, why, and what to do about it.
//!
//! Owns the type that every judge answers with; must never judge.

use std::fmt;

use crate::core::findings::codes::Code;
pub use crate::core::findings::severity::Severity;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable name for machines and for searching.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: String,
    /// What to do.
    pub remedy: String,
    /// Where the fact behind it comes from.
    pub source: &'static str,
}

impl Finding {
    /// How bad it is, as a word.
    #[must_use]
    pub fn severity_name(&self) -> &'static str {
        debug_assert!(
            self.code.severities().contains(&self.severity),
            "core/findings/codes.rs does not list {:?} for {}",
            self.severity,
            self.code
        );
        self.severity.name()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}; {} [{}]", self.seen, self.why, self.remedy, self.code)
    }
}
