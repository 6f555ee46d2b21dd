//! How a job ends that starts nothing: by what it prints, or by a stop signal.
//!
//! Owns both; must never say what the exit of an undisturbed job is.

use crate::core::exit::{Exit, Failure};
use crate::core::signal::Signal;
use crate::io::signals::StopSignals;
use crate::io::stdout;

/// The end of a job that a stop signal has ended. No failure: the termination message is the
/// application's, in whose container this job may have been started by hand or as a hook.
pub(super) fn stopped(signal: Signal, doing: &str) -> Exit {
    tracing::warn!(event = "stopped", signal = signal.number(), "ended by {signal} while {doing}");
    Exit::Signal(signal)
}

/// Prints what a job has found, which is `exit`.
pub(super) fn print(text: &str, exit: Exit, mut stop: StopSignals) -> Result<Exit, Failure> {
    let signal = stdout::print(text, &mut stop)?;
    Ok(signal.map_or(exit, |signal| stopped(signal, "printing")))
}
