//! When to look at which endpoint, and when the waiting is over.
//!
//! Owns the order of looks and the verdict; must never sleep, ask or read a clock: `now` is always the time since the
//! wait began and comes in as an argument.

use std::time::Duration;

use crate::core::envoy::{Fault, Observation};
use crate::core::pacing::{LONGEST_PAUSE, Limits, SHARE_OF_PROXY, Verdict, pause};

/// How often the authority is looked at while the admin API, which comes up first, tells nothing: it may be locked
/// or at another address. Each failed look at Istio's authority makes the agent log a warning: at most two a second.
const AUTHORITY_PAUSE: Duration = Duration::from_millis(500);

/// How often the authority is looked at although the admin API, which is far cheaper, says not LIVE.
/// It could only be ready if that API belongs to somebody else.
const SECOND_OPINION_PAUSE: Duration = Duration::from_secs(5);

/// Which endpoint to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The admin API's `/ready`: 0.1 ms of the proxy's time.
    Cheap,
    /// The one whose word counts; several where a mesh moved it between versions.
    Authority(usize),
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Look, and give up the look at `until`; then [`Gate::observe`].
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

/// Which endpoints there are to look at.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Is there an admin API beside the authority?
    pub cheap: bool,
    /// How many authorities there are to try, at least one.
    pub authorities: usize,
    /// Is the authority an expensive page of the same admin API (`/server_info`)? Then a not-LIVE is final.
    pub same_server: bool,
    /// Is the mesh a guess from listening ports, which an answer must confirm?
    pub guessed: bool,
}

/// The last look at one kind of endpoint.
#[derive(Debug)]
struct Look {
    at: Duration,
    took: Duration,
    seen: Observation,
}

/// One wait for one proxy.
#[derive(Debug)]
pub struct Gate {
    limits: Limits,
    shape: Shape,
    current: usize,
    cheap: Option<Look>,
    authority: Option<Look>,
    live_since: Option<Duration>,
    anybody: bool,
    looks: u32,
}

impl Gate {
    /// A wait that has seen nothing yet.
    #[must_use]
    pub const fn new(limits: Limits, shape: Shape) -> Self {
        Self { limits, shape, current: 0, cheap: None, authority: None, live_since: None, anybody: false, looks: 0 }
    }

    /// How many looks there were.
    #[must_use]
    pub const fn looks(&self) -> u32 {
        self.looks
    }

    /// What was last seen at the admin API and at the authority, and at which authority.
    #[must_use]
    pub fn last_seen(&self) -> (Option<&Observation>, Option<&Observation>, usize) {
        (self.cheap.as_ref().map(|look| &look.seen), self.authority.as_ref().map(|look| &look.seen), self.current)
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
        let target = if cheap <= authority { Target::Cheap } else { Target::Authority(self.current) };
        let until = now + self.limits.request_timeout;
        Next::Look { target, until: self.limits.timeout.map_or(until, |timeout| until.min(timeout)) }
    }

