//! Where to copy this binary to: settings of `meshim install`.
//!
//! Owns the type; must never look at the directory: only writing to it shows whether it is of any
//! use.

use std::path::PathBuf;

use crate::cli::InstallArgs;

/// Settings of `meshim install`.
#[derive(Debug)]
pub struct InstallSettings {
    /// An existing directory.
    pub directory: PathBuf,
}

impl InstallSettings {
    /// Whether the directory is of any use only writing to it shows.
    pub(super) fn of(args: &InstallArgs) -> Self {
        Self { directory: PathBuf::from(&args.directory) }
    }
}
