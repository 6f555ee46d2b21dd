//! A proxy that is not ready: all that is known about it.
//!
//! Owns what may be asked about it; must never say what the cause is.

use crate::core::endpoint::{Address, Endpoint};
use crate::core::envoy::state::State;
use crate::core::mesh::Mesh;
use crate::core::profile::Ready;
use crate::core::waiting::observation::Observation;

/// An endpoint and what was last seen there.
pub type SeenAt<'a> = (&'a Ready<Endpoint>, &'a Observation);

/// What else is known when the wait is over.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    /// Envoy's own init targets, where it could be asked.
    pub unready: Vec<String>,
    /// What the control plane sent and Envoy refused.
    pub rejected: Vec<String>,
}

/// The program that starts the proxy, by the port that it listens on as soon as it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentSeen {
    /// It was never seen.
    #[default]
    Never,
    /// It was, and is gone.
    Before,
    /// It listens.
    Now,
}

impl AgentSeen {
    /// The same after another look.
    #[must_use]
    pub const fn after(self, listens: bool) -> Self {
        match (self, listens) {
            (_, true) => Self::Now,
            (Self::Never, false) => Self::Never,
            (Self::Before | Self::Now, false) => Self::Before,
        }
    }
}

/// A proxy that is not ready, and all that is known about it.
#[derive(Debug)]
pub struct NotReady<'a> {
    /// Whose proxy it is.
    pub mesh: Mesh,
    /// What was last seen, and where.
    pub seen: Vec<SeenAt<'a>>,
    /// How often it was looked at.
    pub looks: u32,
    /// Did anything ever answer?
    pub was_there: bool,
    /// The program that starts it.
    pub agent: AgentSeen,
    /// Another mesh, whose proxy's ports are listened on in this pod.
    pub other_mesh: Option<Mesh>,
    /// What was found out at the end.
    pub hints: &'a Hints,
}

impl<'a> NotReady<'a> {
    /// What one look at each endpoint has seen, and nothing else.
    #[must_use]
    pub const fn of(mesh: Mesh, seen: Vec<SeenAt<'a>>, hints: &'a Hints) -> Self {
        let (agent, other_mesh) = (AgentSeen::Never, None);
        Self { mesh, seen, looks: 1, was_there: false, agent, other_mesh, hints }
    }

    pub(super) fn all(&self, is: impl Fn(&Observation) -> bool) -> bool {
        self.seen.iter().all(|(_, seen)| is(seen))
    }

    pub(super) fn any(&self, is: impl Fn(&Observation) -> bool) -> bool {
        self.seen.iter().any(|(_, seen)| is(seen))
    }

    pub(super) fn is_refused(&self) -> bool {
        self.all(Observation::is_nobody)
    }

    pub(super) fn state(&self) -> Option<&State> {
        self.seen.iter().find_map(|(_, seen)| match seen {
            Observation::NotReady { state, .. } if !state.is_silent() => Some(state),
            _ => None,
        })
    }

    pub(super) fn any_unix(&self) -> bool {
        self.seen.iter().any(|(at, _)| matches!(at.url.address, Address::Unix(_)))
    }
}
