//! What an answer means: bytes come in from `io::http`, an [`Observation`] goes out.
//!
//! Owns the meaning of statuses and bodies of the admin API and of readiness endpoints; must never ask anybody.

use std::fmt;

use serde::Deserialize;

/// What came back from one HTTP request, complete and within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status, 100-999.
    pub status: u16,
    /// The `server` header; Envoy's admin API says `envoy`.
    pub server: Option<String>,
    /// The body, de-chunked.
    pub body: Vec<u8>,
}

/// Why no complete answer came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody listens there (also: no such socket file).
    #[error("connection refused")]
    Refused,
    /// Connected, or connecting, and no complete answer by the look's deadline.
    #[error("no answer in time")]
    Silent,
    /// The socket cannot be reached for another reason: permission, no route.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// Bytes that are no HTTP/1.1, a connection closed too early, a body past its bound.
    #[error("no usable HTTP answer: {0}")]
    Broken(String),
}

/// What makes an answer mean "ready".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Status 200, whatever the body: Istio's 15021, Linkerd's 4191, Kuma's 9902, a user's own URL.
    Ok,
    /// Envoy's `/ready`: 200 with the body `LIVE` (envoy: `server_info_handler.cc`, `handlerReady`).
    EnvoyReady,
    /// Envoy's `/server_info`: 200 and `state` is `LIVE`. Costs the proxy 13 times what `/ready` does.
    ServerInfo,
}

/// What one look saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The endpoint says ready.
    Ready,
    /// The endpoint speaks, and says not yet.
    NotReady {
        /// Mostly 503.
        status: u16,
        /// The first line of the body: `PRE_INITIALIZING`, `INITIALIZING`, `DRAINING`; may be empty.
        word: String,
    },
    /// 403: alive, but this path is not allowed (Envoy 1.37 or later with `allow_paths`).
    Locked,
    /// An answer that this endpoint of this proxy cannot give: somebody else's server, or a wrong path.
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
            Self::Ready | Self::NotReady { .. } | Self::Locked | Self::Failed(Fault::Silent | Fault::Broken(_))
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
            Self::Foreign { status, server: None } => write!(f, "{status} from a server that is not the proxy"),
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
        Err(error) => Observation::Failed(Fault::Broken(format!("the body is not Envoy's server_info: {error}"))),
    }
}

/// What a server calls itself, as far as that can stand in a log line.
#[must_use]
pub fn server_name(header: &[u8]) -> String {
    printable(header, 40)
}

/// The first line of a body as far as it can stand in a log line.
fn first_words(body: &[u8]) -> String {
    printable(body, 60)
}

/// A first line without anything but printable ASCII, at most so many characters.
fn printable(body: &[u8], most: usize) -> String {
    let line = body.trim_ascii().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.iter().take(most);
    let mut text: String = line.map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' }).collect();
    text.truncate(text.trim_end().len());
    text
}

/// Names of what Envoy's listeners still wait for, from `/init_dump`; empty where the body is something else, and
/// while Envoy waits for the listeners or clusters themselves (envoy: `init_dump_handler.cc` asks listeners only).
#[must_use]
pub fn unready_targets(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct InitDump {
        #[serde(default)]
        unready_targets_dumps: Vec<Dump>,
    }
    #[derive(Deserialize)]
    struct Dump {
        #[serde(default)]
        target_names: Vec<String>,
    }
    let dumps = serde_json::from_slice(body).map_or_else(|_| Vec::new(), |dump: InitDump| dump.unready_targets_dumps);
    dumps.into_iter().flat_map(|dump| dump.target_names).map(|name| printable(name.as_bytes(), 120)).collect()
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
                assert!(matches!(decode(expect, answer(status, "")), Observation::Foreign { .. }), "{status}");
            }
        }
    }

    #[test]
    fn server_infos_state_decides() {
        let body = r#"{"version":"x","state":"LIVE","node":{"extensions":[{"name":"a"}]}}"#;
        assert_eq!(decode(Expect::ServerInfo, answer(200, body)), Observation::Ready);
        let body = r#"{"state":"PRE_INITIALIZING"}"#;
        assert_eq!(decode(Expect::ServerInfo, answer(200, body)), not_ready(200, "PRE_INITIALIZING"));
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

    #[test]
    fn init_dumps_targets_are_named() {
        let body = br#"{"unready_targets_dumps":[{"name":"init manager Server","target_names":["LDS","CDS"]},{}]}"#;
        assert_eq!(unready_targets(body), ["LDS", "CDS"]);
        assert!(unready_targets(b"nonsense").is_empty());
    }
}
