//! What is said about the settings although they can be used.
//!
//! Owns the type; what is noteworthy is `unknown`'s and `leftovers`'. Must never make a setting
//! fail.

/// One line about a setting that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A `MESHIM_*` that is no setting: probably a typing error.
    Unknown(String),
    /// A setting of another helper: probably forgotten.
    Leftover(String),
}
