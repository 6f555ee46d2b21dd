//! Draining: where to look, how often, and when it is over.
//!
//! Owns what "idle" means: the proxy's counters and the kernel must both say so. Must never look or
//! wait itself. Time is the time since the stop signal.

use std::time::Duration;

use crate::core::endpoint::Endpoint;
use crate::core::envoy::activity::Activity;
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
use crate::core::stopping::idle::ConnectionSample;
use crate::core::stopping::plan::DrainPlan;

/// Between two requests is not idle: nothing began, and nothing was at work, for this long. It
/// matters for clients that connect anew for each request, whose connections are gone between two
/// looks.
const BETWEEN: Duration = Duration::from_millis(500);

/// How often the kernel is asked, and the proxy while the kernel does not say idle.
const PAUSE: Duration = Duration::from_millis(100);

/// Where the kernel says idle, the end of the last request is to be seen at once.
const SHORT_PAUSE: Duration = Duration::from_millis(10);

/// Linkerd's metrics take it 2 to 5 ms: they are read once in this time.
const METRICS_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause; looking takes at most a fifth of the proxy's main thread, or of ours, for the
/// few seconds of a drain.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const SHARE: u32 = 5;

/// A source that has spoken and fails this often in a row is given up.
const FAILURES: u32 = 3;

/// Where the proxy's own counters are, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterSource {
    /// Envoy's `/stats`.
    Stats,
    /// Envoy's `/clusters`.
    Clusters,
    /// Linkerd's `/metrics`.
    Metrics,
}

impl CounterSource {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Stats => Some(Self::Clusters),
            Self::Clusters | Self::Metrics => None,
        }
    }

    const fn pause(self) -> Duration {
        match self {
            Self::Stats | Self::Clusters => SHORT_PAUSE,
            Self::Metrics => METRICS_PAUSE,
        }
    }
}

/// Where `proxy` counts what is in flight, where it does.
#[must_use]
pub fn counters_of(proxy: &Proxy) -> Option<(Endpoint, CounterSource)> {
    let metrics = proxy.ready.first().filter(|_| proxy.mesh == Mesh::Linkerd);
    match (&proxy.admin, metrics) {
        (Some(admin), _) => Some((admin.clone(), CounterSource::Stats)),
        (None, Some(ready)) => Some((ready.url.at("/"), CounterSource::Metrics)),
        (None, None) => None,
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainStep {
    /// Ask the kernel about the application's connections.
    LookAtConnections,
    /// Read these counters.
    LookAt(CounterSource),
    /// Nothing until this moment.
    Rest(Duration),
    /// Stop the application, for this reason.
    Over(DrainEnd),
}

/// What reading the proxy's counters came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// This much goes on.
    Activity(Activity),
    /// They say nothing.
    Unreadable,
    /// Nobody listens there any more.
    Gone,
}

/// Why draining is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainEnd {
    /// Nothing is in flight, as all of these see it.
    Idle(Witnesses),
    /// The longest time is over, with this much still going on.
    OutOfTime(Left),
}

/// Who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Witnesses {
    /// The proxy's counters; `None` where there are none, or where they say nothing.
    pub counters: Option<CounterSource>,
    /// The kernel, and what it saw; `None` where it says nothing.
    pub kernel: Option<ConnectionSample>,
    /// The proxy was there, and is not there any more.
    pub proxy_is_gone: bool,
}

/// What still went on at the last looks, each `None` where it could not be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Requests, as the proxy counts them.
    pub requests: Option<u64>,
    /// Plain TCP connections through the proxy.
    pub connections: Option<u64>,
    /// Connections of the application at work, as the kernel sees it.
    pub at_work: Option<u64>,
}

/// One source, asked again and again.
#[derive(Clone, Copy, Debug)]
struct Polled<T> {
    due: Duration,
    failures: u32,
    /// The last answer, and when it came.
    latest: Option<(Duration, T)>,
}

impl<T> Polled<T> {
    const fn new(due: Duration) -> Self {
        Self { due, failures: 0, latest: None }
    }

    fn learn(&mut self, now: Duration, seen: T, pause: Duration) {
        (self.failures, self.latest, self.due) = (0, Some((now, seen)), now + pause);
    }

    /// Is it to be given up?
    fn fails(&mut self, now: Duration) -> bool {
        self.failures += 1;
        self.due = now + SHORT_PAUSE;
        self.latest.is_none() || self.failures >= FAILURES
    }
}

/// One drain.
#[derive(Debug)]
pub struct Drain {
    plan: DrainPlan,
    counters: Option<(CounterSource, Polled<Activity>)>,
    kernel: Option<Polled<ConnectionSample>>,
    /// Since when nothing has begun and nothing has been at work, as far as seen.
    quiet_since: Duration,
    proxy_is_gone: bool,
}

impl Drain {
    /// Begins at the stop signal. `counters` are those of the proxy, where it has any; the kernel
    /// is always asked.
    #[must_use]
    pub fn new(plan: DrainPlan, counters: Option<CounterSource>) -> Self {
        // Only what is seen shortly before the shortest time is over can matter.
        let first = plan.min.saturating_sub(BETWEEN);
        Self {
            plan,
            counters: counters.map(|counters| (counters, Polled::new(first))),
            kernel: Some(Polled::new(first)),
            quiet_since: Duration::ZERO,
            proxy_is_gone: false,
        }
    }