    /// Takes in what a look at `target`, which ended at `now` and took `took`, has seen.
    pub fn observe(&mut self, target: Target, now: Duration, took: Duration, seen: Observation) {
        self.looks += 1;
        self.anybody |= seen.shows_a_proxy();
        let before = if target == Target::Cheap { &self.cheap } else { &self.authority };
        if before.is_some() && seen == Observation::Failed(Fault::Silent) && took < self.limits.request_timeout {
            // The end of the wait cut this look short: what was seen before it tells more.
            return;
        }
        match target {
            Target::Cheap if seen == Observation::Ready => self.live_since = self.live_since.or(Some(now)),
            Target::Cheap => self.live_since = None,
            Target::Authority(_) if seen.speaks() => {}
            Target::Authority(_) => {
                // Gone, or never there: what the admin API said before no longer holds.
                self.live_since = None;
                self.cheap = self.cheap.take().filter(|look| look.seen != Observation::Ready);
            }
        }
        let look = Look { at: now, took, seen };
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
            Some(Observation::Foreign { .. }) if self.shape.guessed && !cheap_speaks => Some(Verdict::Unconfirmed),
            _ => self.limits.verdict(now, self.anybody),
        }
    }

    /// When the admin API is next worth a look; never while it is known to be LIVE.
    fn cheap_due(&self) -> Duration {
        if !self.shape.cheap {
            return Duration::MAX;
        }
        match &self.cheap {
            None => self.authority.as_ref().map_or(Duration::ZERO, |look| look.at + pause(look.at, look.took)),
            Some(look) => match look.seen {
                Observation::Ready => Duration::MAX,
                // Neither changes while the proxy lives.
                Observation::Locked | Observation::Foreign { .. } => look.at + LONGEST_PAUSE,
                _ => look.at + pause(look.at, look.took),
            },
        }
    }

    /// When the authority is next worth a look.
    fn authority_due(&self) -> Duration {
        let last = self.authority.as_ref();
        let at = last.map_or(Duration::ZERO, |look| look.at);
        let pause = last.map_or(Duration::ZERO, |look| pause(look.at, look.took));
        let failed = last.is_some_and(|look| look.seen.speaks());
        if self.shape.cheap && self.cheap.is_none() {
            return Duration::MAX;
        }
        match (self.cheap.as_ref().map(|look| &look.seen), self.live_since) {
            (_, Some(live)) if at <= live => live,
            // LIVE, and the authority still says no: rarer the longer that lasts, each one is a line in a log.
            (_, Some(live)) => at + pause.max(at.saturating_sub(live) / SHARE_OF_PROXY).min(LONGEST_PAUSE),
            (Some(Observation::NotReady { .. }), _) if self.shape.same_server => Duration::MAX,
            (Some(Observation::NotReady { .. }), _) => at + SECOND_OPINION_PAUSE,
            (Some(_), _) if last.is_none() => at,
            (Some(_), _) => at + pause.max(AUTHORITY_PAUSE),
            // Nobody there: the address of the mesh's other versions is asked at once.
            _ if self.current > 0 && !failed => at,
            _ => at + pause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const ISTIO: Shape = Shape { cheap: true, authorities: 1, same_server: false, guessed: false };
    const ALONE: Shape = Shape { cheap: false, authorities: 1, same_server: false, guessed: false };

    fn limits() -> Limits {
        Limits { timeout: Some(Duration::from_mins(2)), absent_after: None, request_timeout: Duration::from_secs(1) }
    }

    fn not_ready() -> Observation {
        Observation::NotReady { status: 503, word: "PRE_INITIALIZING".to_owned() }
    }

    fn refused() -> Observation {
        Observation::Failed(Fault::Refused)
    }

    fn foreign() -> Observation {
        Observation::Foreign { status: 404, server: None }
    }

    /// Every look of a wait: at what, when.
    type Looks = Vec<(Target, Duration)>;

    /// Runs a wait against `world`, which says what a look at a target sees at a moment; a look takes 0.1 ms.
    fn simulate(mut gate: Gate, world: impl Fn(Target, Duration) -> Observation) -> (Verdict, Duration, Looks) {
        let (mut now, mut looks) = (Duration::ZERO, Vec::new());
        loop {
            match gate.next(now) {
                Next::Over(verdict) => return (verdict, now, looks),
                Next::Rest(until) => {
                    assert!(until > now, "a rest goes forward");
                    now = until;
                }
                Next::Look { target, .. } => {
                    looks.push((target, now));
                    let seen = world(target, now);
                    now += MS / 10;
                    gate.observe(target, now, MS / 10, seen);
                }
            }
        }
    }

    fn count(looks: &Looks, is: impl Fn(Target) -> bool) -> usize {
        looks.iter().filter(|(target, _)| is(*target)).count()
    }

    fn is_authority(target: Target) -> bool {
        target != Target::Cheap
    }

    /// A sidecar that is refused, then initializing from 0.3 s on, then LIVE and ready at `ready_at`.
    fn sidecar(ready_at: Duration) -> impl Fn(Target, Duration) -> Observation {
        move |_, now| match now {
            now if now >= ready_at => Observation::Ready,
            now if now >= 300 * MS => not_ready(),
            _ => refused(),
        }
    }

    #[test]
    fn readiness_is_seen_within_a_500th_of_the_wait() {
        for start in [310, 500, 1_000, 4_000, 20_000, 100_000] {
            let ready_at = start * MS;
            let (verdict, over, _) = simulate(Gate::new(limits(), ISTIO), sidecar(ready_at));
            assert_eq!(verdict, Verdict::Ready);
            let lag = over.saturating_sub(ready_at);
            assert!(lag <= 6 * MS.max(ready_at / 500), "{start} ms: {lag:?}");
        }
    }

    #[test]
    fn looks_grow_with_the_logarithm_of_the_wait() {
        let looks = |ready_at| simulate(Gate::new(limits(), ISTIO), sidecar(ready_at)).2.len();
        let (short, long) = (looks(10_000 * MS), looks(100_000 * MS));
        assert!(long - short < 1_300, "{short} looks in 10 s, {long} in 100 s");
    }

    #[test]
    fn the_authority_is_left_alone_while_the_admin_api_says_not_live() {
        let (_, _, looks) = simulate(Gate::new(limits(), ISTIO), sidecar(60_000 * MS));
        let bothered = looks.iter().filter(|(target, at)| is_authority(*target) && *at > 300 * MS).count();
        assert!(bothered <= 12, "{bothered} looks at the authority in a minute");
    }

    #[test]
    fn a_locked_admin_api_leaves_two_looks_a_second_at_the_authority() {
        let world = |target, now| match target {
            Target::Cheap => Observation::Locked,
            Target::Authority(_) if now < 20_000 * MS => not_ready(),
            Target::Authority(_) => Observation::Ready,
        };
        let (verdict, _, looks) = simulate(Gate::new(limits(), ISTIO), world);
        assert_eq!(verdict, Verdict::Ready);
        assert!(count(&looks, is_authority) <= 41, "{}", count(&looks, is_authority));
        assert!(count(&looks, |target| !is_authority(target)) <= 21);
    }

    #[test]
    fn rejected_configuration_is_asked_about_ever_more_rarely() {
        let world = |target, _| if is_authority(target) { not_ready() } else { Observation::Ready };
        let (verdict, over, looks) = simulate(Gate::new(limits(), ISTIO), world);
        assert_eq!((verdict, over), (Verdict::TimedOut, 120_000 * MS));
        assert!(count(&looks, is_authority) < 250, "{}", count(&looks, is_authority));
    }

    #[test]
    fn a_live_proxy_whose_authority_is_not_there_yet_is_not_hammered() {
        let world = |target, _| if is_authority(target) { refused() } else { Observation::Ready };
        let (_, _, looks) = simulate(Gate::new(limits(), ISTIO), world);
        assert!(looks.len() < 6_000, "{} looks in two minutes", looks.len());
    }

    #[test]
    fn server_info_is_asked_once_when_ready_says_live() {
        let shape = Shape { same_server: true, ..ISTIO };
        let (verdict, _, looks) = simulate(Gate::new(limits(), shape), sidecar(30_000 * MS));
        assert_eq!(verdict, Verdict::Ready);
        let after_it_spoke = looks.iter().filter(|(target, at)| is_authority(*target) && *at > 320 * MS).count();
        assert_eq!(after_it_spoke, 1);
    }

    #[test]
    fn a_proxy_that_restarts_is_waited_for_again() {
        let world = |target, now| match (target, now) {
            (Target::Cheap, now) if now < 1_000 * MS => Observation::Ready,
            (_, now) if now < 3_000 * MS => refused(),
            _ => Observation::Ready,
        };
        let (verdict, over, _) = simulate(Gate::new(limits(), ISTIO), world);
        assert_eq!(verdict, Verdict::Ready);
        assert!(over < 3_020 * MS, "{over:?}");
    }

    #[test]
    fn the_address_of_another_version_is_tried_at_once() {
        let shape = Shape { authorities: 2, ..ALONE };
        let world = |target, _| if target == Target::Authority(1) { Observation::Ready } else { refused() };
        let (verdict, over, looks) = simulate(Gate::new(limits(), shape), world);
        assert_eq!((verdict, looks.len()), (Verdict::Ready, 2));
        assert!(over < MS);
        let never =
            simulate(
                Gate::new(limits(), shape),
                |target, _| {
                    if target == Target::Authority(1) { not_ready() } else { refused() }
                },
            );
        assert!(never.2.len() < 3_000, "{} looks in two minutes", never.2.len());
    }

    #[test]
    fn absence_counts_only_while_nobody_has_shown_up() {
        let limits = Limits { absent_after: Some(3_000 * MS), ..limits() };
        let outcome = |seen: Observation| {
            let (verdict, over, _) = simulate(Gate::new(limits, ISTIO), |_, _| seen.clone());
            (verdict, over)
        };
        assert_eq!(outcome(refused()), (Verdict::Absent, 3_000 * MS));
        assert_eq!(outcome(foreign()), (Verdict::Absent, 3_000 * MS));
        assert_eq!(outcome(not_ready()), (Verdict::TimedOut, 120_000 * MS));
        assert_eq!(outcome(Observation::Failed(Fault::Silent)), (Verdict::TimedOut, 120_000 * MS));
    }

    #[test]
    fn a_guess_is_given_up_when_somebody_else_answers_and_a_given_mesh_is_not() {
        let guessed = Shape { guessed: true, ..ALONE };
        assert_eq!(simulate(Gate::new(limits(), guessed), |_, _| foreign()).0, Verdict::Unconfirmed);
        assert_eq!(simulate(Gate::new(limits(), ALONE), |_, _| foreign()).0, Verdict::TimedOut);
    }

    #[test]
    fn a_look_ends_with_the_wait_at_the_latest() {
        let gate = Gate::new(Limits { timeout: Some(300 * MS), ..limits() }, ALONE);
        assert_eq!(gate.next(Duration::ZERO), Next::Look { target: Target::Authority(0), until: 300 * MS });
    }

    #[test]
    fn a_look_cut_short_by_the_end_of_the_wait_hides_nothing() {
        let mut gate = Gate::new(Limits { timeout: Some(300 * MS), ..limits() }, ALONE);
        gate.observe(Target::Authority(0), 100 * MS, MS, not_ready());
        gate.observe(Target::Authority(0), 300 * MS, MS, Observation::Failed(Fault::Silent));
        assert_eq!(gate.last_seen().1, Some(&not_ready()));
        assert_eq!(gate.next(300 * MS), Next::Over(Verdict::TimedOut));
        let mut hung = Gate::new(limits(), ALONE);
        hung.observe(Target::Authority(0), 1_000 * MS, 1_000 * MS, Observation::Failed(Fault::Silent));
        assert_eq!(hung.last_seen().1, Some(&Observation::Failed(Fault::Silent)));
    }

    #[test]
    fn without_a_timeout_the_wait_goes_on() {
        let forever = Limits { timeout: None, ..limits() };
        let (verdict, over, _) = simulate(Gate::new(forever, ISTIO), sidecar(3_600_000 * MS));
        assert_eq!(verdict, Verdict::Ready);
        assert!(over < 3_601_001 * MS);
    }
}
