//! What one look at a readiness endpoint saw: an answer comes in, an [`Observation`] goes out.
//!
//! Owns the meaning of statuses and bodies there; must never ask anybody.

use std::fmt;

use crate::core::answer::{Answer, Fault};
use crate::core::envoy::server_info::ServerInfo;
use crate::core::envoy::state::State;
use crate::core::envoy::unread::Unread;
use crate::core::mesh::Expect;

/// What one look saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The endpoint says ready.
    Ready,
    /// The endpoint speaks, and says not yet.
    NotReady {
        /// Mostly 503.
        status: u16,
        /// The first line of the body.
        state: State,
    },
    /// 403: alive, but this path is not allowed (Envoy 1.37 or later with `allow_paths`).
    Locked,
    /// An answer that this endpoint of this proxy cannot give: somebody else's server, or a wrong
    /// path.
    Foreign {
        /// What it answered.
        status: u16,
        /// What it calls itself.
        server: Option<String>,
    },
    /// No answer at all.
    Failed(Fault),
}

impl Observation {
    /// Does the endpoint do its job, whatever it says?
    #[must_use]
    pub const fn speaks(&self) -> bool {
        matches!(self, Self::Ready | Self::NotReady { .. })
    }

    /// Does it show that a proxy is there at all? Somebody else's server does not.
    #[must_use]
    pub const fn shows_a_proxy(&self) -> bool {
        matches!(
            self,
            Self::Ready
                | Self::NotReady { .. }
                | Self::Locked
                | Self::Failed(Fault::Silent | Fault::Broken(_))
        )
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::NotReady { status, state } if state.is_silent() => write!(f, "{status}"),
            Self::NotReady { status, state } => write!(f, "{status} {state}"),
            Self::Locked => Unread::Locked.fmt(f),
            Self::Foreign { status, server: Some(server) } => {
                write!(f, "{status} from a server that calls itself `{server}`")
            }
            Self::Foreign { status, server: None } => {
                write!(f, "{status} from a server that is not the proxy")
            }
            Self::Failed(fault) => fault.fmt(f),
        }
    }
}

/// What `answer` says about readiness, given what the endpoint should say. `/server_info` is too
/// long for a look: see [`of_server_info`].
#[must_use]
pub fn decode(expect: Expect, answer: Result<Answer, Fault>) -> Observation {
    let Answer { status, server, body } = match answer {
        Ok(answer) => answer,
        Err(fault) => return Observation::Failed(fault),
    };
    match status {
        200 if expect == Expect::Ok || State::of(&body) == State::Live => Observation::Ready,
        403 => Observation::Locked,
        500..=599 => Observation::NotReady { status, state: State::of(&body) },
        _ => Observation::Foreign { status, server },
    }
}

/// What `/server_info` says about readiness.
#[must_use]
pub fn of_server_info(read: Result<ServerInfo, Unread>) -> Observation {
    let foreign = |status| Observation::Foreign { status, server: None };
    let silent = || State::Other(String::new());
    match read {
        Ok(ServerInfo { state: Some(State::Live), .. }) => Observation::Ready,
        Ok(ServerInfo { state, .. }) => {
            Observation::NotReady { status: 200, state: state.unwrap_or_else(silent) }
        }
        Err(Unread::Locked) => Observation::Locked,
        Err(Unread::Missing) => foreign(404),
        Err(Unread::Status(status @ 500..=599)) => {
            Observation::NotReady { status, state: silent() }
        }
        Err(Unread::Status(status)) => foreign(status),
        Err(Unread::Gone) => Observation::Failed(Fault::Refused),
        Err(Unread::Silent) => Observation::Failed(Fault::Silent),
        Err(Unread::Unreachable(why)) => Observation::Failed(Fault::Unreachable(why)),
        Err(Unread::Garbage(why)) => Observation::Failed(Fault::Broken(why)),
        Err(unread @ Unread::TooLarge(_)) => Observation::Failed(Fault::Broken(unread.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, server: Some("envoy".to_owned()), body: body.as_bytes().to_vec() }
    }

    fn decode(expect: Expect, answer: Answer) -> Observation {
        super::decode(expect, Ok(answer))
    }

    fn not_ready(status: u16, word: &str) -> Observation {
        Observation::NotReady { status, state: State::of(word.as_bytes()) }
    }

    #[test]
    fn envoys_ready_is_read_by_status_and_word() {
        assert_eq!(decode(Expect::EnvoyReady, answer(200, "LIVE\n")), Observation::Ready);
        for word in ["PRE_INITIALIZING", "INITIALIZING", "DRAINING"] {
            let seen = decode(Expect::EnvoyReady, answer(503, &format!("{word}\n")));
            assert_eq!(seen, not_ready(503, word));
            assert_eq!(seen.to_string(), format!("503 {word}"));
        }
    }

    #[test]
    fn a_200_that_does_not_say_live_is_somebody_elses() {
        let seen = decode(Expect::EnvoyReady, answer(200, "<html>hello</html>"));
        assert!(matches!(seen, Observation::Foreign { status: 200, .. }));
        assert!(!seen.shows_a_proxy());
        assert_eq!(decode(Expect::Ok, answer(200, "<html>")), Observation::Ready);
    }

    #[test]
    fn other_statuses_are_told_apart() {
        for expect in [Expect::Ok, Expect::EnvoyReady] {
            assert_eq!(decode(expect, answer(403, "Forbidden")), Observation::Locked);
            assert_eq!(decode(expect, answer(503, "")), not_ready(503, ""));
            for status in [204, 301, 302, 400, 404, 405, 426] {
                assert!(
                    matches!(decode(expect, answer(status, "")), Observation::Foreign { .. }),
                    "{status}"
                );
            }
        }
    }

    #[test]
    fn server_infos_state_decides() {
        let of = |state| of_server_info(Ok(ServerInfo { state, ..ServerInfo::default() }));
        assert_eq!(of(Some(State::Live)), Observation::Ready);
        assert_eq!(of(Some(State::PreInitializing)), not_ready(200, "PRE_INITIALIZING"));
        let unread = |unread| of_server_info(Err(unread));
        assert_eq!(unread(Unread::Locked), Observation::Locked);
        assert_eq!(unread(Unread::Gone), Observation::Failed(Fault::Refused));
        assert_eq!(unread(Unread::Status(503)), not_ready(503, ""));
        for status in [204, 301, 404] {
            let seen = unread(Unread::of_status(status).unwrap());
            assert!(matches!(seen, Observation::Foreign { .. }), "{status}");
        }
        let garbage = unread(Unread::Garbage("x".to_owned()));
        assert!(matches!(garbage, Observation::Failed(Fault::Broken(_))));
    }

    #[test]
    fn a_body_cannot_forge_a_log_line() {
        let seen = decode(Expect::Ok, answer(503, "a\x1b[31mb\u{7f}\nsecond line"));
        assert_eq!(seen, not_ready(503, "a [31mb"));
        let long = decode(Expect::Ok, answer(503, &"x".repeat(5_000)));
        assert_eq!(long, not_ready(503, &"x".repeat(60)));
    }
}
