//! An endpoint that is looked at again and again, and the last look at it.
//!
//! Owns how long a look's answer counts; must never look.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::core::endpoint::Endpoint;
use crate::core::envoy::state::State;
use crate::core::profile::{Expect, Ready};
use crate::core::waiting::observation::Observation;
use crate::core::waiting::pacing::{Distance, pause};

/// An endpoint that is looked at. It is shared, so that a look, of which there are hundreds a
/// second, copies and compares no text: the same place is the same allocation.
pub type Place = Rc<Ready<Endpoint>>;

/// How often what is ready is looked at again while something else is waited for.
pub(super) const RECHECK: Duration = Duration::from_secs(1);

/// An endpoint, and what was last seen there.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) ready: Place,
    pub(super) last: Option<Look>,
}

impl Watched {
    pub(super) fn new(ready: Ready<Endpoint>) -> Self {
        Self { ready: Rc::new(ready), last: None }
    }

    /// Is it this one that was looked at?
    pub(super) fn is_at(&self, place: &Place) -> bool {
        Rc::ptr_eq(&self.ready, place)
    }

    pub(super) fn seen(&self) -> Option<&Observation> {
        self.last.as_ref().map(|look| &look.seen)
    }

    /// Takes in a look that ended at `now` and took `took`.
    pub(super) fn observe(&mut self, now: Duration, took: Duration, seen: Observation) {
        // What a look costs the proxy is at most the time it took. One slow answer may be
        // scheduling noise, and the first one says how long a server that has just bound its port
        // took to begin serving it: the smaller of two bounds the cost.
        let cost = self.last.as_ref().map_or(Duration::ZERO, |before| took.min(before.took));
        self.last = Some(Look { at: now, took, cost, seen });
    }

    /// Was it closed, or not there, at the last look?
    pub(super) fn is_closed(&self) -> bool {
        self.seen().is_some_and(Observation::is_nobody)
    }
}

impl fmt::Display for Ready<Endpoint> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expect {
            Expect::Accepts => {
                f.write_str(&self.url.address.to_string().replace("http://", "tcp://"))
            }
            _ => self.url.fmt(f),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Look {
    /// When it ended.
    pub(super) at: Duration,
    took: Duration,
    cost: Duration,
    pub(super) seen: Observation,
}

impl Look {
    /// How far from ready the answer shows the proxy to be.
    pub(super) fn distance(&self) -> Distance {
        match &self.seen {
            Observation::NotReady { state: State::PreInitializing, .. } => Distance::Far,
            seen if seen.is_nobody() => Distance::Far,
            _ => Distance::Near,
        }
    }

    pub(super) fn pause(&self, distance: Distance) -> Duration {
        pause(self.at, self.cost, distance)
    }

    /// When something that tells no more than yes or no is worth the next one: what is ready is
    /// looked at again while something else is waited for.
    pub(super) fn due(&self) -> Duration {
        if self.seen == Observation::Ready { self.at + RECHECK } else { self.next(self.distance()) }
    }

    /// When the same endpoint is worth the next one.
    pub(super) fn next(&self, distance: Distance) -> Duration {
        self.at + self.pause(distance)
    }
}
