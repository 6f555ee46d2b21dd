//! What one look at a readiness endpoint saw: an answer comes in, an [`Observation`] goes out.
//!
//! Owns the meaning of statuses and bodies there; must never ask anybody.

use std::fmt;

use serde::Deserialize;

use crate::core::answer::{Answer, Fault, printable};
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
        /// The first line of the body: `PRE_INITIALIZING`, `INITIALIZING`, `DRAINING`; may be
        /// empty.
        word: String,
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
            Self::NotReady { status, word } if word.is_empty() => write!(f, "{status}"),
            Self::NotReady { status, word } => write!(f, "{status} {word}"),
            Self::Locked => f.write_str("403, this path is locked (allow_paths?)"),
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

/// What `answer` says about readiness, given what the endpoint should say.
#[must_use]
pub fn decode(expect: Expect, answer: Result<Answer, Fault>) -> Observation {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return Observation::Failed(fault),
    };
    let foreign = |server| Observation::Foreign { status: answer.status, server };
    match answer.status {
        200 => match expect {
            Expect::Ok => Observation::Ready,
            Expect::EnvoyReady if answer.body.trim_ascii() == b"LIVE" => Observation::Ready,
            Expect::EnvoyReady => foreign(answer.server),
            Expect::ServerInfo => state_of(&answer.body),
        },
        403 => Observation::Locked,
        status @ 500..=599 => Observation::NotReady { status, word: first_words(&answer.body) },
        _ => foreign(answer.server),
    }
}

/// `server_info`'s `state`; everything else in its 100 KB and more is skipped.
fn state_of(body: &[u8]) -> Observation {
    #[derive(Deserialize)]
    struct ServerInfo {
        state: String,
    }
    match serde_json::from_slice::<ServerInfo>(body) {
        Ok(info) if info.state == "LIVE" => Observation::Ready,
        Ok(info) => Observation::NotReady { status: 200, word: first_words(info.state.as_bytes()) },
        Err(error) => Observation::Failed(Fault::Broken(format!(
            "the body is not Envoy's server_info: {error}"
        ))),
    }
}

/// The first line of a body as far as it can stand in a log line.
fn first_words(body: &[u8]) -> String {
    printable(body, 60)
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
        Observation::NotReady { status, word: word.to_owned() }
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
        for expect in [Expect::Ok, Expect::EnvoyReady, Expect::ServerInfo] {
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
        let body = r#"{"version":"x","state":"LIVE","node":{"extensions":[{"name":"a"}]}}"#;
        assert_eq!(decode(Expect::ServerInfo, answer(200, body)), Observation::Ready);
        let body = r#"{"state":"PRE_INITIALIZING"}"#;
        assert_eq!(
            decode(Expect::ServerInfo, answer(200, body)),
            not_ready(200, "PRE_INITIALIZING")
        );
        for body in ["", "{", "[]", r#"{"state":7}"#, r#"{"state":"LIVE""#] {
            let seen = decode(Expect::ServerInfo, answer(200, body));
            assert!(matches!(seen, Observation::Failed(Fault::Broken(_))), "{body}");
        }
    }

    #[test]
    fn a_body_cannot_forge_a_log_line() {
        let seen = decode(Expect::Ok, answer(503, "a\x1b[31mb\u{7f}\nsecond line"));
        assert_eq!(seen, not_ready(503, "a [31mb"));
        let long = decode(Expect::Ok, answer(503, &"x".repeat(5_000)));
        assert_eq!(long, not_ready(503, &"x".repeat(60)));
    }
}
