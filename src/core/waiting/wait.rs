//! One whole wait: what is looked at next, and when it is over.
//!
//! Owns the order of everything that is waited for; must never look, sleep or read a clock: `now`
//! is always the time since the wait began and comes in as an argument.

use std::rc::Rc;
use std::time::Duration;

use crate::core::answer::Fault;
use crate::core::endpoint::Endpoint;
use crate::core::profile::Ready;
use crate::core::proxy::{Given, Proxy};
use crate::core::sockets::listener::Listener;
use crate::core::waiting::change::Change;
use crate::core::waiting::diagnosis;
use crate::core::waiting::not_ready::{Hints, NotReady};
use crate::core::waiting::observation::{Observation, Trust};
use crate::core::waiting::pacing::{Distance, WaitLimits, pause};
use crate::core::waiting::search::{AGAIN, Basis, Search, SearchPhase};
use crate::core::waiting::step::{Ending, Step};
use crate::core::waiting::watched::{Look, Place, Watched};

/// How old the list of listening sockets may be when a proxy that only URLs describe is ready: a
/// mesh whose ports have come up since is not taken for a plain Envoy.
const FRESH: Duration = Duration::from_millis(50);

/// What is waited for, and for how long.
#[derive(Clone, Debug)]
pub struct WaitPlan {
    /// What the user said about the proxy.
    pub given: Given,
    /// What the injection said, for `auto`: is there a sidecar?
    pub injected: Option<bool>,
    /// What else must be ready.
    pub others: Vec<Ready<Endpoint>>,
    /// For how long.
    pub limits: WaitLimits,
}

/// The last list of the listening sockets.
#[derive(Clone, Copy, Debug)]
struct Listing {
    at: Duration,
    took: Duration,
}

/// One wait.
#[derive(Debug)]
pub struct Wait {
    limits: WaitLimits,
    injected: Option<bool>,
    search: Search,
    others: Vec<Watched>,
    listing: Option<Listing>,
    blind: Option<String>,
    is_redirected: Option<bool>,
}

impl Wait {
    /// A wait that has seen nothing yet, and what is certain from the start.
    #[must_use]
    pub fn new(plan: &WaitPlan) -> (Self, Option<Change>) {
        let mut search = Search::new(plan.given.clone());
        let is_auto = search.is_auto();
        let mut first = search
            .watch()
            .map(|watch| Change::WaitingFor(watch.proxy.mesh, watch.proxy.ready[0].to_string()));
        if is_auto && plan.injected == Some(false) {
            search.phase = SearchPhase::Without;
            first = Some(Change::NotInjected);
        }
        let wait = Self {
            limits: plan.limits,
            injected: plan.injected.filter(|_| is_auto),
            search,
            others: plan.others.iter().cloned().map(Watched::new).collect(),
            listing: None,
            blind: None,
            is_redirected: None,
        };
        (wait, first)
    }

