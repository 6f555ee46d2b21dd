//! The last moment before the application starts, and the errors of its start.
//!
//! Owns what exec'ing and supervising share there; must never start anything itself.

use std::path::Path;

use crate::core::exit::{Exit, Failure};
use crate::io::signals::StopSignals;

/// The last look before the application starts.
pub(super) fn stopped_before_start(stop: &mut StopSignals) -> Result<(), Failure> {
    stop.arrived().map_or(Ok(()), |signal| {
        Err(Failure::new(
            Exit::Signal(signal),
            format!("ended by {signal} before the application started"),
        ))
    })
}

/// fork's or exec's error as what the user should do.
pub(super) fn not_started(path: &Path, error: &std::io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, format!("the command {path} cannot be executed: {error}"))
        }
        std::io::ErrorKind::WouldBlock => Failure::new(
            Exit::Failed,
            format!(
                "the command {path} cannot be started: the limit of processes is reached \
                 ({error}); raise the pod's \
                 pids limit, or this user's RLIMIT_NPROC"
            ),
        ),
        std::io::ErrorKind::OutOfMemory => Failure::new(
            Exit::Failed,
            format!(
                "the command {path} cannot be started: {error}; raise the container's memory limit"
            ),
        ),
        _ => Failure::new(
            Exit::CannotExecute,
            format!("the command {path} cannot be executed: {error}"),
        ),
    }
}
