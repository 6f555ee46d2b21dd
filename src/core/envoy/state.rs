//! How far Envoy says that it is.
//!
//! Owns the one decoding of it, from `/ready` and `/server_info` alike; must never judge.

use std::fmt;

use crate::core::answer::printable;

/// How far the proxy is (envoy: `api/envoy/admin/v3/server_info.proto`, `State`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It has no clusters yet.
    PreInitializing,
    /// It waits for listeners, routes, certificates.
    Initializing,
    /// Its workers have started.
    Live,
    /// `/healthcheck/fail` was asked for; `drain_listeners` does not show here.
    Draining,
    /// Something else, fit for a log line; may be empty.
    Other(String),
}

impl State {
    /// The state that `text` names: a body of `/ready`, or `server_info`'s `state`.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        match text.trim_ascii() {
            b"PRE_INITIALIZING" => Self::PreInitializing,
            b"INITIALIZING" => Self::Initializing,
            b"LIVE" => Self::Live,
            b"DRAINING" => Self::Draining,
            other => Self::Other(printable(other, 60)),
        }
    }

    /// Did the proxy say nothing at all?
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        matches!(self, Self::Other(words) if words.is_empty())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreInitializing => "PRE_INITIALIZING",
            Self::Initializing => "INITIALIZING",
            Self::Live => "LIVE",
            Self::Draining => "DRAINING",
            Self::Other(words) => words,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_reads_back() {
        for word in ["PRE_INITIALIZING", "INITIALIZING", "LIVE", "DRAINING"] {
            let state = State::of(format!("{word}\n").as_bytes());
            assert!(!matches!(state, State::Other(_)), "{word}");
            assert_eq!(state.to_string(), word);
        }
        for (text, other) in [("", ""), ("live", "live"), ("a\nb", "a"), ("\x1b[1m", " [1m")] {
            assert_eq!(State::of(text.as_bytes()), State::Other(other.to_owned()));
        }
    }
}
