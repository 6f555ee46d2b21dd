//! Draining: how long it may take beside this proxy, where to look, and when it is over.
//!
//! Owns the plan and the word "idle"; must never look or wait itself. Time is the time since the
//! stop signal.

use std::time::Duration;

use crate::core::duration::Spoken;
use crate::core::envoy::activity::Activity;
use crate::core::envoy::server_info::{Lifetime, ServerInfo};

/// What of a proxy's remaining life is left for the application's own stop.
const SHARE_OF_STOP: u32 = 5;

/// Idle means that no request began for this long, where that can be seen: between two requests is
/// not idle.
const QUIET: Duration = Duration::from_millis(500);

/// Until draining may end, one look in this time: only a proxy that goes away is to be noticed.
const EARLY_PAUSE: Duration = Duration::from_millis(200);

/// Afterwards the end of the last request is to be seen at once.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest pause; looking takes at most a fifth of the proxy's main thread, for the few seconds
/// of a drain.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHARE_OF_PROXY: u32 = 5;

/// A source that has spoken and fails this often in a row is given up.
const FAILURES: u32 = 3;

/// What the user set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Keep serving at least this long.
    pub min: Duration,
    /// Keep serving at most this long.
    pub max: Duration,
    /// The whole budget, the application's own stop included.
    pub grace: Duration,
}

/// What will be done, given how long the proxy lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    min: Duration,
    max: Duration,
}

impl Plan {
    /// As the user set it, cut to the life of the proxy that goes down by the same signal.
    #[must_use]
    pub fn new(times: Times, facts: Option<&ServerInfo>) -> Self {
        let max = longest(facts).map_or(times.max, |longest| times.max.min(longest));
        Self { min: times.min.min(max), max }
    }

    /// Keep serving at least and at most this long.
    #[must_use]
    pub const fn times(&self) -> (Duration, Duration) {
        (self.min, self.max)
    }
}

/// How long draining can take beside a proxy that is killed at a known time.
fn longest(facts: Option<&ServerInfo>) -> Option<Duration> {
    match facts.map(ServerInfo::lifetime)? {
        Lifetime::Fixed(life) => Some(life.saturating_sub(life / SHARE_OF_STOP)),
        Lifetime::Outlives | Lifetime::WhileBusy | Lifetime::Unknown => None,
    }
}

/// What of the settings does not fit the proxy, each with its remedy; to be said at the start, not
/// at the end.
#[must_use]
pub fn misfits(times: Times, facts: &ServerInfo) -> Vec<String> {
    let mut misfits = Vec::new();
    let plan = Plan::new(times, Some(facts));
    if let (Lifetime::Fixed(life), true) = (facts.lifetime(), plan.max < times.max) {
        let whole_seconds = times.grace.as_secs() + u64::from(times.grace.subsec_nanos() > 0);
        misfits.push(format!(
            "the Istio proxy is killed {} after SIGTERM, so --drain-max {} does not fit: draining \
             is cut to {}; give the \
             pod the annotation proxy.istio.io/config: '{{\"terminationDrainDuration\": \
                                                            \"{whole_seconds}s\"}}'",
            Spoken(life),
            Spoken(times.max),
            Spoken(plan.max),
        ));
    }
    if let (true, Some(drain_time)) = (facts.drains_gradually, facts.drain_time)
        && drain_time > plan.max
    {
        misfits.push(format!(
            "this Envoy turns its clients away one by one over {}, so some are still there when \
             draining ends after \
             {} at the latest; start it with --drain-strategy immediate, or with --drain-time-s {}",
            Spoken(drain_time),
            Spoken(plan.max),
            plan.min.as_secs().max(1),
        ));
    }
    misfits
}

/// Where inbound activity can be seen, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Envoy's `/stats`.
    Stats,
    /// Envoy's `/clusters`.
    Clusters,
    /// Connections to the application's ports, from the kernel.
    Sockets,
}

