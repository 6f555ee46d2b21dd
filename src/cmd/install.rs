//! `meshim install DIR`: hands this binary to an image that does not have it.
//!
//! Owns the line that says so; the steps are `io::install`'s. Must never decide where the copy
//! goes.

use crate::config::InstallSettings;
use crate::core::exit::{Exit, Failure};
use crate::io::install::{self, NotInstalled};
use crate::io::signals::StopSignals;

/// Puts the copy there and says where.
///
/// # Errors
/// The directory cannot be used, writing fails, or a stop signal comes; an older copy is then still
/// there.
pub fn install(settings: &InstallSettings, mut stop: StopSignals) -> Result<Exit, Failure> {
    let target = install::install(&settings.directory, &mut stop).map_err(|error| {
        let exit = match error {
            NotInstalled::Stopped(signal) => Exit::Signal(signal),
            _ => Exit::Failed,
        };
        Failure::new(exit, error.to_string())
    })?;
    tracing::info!(event = "installed", "installed as {}", target.display());
    Ok(Exit::Yes)
}
