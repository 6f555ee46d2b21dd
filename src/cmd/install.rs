//! `meshim install DIR`: hands this binary to an image that does not have it.
//!
//! Owns the line that says so; the steps are `io::install`'s. Must never decide where the copy
//! goes.

use crate::config::Install;
use crate::core::exit::{Exit, Failure};
use crate::io::install;

/// Puts the copy there and says where.
///
/// # Errors
/// The directory cannot be used, or writing fails; an older copy is then still there.
pub fn install(settings: &Install) -> Result<Exit, Failure> {
    let target = install::install(&settings.directory)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    tracing::info!(event = "installed", "installed as {}", target.display());
    Ok(Exit::Yes)
}