    /// The proxy that is waited for, as far as it is known.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        self.search.watch().map(|watch| &watch.proxy)
    }

    /// Does Envoy say that it is LIVE, whatever its readiness endpoint says?
    #[must_use]
    pub fn is_live(&self) -> bool {
        let watch = self.search.watch();
        watch.is_some_and(|watch| {
            watch.readiness.seen().any(|(_, seen)| *seen == Observation::Ready)
        })
    }

    /// Is it certain whose proxy this is? Else it is a guess that no answer has confirmed yet.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.search.watch().is_some_and(|watch| watch.trust() == Trust::Certain)
    }

    /// What was last seen there.
    #[must_use]
    pub fn last_seen(&self, at: &Place) -> Option<&Observation> {
        let other = self.others.iter().find(|other| other.is_at(at));
        other.map_or_else(|| self.search.watch()?.readiness.seen_at(at), Watched::seen)
    }

    /// Does the proxy answer, and say that it is not ready?
    #[must_use]
    pub fn speaks(&self) -> bool {
        let watch = self.search.watch();
        watch.is_some_and(|watch| watch.readiness.seen().any(|(_, seen)| seen.speaks()))
    }

    /// What to do at `now`.
    pub fn next(&self, now: Duration) -> Step {
        if let Some(ending) = self.ending(now) {
            return Step::Over(ending);
        }
        if self.limits.is_late(now) && self.search.is_nobody() && self.may_be_absent() {
            let is_fresh = |listing: Listing| self.limits.is_late(listing.at);
            return match self.is_redirected {
                _ if self.blind.is_none() && !self.listing.is_some_and(is_fresh) => Step::List,
                None if self.search.is_auto() && self.injected.is_none() => Step::Probe,
                _ => Step::GiveUp,
            };
        }
        let list = self.list_due();
        let look = self.look_due().into_iter().chain(self.other_due());
        match look.min_by_key(|(.., due)| *due) {
            Some((at, trust, due)) if due <= now && due < list => {
                Step::Look { at: Rc::clone(at), trust, until: self.limits.end_of_look(now) }
            }
            _ if list <= now => Step::List,
            Some((.., due)) => Step::Rest(self.limits.cut(due.min(list), now)),
            None => Step::Rest(self.limits.cut(list, now)),
        }
    }

    /// Is a pod in which nobody shows up one without a mesh?
    fn may_be_absent(&self) -> bool {
        self.injected != Some(true) && self.is_redirected != Some(true)
    }

    fn ending(&self, now: Duration) -> Option<Ending> {
        if let (Some(why), SearchPhase::Searching) = (&self.blind, &self.search.phase) {
            return Some(Ending::Blind(why.clone()));
        }
        let others = self.others.iter().all(|other| other.seen() == Some(&Observation::Ready));
        match &self.search.phase {
            SearchPhase::Without if others => Some(Ending::WithoutProxy),
            SearchPhase::Watching(watch)
                if others && watch.readiness.is_ready() && !self.is_list_wanted() =>
            {
                Some(Ending::Ready)
            }
            _ => self.limits.is_over(now).then_some(Ending::TimedOut),
        }
    }

    /// Is a proxy ready that only URLs describe, and may a mesh have shown up since anybody looked?
    fn is_list_wanted(&self) -> bool {
        let Some(watch) = self.search.watch() else { return false };
        let ready_at = watch.readiness.last_look();
        watch.basis == Basis::OnlyUrls
            && watch.readiness.is_ready()
            && self.blind.is_none()
            && self.listing.is_some_and(|listing| listing.at + FRESH < ready_at)
    }

    /// When the listening sockets are next worth a list.
    fn list_due(&self) -> Duration {
        if self.blind.is_some() {
            return Duration::MAX;
        }
        match (&self.search.phase, self.listing) {
            (SearchPhase::Without, _) => Duration::MAX,
            (SearchPhase::Searching, None) => Duration::ZERO,
            (SearchPhase::Searching, Some(listing)) => {
                listing.at + pause(listing.at, listing.took, Distance::Far)
            }
            (SearchPhase::Watching(_), _) if self.is_list_wanted() => Duration::ZERO,
            (SearchPhase::Watching(_), listing) => {
                listing.map_or(Duration::ZERO, |listing| listing.at) + AGAIN
            }
        }
    }

    /// The next look at the proxy. One that is ready is looked at again while others are not.
    fn look_due(&self) -> Option<(&Place, Trust, Duration)> {
        let watch = self.search.watch()?;
        let (at, due) = watch.readiness.due();
        Some((at, watch.trust(), due))
    }

    /// The next look at something else.
    fn other_due(&self) -> Option<(&Place, Trust, Duration)> {
        let due = |other: &Watched| other.last.as_ref().map_or(Duration::ZERO, Look::due);
        let next = self.others.iter().min_by_key(|other| due(other))?;
        Some((&next.ready, Trust::Certain, due(next)))
    }

    /// Takes in who listens, or why that cannot be seen; the answer came at `now` and took `took`.
    pub fn listed(
        &mut self,
        now: Duration,
        took: Duration,
        listening: Result<&[Listener], String>,
    ) -> Option<Change> {
        self.listing = Some(Listing { at: now, took });
        match listening {
            Ok(listening) => {
                let is_first = self.search.watch().is_none();
                let is_last_chance = self.limits.is_late(now);
                let change = self.search.listed(now, listening, is_last_chance);
                change.or_else(|| is_first.then_some(Change::Searching))
            }
            Err(why) => {
                self.blind = Some(why);
                let change = self.search.listed(now, &[], false);
                change.filter(|change| *change != Change::Searching)
            }
        }
    }

    /// Takes in what a look at `at`, which ended at `now` and took `took`, has seen; `proves` where
    /// nobody else would have answered so.
    pub fn observe(
        &mut self,
        at: &Place,
        now: Duration,
        took: Duration,
        seen: Observation,
        proves: bool,
    ) -> Option<Change> {
        let is_cut = seen == Observation::Failed(Fault::Silent) && self.limits.is_over(now);
        if let Some(other) = self.others.iter_mut().find(|other| other.is_at(at)) {
            let was_ready = other.seen() == Some(&Observation::Ready);
            if !is_cut {
                other.observe(now, took, seen);
            }
            let is_ready = other.seen() == Some(&Observation::Ready);
            return (is_ready && !was_ready).then(|| Change::OtherReady(at.to_string()));
        }
        let was_ready = self.search.watch().is_some_and(|watch| watch.readiness.is_ready());
        // A look that the end of the wait has cut short tells less than what was seen before it.
        if is_cut && self.last_seen(at).is_some() {
            return None;
        }
        let change = self.search.observe(at, now, took, seen, proves);
        if matches!(self.search.phase, SearchPhase::Searching) {
            self.listing = None;
        }
        change.or_else(|| {
            let watch = self.search.watch().filter(|watch| watch.readiness.is_ready())?;
            let ready = Change::ProxyReady(watch.proxy.mesh, watch.readiness.looks);
            (!was_ready).then_some(ready)
        })
    }

    /// Takes in whether this pod's traffic is redirected.
    pub fn probed(&mut self, is_redirected: bool) -> Option<Change> {
        self.is_redirected = Some(is_redirected);
        is_redirected.then_some(Change::Redirected)
    }

    /// Takes the pod for one without a proxy.
    pub fn give_up(&mut self) -> Change {
        self.search.phase = SearchPhase::Without;
        Change::Absent
    }

    /// What has not come, why, and what to do about it: a sentence without its beginning.
    #[must_use]
    pub fn explain(&self, hints: &Hints) -> String {
        let mut parts = Vec::new();
        match &self.search.phase {
            SearchPhase::Without => {}
            SearchPhase::Searching => {
                let (is_redirected, is_injected) =
                    (self.is_redirected == Some(true), self.injected == Some(true));
                let strangers = self.search.strangers();
                parts.push(diagnosis::nothing_found(strangers, is_redirected, is_injected));
            }
            SearchPhase::Watching(watch) if watch.readiness.is_ready() => {}
            SearchPhase::Watching(watch) => parts.push(diagnosis::explain(&NotReady {
                mesh: watch.proxy.mesh,
                seen: watch.readiness.seen().collect(),
                looks: watch.readiness.looks,
                was_there: watch.readiness.is_somebody_there,
                agent: self.search.agent,
                other_mesh: self.search.other_mesh,
                hints,
            })),
        }
        let missing = self.others.iter().filter(|other| other.seen() != Some(&Observation::Ready));
        parts.extend(missing.map(|other| diagnosis::of_other(&other.ready, other.seen())));
        parts.join("; ")
    }

    /// What has not come, by name.
    #[must_use]
    pub fn missing(&self) -> String {
        self.all_missing().join(" and ")
    }

    /// The same as the subject of a sentence: `the istio proxy was`, `A and B were`.
    #[must_use]
    pub fn subject(&self, was: &str, were: &str) -> String {
        let verb = if self.all_missing().len() > 1 { were } else { was };
        format!("{} {verb}", self.missing())
    }

    fn all_missing(&self) -> Vec<String> {
        let proxy = match &self.search.phase {
            SearchPhase::Searching => Some("a proxy".to_owned()),
            SearchPhase::Watching(watch) if !watch.readiness.is_ready() => {
                Some(format!("the {} proxy", watch.proxy.mesh))
            }
            SearchPhase::Watching(_) | SearchPhase::Without => None,
        };
        let missing = self.others.iter().filter(|other| other.seen() != Some(&Observation::Ready));
        let missing = missing.map(|other| other.ready.to_string());
        proxy.into_iter().chain(missing).collect()
    }
}

#[cfg(test)]
mod tests;
