//! What one look at a readiness endpoint saw: an answer comes in, an [`Observation`] goes out.
//!
//! Owns the meaning of statuses and bodies there; must never ask anybody.

use std::fmt;

use crate::core::answer::{Answer, Fault};
use crate::core::envoy::server_info::ServerInfo;
use crate::core::envoy::state::State;
use crate::core::envoy::unread::Unread;
use crate::core::profile::{Expect, Means, Word};

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
    /// Does the endpoint tell the proxy's own state, whatever it is?
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

    /// Does nobody listen there?
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        matches!(self, Self::Failed(fault) if fault.is_nobody())
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

/// From a proxy that is certain, status and body are enough.
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
mod tests;
