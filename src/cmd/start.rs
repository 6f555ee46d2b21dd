//! The last moment before the application starts, and the errors of its start.
//!
//! Owns what exec'ing and supervising share there; must never start anything itself.

use crate::core::exit::{Exit, Failure};
use crate::io::process::NotStarted;
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

/// fork's or exec's error as our end.
pub(super) fn not_started(error: &NotStarted) -> Failure {
    let exit = match error {
        NotStarted::Gone(..) => Exit::NotFound,
        NotStarted::NotExecutable(..) => Exit::CannotExecute,
        NotStarted::Processes(..) | NotStarted::Descriptors(..) | NotStarted::Memory(..) => {
            Exit::Failed
        }
    };
    Failure::new(exit, error.to_string())
}
