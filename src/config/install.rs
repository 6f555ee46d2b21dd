//! Where to copy this binary to: settings of `meshim install`.
//!
//! Owns the type; must never look at the directory: only writing to it shows whether it is of any
//! use.

use std::path::PathBuf;

use super::reader::{Reader, Wrong};
use crate::cli::InstallArgs;

/// Settings of `meshim install`.
#[derive(Debug)]
pub struct InstallSettings {
    /// An existing directory.
    pub directory: PathBuf,
}

impl Reader<'_> {
    /// Whether the directory is of any use only writing to it shows.
    pub(super) fn install(&mut self, args: &InstallArgs) -> Result<InstallSettings, Wrong> {
        let directory = self.positional_path("directory", &args.directory)?;
        Ok(InstallSettings { directory })
    }
}
