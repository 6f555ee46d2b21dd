//! When to look at which endpoint, and when the waiting is over.
//!
//! Owns the order of looks and the verdict; must never sleep, ask or read a clock: `now` is always
//! the time since the wait began and comes in as an argument.

use std::time::Duration;

use crate::core::answer::Fault;
use crate::core::envoy::state::State;
use crate::core::waiting::observation::Observation;
use crate::core::waiting::pacing::{
    Distance, LONGEST_PAUSE, Limits, SHARE_OF_PROXY, Verdict, pause,
};
use crate::core::waiting::targets::{Shape, Target};

/// How often the authority is looked at while the admin API, which comes up first, tells nothing:
/// it may be locked or at another address. Each failed look at Istio's authority makes the agent
/// log a warning: at most two a second.
const AUTHORITY_PAUSE: Duration = Duration::from_millis(500);

/// How often the authority is looked at although the admin API, which is far cheaper, says not
/// LIVE. It could only be ready if that API belongs to somebody else.
const SECOND_OPINION_PAUSE: Duration = Duration::from_secs(5);

/// How many times rarer the admin API is looked at while nobody listens at the authority's port: it
/// tells how far the proxy is, but that port is the first to change. Envoy's listeners listen only
/// once its workers start (envoy: `ListenerManagerImpl::startWorkers`; measured on 1.36 and 1.40),
/// and seeing that costs the proxy nothing.
const BESIDE_A_CLOSED_PORT: u32 = 5;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Look, and give up the look at `until`; then [`Readiness::observe`].
    Look {
        /// At what.
        target: Target,
        /// The look's deadline.
        until: Duration,
    },
    /// Nothing before this moment; then ask again.
    Rest(Duration),
    /// Over.
    Over(Verdict),
}

/// The last look at one kind of endpoint.
#[derive(Debug)]
struct Look {
    at: Duration,
    took: Duration,
    /// What a look costs the proxy, at most: whatever else delays an answer only adds to its time.
    cost: Duration,
    seen: Observation,
}

impl Look {
    fn distance(&self) -> Distance {
        match &self.seen {
            Observation::Failed(Fault::Refused)
            | Observation::NotReady { state: State::PreInitializing, .. } => Distance::Far,
            _ => Distance::Near,
        }
    }

    fn pause(&self, distance: Distance) -> Duration {
        pause(self.at, self.cost, distance)
    }

    /// When the same endpoint is worth the next one.
    fn next(&self, distance: Distance) -> Duration {
        self.at + self.pause(distance)
    }
}

/// One wait for one proxy.
#[derive(Debug)]
pub struct Readiness {
    limits: Limits,
    shape: Shape,
    current: usize,
    cheap: Option<Look>,
    authority: Option<Look>,
    live_since: Option<Duration>,
    anybody: bool,
    looks: u32,
}

impl Readiness {
    /// A wait that has seen nothing yet.
    #[must_use]
    pub const fn new(limits: Limits, shape: Shape) -> Self {
        Self {
            limits,
            shape,
            current: 0,
            cheap: None,
            authority: None,
            live_since: None,
            anybody: false,
            looks: 0,
        }
    }

    /// How many looks there were.
    #[must_use]
    pub const fn looks(&self) -> u32 {
        self.looks
    }

    /// What was last seen at the admin API and at the authority, and at which authority.
    #[must_use]
    pub fn last_seen(&self) -> (Option<&Observation>, Option<&Observation>, usize) {
        (
            self.cheap.as_ref().map(|look| &look.seen),
            self.authority.as_ref().map(|look| &look.seen),
            self.current,
        )
    }

    /// What to do at `now`.
    pub fn next(&self, now: Duration) -> Next {
        if let Some(verdict) = self.verdict(now) {
            return Next::Over(verdict);
        }
        let (cheap, authority) = (self.cheap_due(), self.authority_due());
        let due = cheap.min(authority);
        if due > now {
            return Next::Rest(self.limits.cut(due, now));
        }
        let target =
            if cheap <= authority { Target::Cheap } else { Target::Authority(self.current) };
        let until = now + self.limits.request_timeout;
        Next::Look {
            target,
            until: self.limits.timeout.map_or(until, |timeout| until.min(timeout)),
        }
    }

