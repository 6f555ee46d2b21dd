//! The last moment before the application starts.
//!
//! Owns what exec'ing and supervising share there; must never start anything itself.

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
