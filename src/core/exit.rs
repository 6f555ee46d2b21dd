//! How a run of meshim ends: as an [`Exit`] everywhere, as a number only in `main`.
//!
//! Owns the table of exit codes; must never end the process itself.

use crate::core::signal::Signal;

/// How meshim ends. The numbers follow the shell's and coreutils' `timeout`'s conventions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// `wait`, `check`, `probe`, `drain`, `quit`: yes (0).
    Yes,
    /// `wait`, `check`, `probe`, `drain`, `quit`: no (1).
    No,
    /// The application's own exit code (0-255).
    App(u8),
    /// The application, or the wait, was ended by a signal (128 + its number).
    Signal(Signal),
    /// The proxy was not ready in time (124, as `timeout`).
    NotReady,
    /// meshim itself failed: usage, settings, a finding under `--check enforce` (125).
    Failed,
    /// The command was found and cannot be executed (126, as the shell).
    CannotExecute,
    /// The command was not found (127, as the shell).
    NotFound,
}

impl Exit {
    /// The number that `main` hands to the kernel, 0-255.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Yes => 0,
            Self::No => 1,
            Self::App(code) => code,
            Self::Signal(signal) => 128 + signal.number(),
            Self::NotReady => 124,
            Self::Failed => 125,
            Self::CannotExecute => 126,
            Self::NotFound => 127,
        }
    }
}

/// Why meshim ends without having done its job: one sentence for a tired operator, and the exit it
/// means.
///
/// The same sentence goes to stderr and into the termination log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What failed, on what, and what to do.
    pub sentence: String,
    /// The `event` of the line that tells it (docs/logs.md).
    pub event: &'static str,
}

const TIMED_OUT: &str = "timed_out";

impl Failure {
    /// A failure that ends as `exit` and says `sentence`.
    pub fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        let event = match exit {
            Exit::NotReady => TIMED_OUT,
            Exit::Signal(_) => "stopped",
            Exit::CannotExecute | Exit::NotFound => "not_started",
            Exit::Yes | Exit::No | Exit::App(_) | Exit::Failed => "failed",
        };
        Self { exit, sentence: sentence.into(), event }
    }

    /// The proxy was not ready in time, however that is to end.
    pub fn timed_out(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { event: TIMED_OUT, ..Self::new(exit, sentence) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_has_the_number_of_the_contract() {
        let table = [
            (Exit::Yes, 0),
            (Exit::No, 1),
            (Exit::App(77), 77),
            (Exit::Signal(Signal::TERM), 143),
            (Exit::Signal(Signal::MAX), 192),
            (Exit::NotReady, 124),
            (Exit::Failed, 125),
            (Exit::CannotExecute, 126),
            (Exit::NotFound, 127),
        ];
        for (exit, code) in table {
            assert_eq!(exit.code(), code, "{exit:?}");
        }
    }
}
