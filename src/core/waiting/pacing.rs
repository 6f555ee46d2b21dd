//! How often to look, when to say that the wait goes on, and what bounds it.
//!
//! Owns the numbers; must never sleep or read a clock: time is always the time since the wait
//! began.

use std::time::Duration;

/// The shortest pause between two looks: what looks that cost the proxy 0.2 ms allow, and a
/// waiter's own CPU.
const SHORTEST_PAUSE: Duration = Duration::from_millis(4);

/// The longest pause between two looks.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses grow with the wait, so that waiting adds at most about this fraction to the proxy's own
/// start time.
const SHARE_OF_WAIT: u32 = 600;

/// Looking never takes more than a twentieth (5%) of the proxy's main thread.
pub(super) const SHARE_OF_PROXY: u32 = 20;

/// How far from ready a proxy is, as far as its last answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// The next answer may say ready.
    Near,
    /// Nobody listens yet, or Envoy says `PRE_INITIALIZING`: it has no clusters, and after them
    /// come listeners, routes and certificates.
    Far,
}

impl Distance {
    /// How many times longer the pause is: fewer looks, for the CPU of both sides.
    const fn factor(self) -> u32 {
        match self {
            Self::Near => 1,
            Self::Far => 5,
        }
    }
}

/// The pause before the next look, `elapsed` into the wait, when a look costs the proxy `cost` and
/// the last one told this `distance`.
#[must_use]
pub fn pause(elapsed: Duration, cost: Duration, distance: Distance) -> Duration {
    let by_wait = SHORTEST_PAUSE.max(elapsed / SHARE_OF_WAIT) * distance.factor();
    let by_proxy = cost.saturating_mul(SHARE_OF_PROXY);
    by_wait.max(by_proxy).min(LONGEST_PAUSE)
}

/// When somebody who waits should be told so: 5 s into the wait, then at each doubling.
#[derive(Debug)]
pub struct Reminders(Duration);

impl Default for Reminders {
    fn default() -> Self {
        Self(Duration::from_secs(5))
    }
}

impl Reminders {
    /// Is a warning due? At most once for each threshold, however late the question comes.
    pub fn is_over(&mut self, now: Duration) -> bool {
        let over = now >= self.0;
        while now >= self.0 {
            self.0 *= 2;
        }
        over
    }
}

/// What bounds the wait.
#[derive(Clone, Copy, Debug)]
pub struct WaitLimits {
    /// The whole wait; `None` is for ever.
    pub timeout: Option<Duration>,
    /// Start without a proxy when none has shown up at all by then.
    pub absent_after: Option<Duration>,
    /// One look, connecting included.
    pub request_timeout: Duration,
}

impl WaitLimits {
    /// Is the time over?
    #[must_use]
    pub fn is_over(&self, now: Duration) -> bool {
        self.timeout.is_some_and(|limit| now >= limit)
    }

    /// Is it late enough to take the pod for one without a proxy?
    #[must_use]
    pub fn is_late(&self, now: Duration) -> bool {
        self.absent_after.is_some_and(|limit| now >= limit)
    }

    /// The next of these moments, or `at`, whichever comes first.
    #[must_use]
    pub fn cut(&self, at: Duration, now: Duration) -> Duration {
        let limits = [self.timeout, self.absent_after].into_iter().flatten();
        limits.filter(|limit| *limit > now).fold(at, Duration::min)
    }

    /// When a look that begins at `now` is given up.
    #[must_use]
    pub fn end_of_look(&self, now: Duration) -> Duration {
        let until = now + self.request_timeout;
        self.timeout.map_or(until, |timeout| until.min(timeout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_pause_follows_the_wait_and_the_proxys_own_cost() {
        let table = [
            (0, 0, 4),
            (2_400, 0, 4),
            (12_000, 0, 20),
            (600_000, 0, 1_000),
            (0, 1, 20),
            (0, 1_000, 1_000),
        ];
        for (elapsed, took, expected) in table {
            assert_eq!(
                pause(elapsed * MS, took * MS, Distance::Near),
                expected * MS,
                "{elapsed} {took}"
            );
        }
        assert_eq!(pause(Duration::ZERO, Duration::ZERO, Distance::Far), 20 * MS);
        assert_eq!(pause(12_000 * MS, Duration::ZERO, Distance::Far), 100 * MS);
        assert_eq!(pause(600_000 * MS, Duration::ZERO, Distance::Far), 1_000 * MS);
    }

    #[test]
    fn reminders_come_after_5_seconds_and_at_each_doubling() {
        let mut reminders = Reminders::default();
        let over: Vec<u64> =
            (0..100).filter(|second| reminders.is_over(Duration::from_secs(*second))).collect();
        assert_eq!(over, [5, 10, 20, 40, 80]);
        assert!(reminders.is_over(Duration::from_secs(1_000)));
        assert!(!reminders.is_over(Duration::from_secs(1_001)));
    }
}
