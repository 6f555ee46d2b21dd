//! What one look at a readiness endpoint saw: an answer comes in, an [`Observation`] goes out.
//!
//! Owns the meaning of statuses and bodies there; must never ask anybody.

use std::fmt;

use crate::core::answer::{Answer, Fault};
use crate::core::envoy::server_info::ServerInfo;
use crate::core::envoy::state::State;
use crate::core::envoy::unread::Unread;
use crate::core::profiles::{Expect, Means, Word};

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
    /// The program that starts the proxy runs; that says nothing about the proxy.
    AgentRuns(State),
    /// A refusal that the proxy gives before it has its policies, and that others give, too.
    Withheld(u16),
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

/// What the mesh of an endpoint is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The user, the owner of a socket, or an earlier answer has told.
    Certain,
    /// Listening ports alone: only an answer that no other server gives counts.
    Guessed,
}

impl Observation {
    /// Does the endpoint give the proxy's own word, whatever it says?
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
                | Self::AgentRuns(_)
                | Self::Locked
                | Self::Failed(Fault::Silent | Fault::Broken(_))
        )
    }

    /// Could this proxy not have answered that?
    #[must_use]
    pub const fn refutes(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Failed(Fault::Broken(_)))
    }
}

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::NotReady { status, state } if state.is_silent() => write!(f, "{status}"),
            Self::NotReady { status, state } => write!(f, "{status} {state}"),
            Self::AgentRuns(state) => write!(f, "200 {state}, which the proxy's agent says"),
            Self::Withheld(status) => write!(f, "{status} without a body"),
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
pub fn decode(expect: Expect, trust: Trust, answer: Result<Answer, Fault>) -> Observation {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return Observation::Failed(fault),
    };
    match expect {
        Expect::Says(words) => of_words(words, trust, answer),
        Expect::Accepts => Observation::Ready,
        Expect::Healthy if (200..400).contains(&answer.status) => Observation::Ready,
        Expect::Healthy => not_ready(&answer),
        Expect::Ok | Expect::ServerInfo => match answer.status {
            200 => Observation::Ready,
            _ => of_status(answer),
        },
    }
}

/// Is this an answer that only the proxy of this endpoint gives?
#[must_use]
pub fn proves(expect: Expect, answer: &Answer) -> bool {
    let Expect::Says(words) = expect else { return false };
    words.iter().any(|word| word.means != Means::Withheld && is_said(word, Trust::Guessed, answer))
}

fn of_words(words: &[Word], trust: Trust, answer: Answer) -> Observation {
    let said = words.iter().find(|word| is_said(word, trust, &answer));
    match said.map(|word| word.means) {
        Some(Means::Ready) => Observation::Ready,
        Some(Means::NotReady) => not_ready(&answer),
        Some(Means::AgentRuns) => Observation::AgentRuns(State::of(&answer.body)),
        Some(Means::Withheld) => Observation::Withheld(answer.status),
        None if trust == Trust::Certain => of_status(answer),
        None => {
            let is_its = |word: &Word| word.server.is_some() && word.server == answer.server();
            match answer.status {
                403 if words.iter().any(is_its) => Observation::Locked,
                _ => foreign(answer),
            }
        }
    }
}

/// From a proxy that is certain, the word is enough.
fn is_said(word: &Word, trust: Trust, answer: &Answer) -> bool {
    word.status == answer.status
        && word.body.is_none_or(|body| body.as_bytes() == answer.body.trim_ascii())
        && (trust == Trust::Certain || word.server == answer.server())
}

fn of_status(answer: Answer) -> Observation {
    match answer.status {
        403 => Observation::Locked,
        500..=599 => not_ready(&answer),
        _ => foreign(answer),
    }
}

fn not_ready(answer: &Answer) -> Observation {
    Observation::NotReady { status: answer.status, state: State::of(&answer.body) }
}

