//! Which proxy a wait is for: what the listening sockets show, what an answer refutes or proves.
//!
//! Owns the guess and how it changes; must never look at a socket or read a clock.

use std::time::Duration;

use crate::core::mesh::Mesh;
use crate::core::proxy::{Given, Proxy};
use crate::core::sockets::listener::Listener;
use crate::core::waiting::change::Change;
use crate::core::waiting::detection::{self, Detected, Sign, Strength};
use crate::core::waiting::not_ready::AgentSeen;
use crate::core::waiting::observation::{Observation, Trust};
use crate::core::waiting::readiness::Readiness;
use crate::core::waiting::watched::Place;

/// How often a guess is held against the listening sockets again, and how soon a server that was
/// found to be no proxy is asked again.
pub(super) const AGAIN: Duration = Duration::from_secs(1);

/// Which proxy the wait is for.
#[derive(Debug)]
pub(super) enum SearchPhase {
    /// Nobody has shown up yet.
    Searching,
    /// This one.
    Watching(Box<Watch>),
    /// There is none.
    Without,
}

/// How the mesh of a watched proxy is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// By `--mesh`.
    Named,
    /// Not at all: the user gave URLs, and no mesh has shown up yet.
    OnlyUrls,
    /// By this sign.
    Shown(Strength),
    /// By an answer that only this proxy gives.
    Proven,
}

/// The proxy that is watched.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) proxy: Proxy,
    pub(super) basis: Basis,
    pub(super) readiness: Readiness,
    /// Do ports of its mesh listen, as far as the last list of sockets tells?
    listens: bool,
    /// Has the user said where it is? Then an answer there says nothing about the mesh.
    is_vouched_for: bool,
}

impl Watch {
    fn new(proxy: Proxy, basis: Basis, given: &Given) -> Self {
        let readiness = Readiness::new(&proxy);
        let listens = matches!(basis, Basis::Shown(_));
        Self { proxy, basis, readiness, listens, is_vouched_for: given.has_urls() }
    }

    /// How an answer is read.
    pub(super) fn trust(&self) -> Trust {
        match self.basis {
            Basis::Shown(Strength::Lone | Strength::Ports) if !self.is_vouched_for => {
                Trust::Guessed
            }
            _ => Trust::Certain,
        }
    }

    /// Has it been looked at, and is nobody there?
    fn is_nobody(&self) -> bool {
        self.readiness.looks > 0 && !self.readiness.is_somebody_there && !self.listens
    }

    /// Has all that showed it gone, before an answer proved it?
    fn has_vanished(&self) -> bool {
        matches!(self.basis, Basis::Shown(_)) && !self.listens
    }

    /// Is `sign` a reason to wait for another proxy instead?
    fn yields_to(&self, sign: Sign) -> bool {
        sign.mesh != self.proxy.mesh
            && match self.basis {
                Basis::Named | Basis::Shown(Strength::Owner) => false,
                // Any Envoy gives the answers of a plain one.
                Basis::Proven => self.proxy.mesh == Mesh::Envoy,
                Basis::OnlyUrls | Basis::Shown(_) => true,
            }
    }

    /// What an answer has shown not to be this proxy.
    fn refutation(&self) -> Option<(String, Observation)> {
        let withheld = self.basis == Basis::Shown(Strength::Lone);
        let (ready, seen) = self.readiness.refutation(withheld)?;
        Some((ready.to_string(), seen.clone()))
    }
}

/// The search for the proxy.
#[derive(Debug)]
pub(super) struct Search {
    given: Given,
    pub(super) phase: SearchPhase,
    /// Guesses that an answer has refuted, and when.
    refuted: Vec<(Mesh, Observation, Duration)>,
    pub(super) agent: AgentSeen,
    /// A mesh other than the named one, whose ports listen.
    pub(super) other_mesh: Option<Mesh>,
}

impl Search {
    /// One that has seen nothing yet.
    pub(super) fn new(given: Given) -> Self {
        let phase = match given.mesh.map(|mesh| Proxy::at(mesh, &given)) {
            None => SearchPhase::Searching,
            Some(proxy) if proxy.ready.is_empty() => SearchPhase::Without,
            Some(proxy) => SearchPhase::Watching(Box::new(Watch::new(proxy, Basis::Named, &given))),
        };
        Self { given, phase, refuted: Vec::new(), agent: AgentSeen::Never, other_mesh: None }
    }

    /// Is the mesh left to detection?
    pub(super) const fn is_auto(&self) -> bool {
        self.given.mesh.is_none()
    }

    pub(super) const fn watch(&self) -> Option<&Watch> {
        match &self.phase {
            SearchPhase::Watching(watch) => Some(watch),
            SearchPhase::Searching | SearchPhase::Without => None,
        }
    }

