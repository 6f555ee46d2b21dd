//! Draining: how long it may take beside this proxy, where to look, and when it is over.
//!
//! Owns the plan and the word "idle"; must never look or wait itself. Time is the time since the stop signal.

use std::time::Duration;

use crate::core::activity::Activity;
use crate::core::duration::Spoken;
use crate::core::proxy_facts::{Lifetime, ProxyFacts};

/// What of a proxy's remaining life is left for the application's own stop.
const SHARE_OF_STOP: u32 = 5;

/// Idle means that no request began for this long, where that can be seen: between two requests is not idle.
const QUIET: Duration = Duration::from_millis(500);

/// Until draining may end, one look in this time: only a proxy that goes away is to be noticed.
const EARLY_PAUSE: Duration = Duration::from_millis(200);

/// Afterwards the end of the last request is to be seen at once.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest pause; looking takes at most a fifth of the proxy's main thread, for the few seconds of a drain.
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
    pub fn new(times: Times, facts: Option<&ProxyFacts>) -> Self {
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
fn longest(facts: Option<&ProxyFacts>) -> Option<Duration> {
    match facts.map(ProxyFacts::lifetime)? {
        Lifetime::Fixed(life) => Some(life.saturating_sub(life / SHARE_OF_STOP)),
        Lifetime::Outlives | Lifetime::WhileBusy | Lifetime::Unknown => None,
    }
}

/// What of the settings does not fit the proxy, each with its remedy; to be said at the start, not at the end.
#[must_use]
pub fn misfits(times: Times, facts: &ProxyFacts) -> Vec<String> {
    let mut misfits = Vec::new();
    let plan = Plan::new(times, Some(facts));
    if let (Lifetime::Fixed(life), true) = (facts.lifetime(), plan.max < times.max) {
        let whole_seconds = times.grace.as_secs() + u64::from(times.grace.subsec_nanos() > 0);
        misfits.push(format!(
            "the Istio proxy is killed {} after SIGTERM, so --drain-max {} does not fit: draining is cut to {}; give the \
             pod the annotation proxy.istio.io/config: '{{\"terminationDrainDuration\": \"{whole_seconds}s\"}}'",
            Spoken(life),
            Spoken(times.max),
            Spoken(plan.max),
        ));
    }
    if let (true, Some(drain_time)) = (facts.drains_gradually, facts.drain_time)
        && drain_time > plan.max
    {
        misfits.push(format!(
            "this Envoy turns its clients away one by one over {}, so some are still there when draining ends after \
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
    /// This much goes on. `draining`: the proxy has turned DRAINING, so it may be gone before the plan is.
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
    /// No request is in flight.
    Idle,
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
        if now >= self.plan.min && self.is_idle(now) {
            return Next::Over(Reason::Idle);
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
                if self.latest.is_none_or(|latest| latest.begun != activity.begun) && self.latest.is_some() {
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
        let quiet = |latest: &Activity| latest.begun.is_none() || now >= self.quiet_since + self.quiet();
        self.latest.is_some_and(|latest| latest.active == 0 && quiet(&latest))
    }

    fn quiet(&self) -> Duration {
        QUIET.min(self.plan.min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    fn times(min: u32, max: u32) -> Times {
        Times { min: min * SECOND, max: max * SECOND, grace: 28 * SECOND }
    }

    fn istio(life: u32) -> ProxyFacts {
        let termination_drain = Some(life * SECOND);
        ProxyFacts { native: Some(false), termination_drain, ..ProxyFacts::default() }
    }

    fn busy(active: u64, begun: u64) -> Seen {
        Seen::Busy { activity: Activity { active, begun: Some(begun) }, draining: false }
    }

    /// Drains against `world`; a look takes 0.1 ms. Why and when it is over, and the looks.
    fn simulate(plan: Plan, world: impl Fn(Source, Duration) -> Seen) -> (Reason, Duration, Vec<(Source, Duration)>) {
        let (mut drain, mut now, mut looks) = (Drain::new(plan), Duration::ZERO, Vec::new());
        loop {
            match drain.next(now) {
                Next::Over(reason) => return (reason, now, looks),
                Next::Rest(until) => {
                    assert!(until > now, "a rest goes forward");
                    now = until;
                }
                Next::Look(source) => {
                    looks.push((source, now));
                    let seen = world(source, now);
                    now += MS / 10;
                    drain.on(now, MS / 10, seen);
                }
            }
        }
    }

    #[test]
    fn the_plan_is_cut_to_the_life_of_a_proxy_that_goes_down_with_us() {
        let table = [
            (times(5, 15), None, (5_000, 15_000)),
            (times(5, 15), Some(istio(5)), (4_000, 4_000)),
            (times(1, 15), Some(istio(5)), (1_000, 4_000)),
            (times(5, 15), Some(istio(30)), (5_000, 15_000)),
            (times(5, 15), Some(istio(0)), (0, 0)),
            (times(5, 15), Some(ProxyFacts { native: Some(true), ..istio(5) }), (5_000, 15_000)),
            (times(5, 15), Some(ProxyFacts { exits_on_zero: true, ..istio(5) }), (5_000, 15_000)),
            (times(5, 15), Some(ProxyFacts::default()), (5_000, 15_000)),
        ];
        for (times, facts, (min, max)) in table {
            assert_eq!(Plan::new(times, facts.as_ref()).times(), (min * MS, max * MS), "{facts:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_said_with_the_annotation_that_fixes_it() {
        let said = misfits(times(5, 15), &istio(5));
        assert_eq!(said.len(), 1);
        assert!(said[0].contains(r#"proxy.istio.io/config: '{"terminationDrainDuration": "28s"}'"#), "{said:?}");
        assert!(said[0].contains("killed 5s after SIGTERM"), "{said:?}");
        assert!(misfits(times(5, 15), &istio(28)).is_empty());
        assert!(misfits(times(5, 15), &ProxyFacts { native: Some(true), ..istio(5) }).is_empty());
        let gradual = ProxyFacts { drains_gradually: true, drain_time: Some(600 * SECOND), ..ProxyFacts::default() };
        assert!(misfits(times(5, 15), &gradual)[0].contains("--drain-strategy immediate"));
    }

    #[test]
    fn an_idle_proxy_is_drained_for_the_shortest_time() {
        let (reason, over, looks) = simulate(Plan::new(times(5, 15), None), |_, _| busy(0, 7));
        assert_eq!(reason, Reason::Idle);
        assert!(over >= 5_000 * MS && over < 5_020 * MS, "{over:?}");
        assert!(looks.len() < 120, "{}", looks.len());
    }

    #[test]
    fn the_end_of_the_last_request_is_seen_at_once() {
        let world = |_, now| busy(u64::from(now < 7_300 * MS), 7);
        let (reason, over, _) = simulate(Plan::new(times(5, 15), None), world);
        assert_eq!(reason, Reason::Idle);
        assert!(over >= 7_300 * MS && over < 7_320 * MS, "{over:?}");
    }

    #[test]
    fn between_two_requests_is_not_idle() {
        // Ten short requests a second, none in flight whenever we look, until 6.5 s.
        let world = |_, now: Duration| busy(0, u64::try_from(now.min(6_500 * MS).as_millis() / 100).unwrap());
        let (reason, over, _) = simulate(Plan::new(times(2, 15), None), world);
        assert_eq!(reason, Reason::Idle);
        assert!(over >= 7_000 * MS && over < 7_100 * MS, "{over:?}");
    }

    #[test]
    fn what_never_ends_is_cut_at_the_longest_time() {
        let (reason, over, looks) =
            simulate(Plan::new(times(5, 15), None), |_, now| busy(3, u64::try_from(now.as_millis()).unwrap()));
        assert_eq!((reason, over), (Reason::OutOfTime(Some(3)), 15_000 * MS));
        assert!(looks.len() < 1_200, "{}", looks.len());
    }

    #[test]
    fn a_proxy_that_goes_away_ends_it_at_once() {
        let world = |_, now| if now < 1_000 * MS { busy(3, 7) } else { Seen::Gone };
        let (reason, over, _) = simulate(Plan::new(times(5, 15), None), world);
        assert_eq!(reason, Reason::ProxyGone);
        assert!(over <= 1_250 * MS, "{over:?}");
    }

    #[test]
    fn a_proxy_that_turns_draining_by_itself_is_not_given_the_shortest_time() {
        let world = |_, now| {
            let activity = Activity { active: u64::from(now < 1_500 * MS), begun: Some(7) };
            Seen::Busy { activity, draining: now >= 1_000 * MS }
        };
        let (reason, over, _) = simulate(Plan::new(times(5, 15), None), world);
        assert_eq!(reason, Reason::Idle);
        assert!(over < 1_520 * MS, "{over:?}");
    }

    #[test]
    fn the_first_source_that_speaks_is_the_one() {
        let silent = |until: Source| move |source, _| if source == until { busy(0, 1) } else { Seen::Unreadable };
        let (_, _, looks) = simulate(Plan::new(times(5, 15), None), silent(Source::Sockets));
        let first: Vec<Source> = looks.iter().take(3).map(|(source, _)| *source).collect();
        assert_eq!(first, [Source::Stats, Source::Clusters, Source::Sockets]);
        assert!(looks.iter().skip(3).all(|(source, _)| *source == Source::Sockets));
        let (reason, over, looks) = simulate(Plan::new(times(5, 15), None), |_, _| Seen::Unreadable);
        assert_eq!((reason, over, looks.len()), (Reason::OutOfTime(None), 15_000 * MS, 3));
    }

    #[test]
    fn a_source_that_has_spoken_is_given_up_only_after_three_failures() {
        let world = |source, now| match source {
            Source::Stats if now < 6_000 * MS || now > 6_015 * MS => busy(u64::from(now < 8_000 * MS), 1),
            Source::Stats => Seen::Unreadable,
            _ => panic!("one failure is no reason to leave a source"),
        };
        assert_eq!(simulate(Plan::new(times(5, 15), None), world).0, Reason::Idle);
        let world = |source, now| match source {
            Source::Stats if now < 6_000 * MS => busy(1, 1),
            Source::Sockets => Seen::Busy { activity: Activity { active: 0, begun: None }, draining: false },
            _ => Seen::Unreadable,
        };
        let (reason, over, _) = simulate(Plan::new(times(5, 15), None), world);
        assert_eq!(reason, Reason::Idle);
        assert!(over < 6_100 * MS, "{over:?}");
    }

    #[test]
    fn zero_means_at_once() {
        let (reason, over, _) = simulate(Plan::new(times(0, 15), None), |_, _| busy(0, 7));
        assert_eq!(reason, Reason::Idle);
        assert!(over < MS, "{over:?}");
    }
}