fn foreign(Answer { status, server, .. }: Answer) -> Observation {
    Observation::Foreign { status, server }
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
    use crate::core::mesh::Mesh;
    use crate::core::profiles::ENVOYS_WORDS;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, server: Some("envoy".to_owned()), body: body.as_bytes().to_vec() }
    }

    const ENVOY: Expect = Expect::Says(ENVOYS_WORDS);

    fn decode(expect: Expect, answer: Answer) -> Observation {
        super::decode(expect, Trust::Certain, Ok(answer))
    }

    /// The profile's own expectation of the endpoint with this port.
    fn expected_at(mesh: Mesh, port: &str) -> Expect {
        let ready = mesh.profile().ready.iter().find(|ready| ready.url.contains(port));
        ready.unwrap().expect
    }

    fn not_ready(status: u16, word: &str) -> Observation {
        Observation::NotReady { status, state: State::of(word.as_bytes()) }
    }

    #[test]
    fn envoys_ready_is_read_by_status_and_word() {
        assert_eq!(decode(ENVOY, answer(200, "LIVE\n")), Observation::Ready);
        for word in ["PRE_INITIALIZING", "INITIALIZING", "DRAINING"] {
            let seen = decode(ENVOY, answer(503, &format!("{word}\n")));
            assert_eq!(seen, not_ready(503, word));
            assert_eq!(seen.to_string(), format!("503 {word}"));
        }
    }

    #[test]
    fn a_200_that_does_not_say_live_is_somebody_elses() {
        let seen = decode(ENVOY, answer(200, "<html>hello</html>"));
        assert!(matches!(seen, Observation::Foreign { status: 200, .. }));
        assert!(!seen.shows_a_proxy());
        assert_eq!(decode(Expect::Ok, answer(200, "<html>")), Observation::Ready);
    }

    fn from(server: Option<&str>, status: u16, body: &str) -> Answer {
        Answer { status, server: server.map(str::to_owned), body: body.as_bytes().to_vec() }
    }

    /// Answers of real proxies (linkerd2-proxy of 2026-08, kuma-dp 2.14.3).
    #[test]
    fn a_guess_is_proven_by_the_words_of_its_proxy_alone() {
        let (linkerd, istio) =
            (expected_at(Mesh::Linkerd, "4191"), expected_at(Mesh::Istio, "15021"));
        let kuma = expected_at(Mesh::Kuma, "9902");
        let table = [
            (linkerd, from(None, 200, "ready\n"), Observation::Ready),
            (linkerd, from(None, 503, "not ready\n"), not_ready(503, "not ready")),
            (istio, from(Some("envoy"), 200, ""), Observation::Ready),
            (istio, from(Some("envoy"), 503, ""), not_ready(503, "")),
            (kuma, from(Some("kuma-dp"), 503, "NOT_READY"), not_ready(503, "NOT_READY")),
            (
                kuma,
                from(Some("kuma-dp"), 200, "READY"),
                Observation::AgentRuns(State::of(b"READY")),
            ),
            (kuma, from(Some("kuma-dp"), 503, "TERMINATING"), not_ready(503, "TERMINATING")),
            (kuma, from(None, 503, "envoy not ready\n"), not_ready(503, "envoy not ready")),
            (kuma, from(Some("envoy"), 503, "INITIALIZING\n"), not_ready(503, "INITIALIZING")),
            (kuma, from(Some("envoy"), 200, "LIVE\n"), Observation::Ready),
            (ENVOY, answer(503, "PRE_INITIALIZING\n"), not_ready(503, "PRE_INITIALIZING")),
        ];
        for (expect, answer, seen) in table {
            assert!(proves(expect, &answer), "{answer:?}");
            assert_eq!(super::decode(expect, Trust::Guessed, Ok(answer)), seen);
        }
        // What others answer there.
        for expect in [linkerd, istio, kuma, ENVOY] {
            for (server, status, body) in [
                (None, 200, "OK"),
                (None, 200, ""),
                (Some("nginx"), 200, "LIVE"),
                (Some("gunicorn"), 200, "ready"),
                (Some("Express"), 200, "READY"),
                (None, 503, "starting"),
                (None, 403, "Forbidden"),
                (Some("nginx"), 404, ""),
            ] {
                let answer = from(server, status, body);
                assert!(!proves(expect, &answer), "{answer:?}");
                let seen = super::decode(expect, Trust::Guessed, Ok(answer));
                assert!(seen.refutes(), "{seen:?}");
            }
        }
    }

    #[test]
    fn what_linkerd_withholds_neither_proves_nor_refutes() {
        let linkerd = expected_at(Mesh::Linkerd, "4191");
        for status in [403, 404] {
            let answer = from(None, status, "");
            assert!(!proves(linkerd, &answer));
            let seen = super::decode(linkerd, Trust::Guessed, Ok(answer));
            assert_eq!(seen, Observation::Withheld(status));
            assert!(!seen.refutes() && !seen.speaks());
        }
    }

    #[test]
    fn what_else_is_waited_for_is_judged_as_a_probe() {
        for (status, is_ready) in
            [(200, true), (204, true), (302, true), (404, false), (503, false)]
        {
            let seen = decode(Expect::Healthy, from(None, status, ""));
            assert_eq!(seen == Observation::Ready, is_ready, "{status}");
        }
    }

    #[test]
    fn other_statuses_are_told_apart() {
        for expect in [Expect::Ok, ENVOY] {
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