    /// Has nobody shown up, as far as looks and lists of sockets tell?
    pub(super) fn is_nobody(&self) -> bool {
        match &self.phase {
            SearchPhase::Searching => true,
            SearchPhase::Watching(watch) => watch.is_nobody(),
            SearchPhase::Without => false,
        }
    }

    /// What was tried and is no proxy.
    pub(super) fn strangers(&self) -> impl Iterator<Item = (Mesh, &Observation)> {
        self.refuted.iter().map(|(mesh, seen, _)| (*mesh, seen))
    }

    /// Takes in who listens. `is_last_chance`: else the pod is taken for one without a mesh.
    pub(super) fn listed(
        &mut self,
        now: Duration,
        listening: &[Listener],
        is_last_chance: bool,
    ) -> Option<Change> {
        let refuted = self.refuted.iter().filter(|(.., at)| now < *at + AGAIN);
        let refuted: Vec<Mesh> = refuted.map(|(mesh, ..)| *mesh).collect();
        let mut change = None;
        if let SearchPhase::Watching(watch) = &mut self.phase {
            let sign = detection::sign_of(watch.proxy.mesh, listening);
            watch.listens = sign.is_some();
            if let Some(agent) = watch.proxy.mesh.profile().agent {
                let runs = listening.iter().any(|at| at.address.port() == agent.port);
                let is_news = self.agent.after(runs) != self.agent;
                change = is_news.then_some(Change::Agent(agent.name, runs));
                self.agent = self.agent.after(runs);
            }
            if watch.basis == Basis::Named {
                let named = watch.proxy.mesh;
                self.other_mesh = match detection::detect(listening, &[named]) {
                    Detected::Sidecar(sign) => Some(sign.mesh).filter(|other| *other != named),
                    Detected::Ambient | Detected::Nothing => None,
                };
                return change;
            }
            if let (Basis::Shown(_), Some(sign)) = (watch.basis, sign) {
                watch.basis = Basis::Shown(sign.strength);
            }
        }
        let detected = detection::detect(listening, &refuted);
        let suspect = || is_last_chance.then(|| detection::suspect(listening, &refuted)).flatten();
        match &self.phase {
            SearchPhase::Without => None,
            SearchPhase::Watching(watch) => match detected {
                Detected::Sidecar(sign) if watch.yields_to(sign) => Some(self.wait_for(sign)),
                _ if watch.has_vanished() => {
                    self.phase = SearchPhase::Searching;
                    Some(Change::Searching)
                }
                _ => change,
            },
            SearchPhase::Searching => match detected {
                Detected::Sidecar(sign) => Some(self.wait_for(sign)),
                Detected::Ambient => {
                    self.phase = SearchPhase::Without;
                    Some(Change::Ambient)
                }
                Detected::Nothing => match Proxy::of_urls(&self.given) {
                    Some(proxy) => Some(self.watch_now(proxy, Basis::OnlyUrls)),
                    None => suspect().map(|sign| self.wait_for(sign)),
                },
            },
        }
    }

    fn wait_for(&mut self, sign: Sign) -> Change {
        self.watch_now(Proxy::at(sign.mesh, &self.given), Basis::Shown(sign.strength))
    }

    fn watch_now(&mut self, proxy: Proxy, basis: Basis) -> Change {
        let first = proxy.ready.first().map(ToString::to_string).unwrap_or_default();
        let is_known = self.refuted.iter().any(|(mesh, ..)| *mesh == proxy.mesh);
        let mesh = proxy.mesh;
        self.phase = SearchPhase::Watching(Box::new(Watch::new(proxy, basis, &self.given)));
        if is_known { Change::AskingAgain(mesh) } else { Change::WaitingFor(mesh, first) }
    }

    /// Takes in what a look at `place` has seen; `proves` where only this proxy could say so.
    pub(super) fn observe(
        &mut self,
        place: &Place,
        now: Duration,
        took: Duration,
        seen: Observation,
        proves: bool,
    ) -> Option<Change> {
        let SearchPhase::Watching(watch) = &mut self.phase else { return None };
        watch.readiness.observe(place, now, took, seen);
        let mesh = watch.proxy.mesh;
        if proves {
            self.refuted.retain(|(refuted, ..)| *refuted != mesh);
            if watch.trust() == Trust::Guessed {
                watch.basis = Basis::Proven;
            }
            return None;
        }
        if watch.trust() == Trust::Certain {
            return None;
        }
        let (at, seen) = watch.refutation()?;
        let before = self.refuted.iter().position(|(refuted, ..)| *refuted == mesh);
        let before = before.map(|place| self.refuted.swap_remove(place));
        self.refuted.push((mesh, seen.clone(), now));
        self.phase = SearchPhase::Searching;
        let is_news = before.is_none_or(|(_, before, _)| before != seen);
        is_news.then_some(Change::Refuted(mesh, at, seen))
    }
}