impl Source {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Stats => Some(Self::Clusters),
            Self::Clusters => Some(Self::Sockets),
            Self::Sockets => None,
        }
    }
}

/// What one look saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// This much goes on. `draining`: the proxy has turned DRAINING, so it may be gone before the
    /// plan is.
    Busy {
        /// What goes on.
        activity: Activity,
        /// The proxy fails its health checks.
        draining: bool,
    },
    /// This source says nothing.
    Unreadable,
    /// Nobody listens there any more.
    Gone,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look there.
    Look(Source),
    /// Nothing until this moment.
    Rest(Duration),
    /// Stop the application, for this reason.
    Over(Reason),
}

/// Why draining is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is in flight, as this source shows it.
    Idle(Source),
    /// The longest time is over with this much still going on, as far as known.
    OutOfTime(Option<u64>),
    /// There is no proxy left that could bring requests.
    ProxyGone,
}

/// One drain.
#[derive(Debug)]
pub struct Drain {
    plan: Plan,
    source: Option<Source>,
    failures: u32,
    due: Duration,
    latest: Option<Activity>,
    /// Since when no request has begun.
    quiet_since: Duration,
    gone: bool,
}

impl Drain {
    /// Begins at the stop signal.
    #[must_use]
    pub const fn new(plan: Plan) -> Self {
        Self {
            plan,
            source: Some(Source::Stats),
            failures: 0,
            due: Duration::ZERO,
            latest: None,
            quiet_since: Duration::ZERO,
            gone: false,
        }
    }

    /// What to do at `now`.
    #[must_use]
    pub fn next(&self, now: Duration) -> Next {
        if self.gone {
            return Next::Over(Reason::ProxyGone);
        }
        if let (Some(source), true) = (self.source, now >= self.plan.min && self.is_idle(now)) {
            return Next::Over(Reason::Idle(source));
        }
        if now >= self.plan.max {
            return Next::Over(Reason::OutOfTime(self.latest.map(|latest| latest.active)));
        }
        match self.source {
            Some(source) if now >= self.due => Next::Look(source),
            Some(_) => Next::Rest(self.due.min(self.plan.max)),
            None => Next::Rest(self.plan.max),
        }
    }

    /// Takes in what the look that [`Drain::next`] asked for saw at `now`, after it `took` so long.
    pub fn on(&mut self, now: Duration, took: Duration, seen: Seen) {
        let is_near = now + self.quiet() + EARLY_PAUSE >= self.plan.min;
        let pause = if is_near { PAUSE } else { EARLY_PAUSE };
        self.due = now + pause.max(took.saturating_mul(SHARE_OF_PROXY)).min(LONGEST_PAUSE);
        match seen {
            Seen::Gone => self.gone = true,
            Seen::Unreadable => self.on_failure(now),
            Seen::Busy { activity, draining } => {
                self.failures = 0;
                if self.latest.is_none_or(|latest| latest.begun != activity.begun)
                    && self.latest.is_some()
                {
                    self.quiet_since = now;
                }
                self.latest = Some(activity);
                if draining {
                    // It may be gone at any moment: idle is good enough.
                    self.plan.min = Duration::ZERO;
                }
                // The last look before the shortest time is over must be a fresh one.
                if now < self.plan.min {
                    self.due = self.due.min(self.plan.min);
                }
            }
        }
    }

    fn on_failure(&mut self, now: Duration) {
        self.failures += 1;
        if self.latest.is_none() || self.failures >= FAILURES {
            self.source = self.source.and_then(Source::next);
            (self.failures, self.latest, self.due) = (0, None, now);
        }
    }

    fn is_idle(&self, now: Duration) -> bool {
        let quiet =
            |latest: &Activity| latest.begun.is_none() || now >= self.quiet_since + self.quiet();
        self.latest.is_some_and(|latest| latest.active == 0 && quiet(&latest))
    }

    fn quiet(&self) -> Duration {
        QUIET.min(self.plan.min)
    }
}

#[cfg(test)]
mod tests;
