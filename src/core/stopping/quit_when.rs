//! When the proxy is asked to end (`--quit`), and on which occasion, which decides how.
//!
//! Owns the two; must never ask anybody.

use std::time::Duration;

use crate::core::exit::Exit;
use crate::core::signal::Signal;

/// How long the proxy's own end may be watched after a stop signal, where `--grace` does not say.
pub const WATCHING: Duration = Duration::from_secs(10);

/// When the proxy is asked to end, once the application has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuitWhen {
    /// Not at all.
    Never,
    /// However the run ends.
    Always,
    /// When the exit code is 0, or the application was ended by the stop signal that it got.
    OnSuccess,
    /// After a stop signal only.
    OnStop,
}

/// What the end of a run followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The application's own end: nobody else ends the proxy.
    Ended,
    /// A stop signal: Kubernetes ends the proxy, too, where it stops the whole pod.
    Stopped {
        /// Until when the proxy's own end may be watched: the rest of `--grace`.
        until: Duration,
    },
}

impl Occasion {
    /// What the end of a run followed that never started, counted from its end.
    #[must_use]
    pub fn unstarted(exit: Exit, grace: Option<Duration>) -> Self {
        match exit {
            Exit::Signal(_) => Self::Stopped { until: grace.unwrap_or(WATCHING) },
            _ => Self::Ended,
        }
    }
}

impl QuitWhen {
    /// Is the proxy to be asked after the application ended so? `stopped_by` are the stop signals
    /// that it got; `None` where no stop signal has come.
    #[must_use]
    pub fn applies(self, exit: Exit, stopped_by: Option<&[Signal]>) -> bool {
        // A JVM that is ended by SIGTERM exits with 143 by itself, as a shell says it.
        let as_asked = |signal: &Signal| exit.code() == Exit::Signal(*signal).code();
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::OnSuccess => {
                exit.code() == 0 || stopped_by.unwrap_or_default().iter().any(as_asked)
            }
            Self::OnStop => stopped_by.is_some(),
        }
    }

    /// Is it to be asked although the application never started?
    #[must_use]
    pub const fn applies_unstarted(self, exit: Exit) -> bool {
        match self {
            Self::Never | Self::OnSuccess => false,
            Self::Always => true,
            Self::OnStop => matches!(exit, Exit::Signal(_)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_means_what_it_says() {
        use QuitWhen::{Always, Never, OnStop, OnSuccess};
        let term: Option<&[Signal]> = Some(&[Signal::TERM]);
        let table = [
            (Exit::App(0), None, [false, true, true, false]),
            (Exit::App(3), None, [false, true, false, false]),
            // Nobody has asked it to stop: it was killed, or says so.
            (Exit::Signal(Signal::TERM), None, [false, true, false, false]),
            (Exit::App(0), term, [false, true, true, true]),
            (Exit::App(3), term, [false, true, false, true]),
            (Exit::Signal(Signal::TERM), term, [false, true, true, true]),
            (Exit::App(143), term, [false, true, true, true]),
            (Exit::Signal(Signal::KILL), term, [false, true, false, true]),
        ];
        for (exit, stopped_by, expected) in table {
            let asked = [Never, Always, OnSuccess, OnStop].map(|it| it.applies(exit, stopped_by));
            assert_eq!(asked, expected, "{exit:?} {stopped_by:?}");
        }
    }

    #[test]
    fn an_application_that_never_started_had_no_success() {
        use QuitWhen::{Always, Never, OnStop, OnSuccess};
        for (exit, expected) in [
            (Exit::NotFound, [false, true, false, false]),
            (Exit::NotReady, [false, true, false, false]),
            (Exit::Signal(Signal::TERM), [false, true, false, true]),
        ] {
            let asked = [Never, Always, OnSuccess, OnStop].map(|it| it.applies_unstarted(exit));
            assert_eq!(asked, expected, "{exit:?}");
        }
    }
}