    /// Takes in what a look at `target`, which ended at `now` and took `took`, has seen.
    pub fn observe(&mut self, target: Target, now: Duration, took: Duration, seen: Observation) {
        self.looks += 1;
        self.anybody |= seen.shows_a_proxy();
        let before = if target == Target::Cheap { &self.cheap } else { &self.authority };
        if before.is_some()
            && seen == Observation::Failed(Fault::Silent)
            && took < self.limits.request_timeout
        {
            // The end of the wait cut this look short: what was seen before it tells more.
            return;
        }
        // One slow answer is the machine's mood; two in a row are the proxy's.
        let cost = before.as_ref().map_or(took, |look| took.min(look.took));
        match target {
            Target::Cheap if seen == Observation::Ready => {
                self.live_since = self.live_since.or(Some(now));
            }
            Target::Cheap => self.live_since = None,
            Target::Authority(_) if seen.speaks() => {}
            Target::Authority(_) => {
                // Gone, or never there: what the admin API said before no longer holds.
                self.live_since = None;
                self.cheap = self.cheap.take().filter(|look| look.seen != Observation::Ready);
            }
        }
        let look = Look { at: now, took, cost, seen };
        match target {
            Target::Cheap => self.cheap = Some(look),
            Target::Authority(index) => {
                if !look.seen.speaks() {
                    self.current = (index + 1) % self.shape.authorities;
                }
                self.authority = Some(look);
            }
        }
    }

    fn verdict(&self, now: Duration) -> Option<Verdict> {
        let cheap_speaks = self.cheap.as_ref().is_some_and(|look| look.seen.speaks());
        match self.authority.as_ref().map(|look| &look.seen) {
            Some(Observation::Ready) => Some(Verdict::Ready),
            Some(Observation::Foreign { .. }) if self.shape.guessed && !cheap_speaks => {
                Some(Verdict::Unconfirmed)
            }
            // Nobody is absent who has not been looked for.
            _ => self.limits.verdict(now, self.anybody || self.looks == 0),
        }
    }

    /// When the admin API is next worth a look; never while it is known to be LIVE.
    fn cheap_due(&self) -> Duration {
        if !self.shape.cheap {
            return Duration::MAX;
        }
        match &self.cheap {
            None => {
                self.authority.as_ref().map_or(Duration::ZERO, |look| look.next(Distance::Near))
            }
            Some(look) => match look.seen {
                Observation::Ready => Duration::MAX,
                // Neither changes while the proxy lives.
                Observation::Locked | Observation::Foreign { .. } => look.at + LONGEST_PAUSE,
                _ if self.closed_authority().is_some() => {
                    look.at
                        + (look.pause(look.distance()) * BESIDE_A_CLOSED_PORT).min(LONGEST_PAUSE)
                }
                _ => look.next(look.distance()),
            },
        }
    }

    /// The last look at the authority, where nobody listened at its port.
    fn closed_authority(&self) -> Option<&Look> {
        let is_closed = |look: &&Look| {
            look.seen == Observation::Failed(Fault::Refused) && !self.shape.same_server
        };
        self.authority.as_ref().filter(is_closed)
    }

    /// When the authority is next worth a look.
    fn authority_due(&self) -> Duration {
        let last = self.authority.as_ref();
        let at = last.map_or(Duration::ZERO, |look| look.at);
        // Behind a LIVE proxy, an authority that refuses is about to come.
        let distance =
            |look: &Look| if self.live_since.is_some() { Distance::Near } else { look.distance() };
        let next = last.map_or(Duration::ZERO, |look| look.next(distance(look)));
        let failed = last.is_some_and(|look| look.seen.speaks());
        if self.shape.cheap && self.cheap.is_none() {
            return Duration::MAX;
        }
        match (self.cheap.as_ref(), self.live_since) {
            (_, Some(live)) if at <= live => live,
            // LIVE, and the authority still says no: rarer the longer that lasts, each one is a
            // line in a log.
            (_, Some(live)) => {
                next.max(at + (at.saturating_sub(live) / SHARE_OF_PROXY).min(LONGEST_PAUSE))
            }
            (Some(Look { seen: Observation::NotReady { .. }, .. }), _)
                if self.shape.same_server =>
            {
                Duration::MAX
            }
            (Some(_), _) if last.is_none() => at,
            (Some(cheap), _) if let Some(closed) = self.closed_authority() => {
                closed.next(cheap.distance())
            }
            (Some(Look { seen: Observation::NotReady { .. }, .. }), _) => at + SECOND_OPINION_PAUSE,
            (Some(_), _) => next.max(at + AUTHORITY_PAUSE),
            // Nobody there: the address of the mesh's other versions is asked at once.
            _ if self.current > 0 && !failed => at,
            _ => next,
        }
    }
}

#[cfg(test)]
mod tests;