    /// What to do at `now`.
    #[must_use]
    pub fn next(&self, now: Duration) -> DrainStep {
        if now >= self.plan.min
            && let Some(witnesses) = self.idle(now)
        {
            return DrainStep::Over(DrainEnd::Idle(witnesses));
        }
        let kernel = self.kernel.map(|asked| asked.due);
        if now >= self.plan.max {
            // Where the shortest time is the longest one, too, nobody has looked since it was over.
            let is_stale = |(at, _)| at < self.plan.min;
            let latest = self.kernel.and_then(|asked| asked.latest);
            return match kernel {
                Some(due) if due <= now && latest.is_none_or(is_stale) => {
                    DrainStep::LookAtConnections
                }
                _ => DrainStep::Over(DrainEnd::OutOfTime(self.left())),
            };
        }
        let counters = self.counters.map(|(counters, asked)| (counters, asked.due));
        match (kernel, counters) {
            (Some(due), _) if due <= now => DrainStep::LookAtConnections,
            (_, Some((counters, due))) if due <= now => DrainStep::LookAt(counters),
            (kernel, counters) => {
                let counters = counters.map(|(_, due)| due);
                let due = kernel.into_iter().chain(counters).fold(self.plan.max, Duration::min);
                DrainStep::Rest(due)
            }
        }
    }

    /// Takes in what the kernel said at `now`, after it `took` so long; `None` where it said
    /// nothing.
    pub fn on_connections(
        &mut self,
        now: Duration,
        took: Duration,
        seen: Option<ConnectionSample>,
    ) {
        let Some(kernel) = &mut self.kernel else { return };
        let Some(sample) = seen else {
            if kernel.fails(now) {
                self.kernel = None;
            }
            return;
        };
        if !sample.is_idle() {
            // Where it only waits for its quiet time, it has been quiet since then.
            let since = sample
                .until
                .map_or(now, |left| (now + left).saturating_sub(self.plan.quiet).min(now));
            self.quiet_since = self.quiet_since.max(since);
        }
        let pause = sample.until.unwrap_or(PAUSE).clamp(SHORT_PAUSE, PAUSE);
        kernel.learn(now, sample, paced(pause, took));
        // The look that decides must be a fresh one.
        if now < self.plan.min {
            kernel.due = kernel.due.min(self.plan.min);
        }
    }

    /// Takes in what the proxy's counters said at `now`, after it `took` so long.
    pub fn on_counters(&mut self, now: Duration, took: Duration, seen: Counted) {
        let Some((counters, asked)) = &mut self.counters else { return };
        match seen {
            Counted::Gone => (self.counters, self.proxy_is_gone) = (None, true),
            Counted::Unreadable => {
                if asked.fails(now) {
                    self.counters = counters.next().map(|next| (next, Polled::new(now)));
                }
            }
            Counted::Activity(activity) => {
                let has_begun =
                    asked.latest.is_some_and(|(_, latest)| latest.begun != activity.begun);
                if has_begun {
                    self.quiet_since = self.quiet_since.max(now);
                }
                let kernel_is_busy =
                    self.kernel.and_then(|asked| asked.latest).is_some_and(|(_, s)| !s.is_idle());
                let pause = counters.pause().max(if kernel_is_busy { PAUSE } else { SHORT_PAUSE });
                asked.learn(now, activity, paced(pause, took));
                if now < self.plan.min {
                    asked.due = asked.due.min(self.plan.min);
                }
            }
        }
    }

    /// `Some` where every source that speaks says so, and at least one does.
    fn idle(&self, now: Duration) -> Option<Witnesses> {
        let is_fresh = |at: Duration| at >= self.plan.min;
        // A look at counters may take long, so that none begins at the end.
        let is_over = now >= self.plan.max;
        let sample = self.kernel.map(|asked| asked.latest);
        let kernel = match sample {
            Some(Some((at, sample))) if is_fresh(at) && sample.is_idle() => Some(sample),
            Some(_) => return None,
            None => None,
        };
        // What goes through the proxy to the application has its other half there.
        let open = sample.flatten().map_or(u64::MAX, |(_, sample)| sample.open);
        let counters = match self.counters {
            Some((counters, Polled { latest: Some((at, latest)), .. }))
                if (is_fresh(at) || is_over)
                    && latest.requests == 0
                    && latest.connections.min(open) == 0 =>
            {
                Some(counters)
            }
            Some((_, Polled { latest: None, .. })) if is_over => None,
            Some(_) => return None,
            None => None,
        };
        let between = BETWEEN.min(self.plan.quiet).min(self.plan.min);
        let is_quiet = now >= self.quiet_since + between;
        (is_quiet && (kernel.is_some() || counters.is_some())).then_some(Witnesses {
            counters,
            kernel,
            proxy_is_gone: self.proxy_is_gone,
        })
    }

    fn left(&self) -> Left {
        let activity = self.counters.and_then(|(_, asked)| asked.latest).map(|(_, latest)| latest);
        let sample = self.kernel.and_then(|asked| asked.latest).map(|(_, latest)| latest);
        Left {
            requests: activity.map(|activity| activity.requests),
            connections: activity.map(|activity| activity.connections),
            at_work: sample.map(|sample| sample.at_work),
        }
    }
}

/// A pause after a look that `took` so long.
fn paced(pause: Duration, took: Duration) -> Duration {
    pause.max(took.saturating_mul(SHARE)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests;
