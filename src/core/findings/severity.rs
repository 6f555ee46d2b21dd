//! How bad a finding is.
//!
//! Owns the three degrees and their names; must never judge.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is broken.
    Info,
    /// May break something, or could not be judged.
    Warning,
    /// Breaks the application in this mesh.
    Error,
}

impl Severity {
    /// As findings say it, in text and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}
