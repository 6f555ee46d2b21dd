use super::*;

const MS: Duration = Duration::from_millis(1);
const ISTIO: Shape = Shape { cheap: true, authorities: 1, same_server: false, guessed: false };
const ALONE: Shape = Shape { cheap: false, authorities: 1, same_server: false, guessed: false };

fn limits() -> Limits {
    Limits {
        timeout: Some(Duration::from_mins(2)),
        absent_after: None,
        request_timeout: Duration::from_secs(1),
    }
}

fn says(word: &str) -> Observation {
    Observation::NotReady { status: 503, state: State::of(word.as_bytes()) }
}

fn not_ready() -> Observation {
    says("INITIALIZING")
}

fn refused() -> Observation {
    Observation::Failed(Fault::Refused)
}

fn foreign() -> Observation {
    Observation::Foreign { status: 404, server: None }
}

/// Every look of a wait: at what, when.
type Looks = Vec<(Target, Duration)>;

/// Runs a wait against `world`, which says what a look at a target sees at a moment; a look takes
/// 0.1 ms.
fn simulate(
    mut readiness: Readiness,
    world: impl Fn(Target, Duration) -> Observation,
) -> (Verdict, Duration, Looks) {
    let (mut now, mut looks) = (Duration::ZERO, Vec::new());
    loop {
        match readiness.next(now) {
            Next::Over(verdict) => return (verdict, now, looks),
            Next::Rest(until) => {
                assert!(until > now, "a rest goes forward");
                now = until;
            }
            Next::Look { target, .. } => {
                looks.push((target, now));
                let seen = world(target, now);
                now += MS / 10;
                readiness.observe(target, now, MS / 10, seen);
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

/// A sidecar that refuses, then is initializing from 0.3 s on, then LIVE and ready at `ready_at`.
fn sidecar(ready_at: Duration) -> impl Fn(Target, Duration) -> Observation {
    move |_, now| match now {
        now if now >= ready_at => Observation::Ready,
        now if now >= 300 * MS => not_ready(),
        _ => refused(),
    }
}

#[test]
fn readiness_is_seen_within_a_600th_of_the_wait() {
    for start in [310, 500, 1_000, 4_000, 20_000, 100_000] {
        let ready_at = start * MS;
        let (verdict, over, _) = simulate(Readiness::new(limits(), ISTIO), sidecar(ready_at));
        assert_eq!(verdict, Verdict::Ready);
        let lag = over.saturating_sub(ready_at);
        assert!(lag <= 5 * MS.max(ready_at / 3_000), "{start} ms: {lag:?}");
    }
}

#[test]
fn a_proxy_that_is_far_from_ready_is_looked_at_more_rarely() {
    let looks_in_a_second = |seen: Observation| {
        let wait = Limits { timeout: Some(1_000 * MS), ..limits() };
        simulate(Readiness::new(wait, ALONE), |_, _| seen.clone()).2.len()
    };
    let (near, far, absent) = (
        looks_in_a_second(not_ready()),
        looks_in_a_second(says("PRE_INITIALIZING")),
        looks_in_a_second(refused()),
    );
    assert!(
        near > 240 && (45..=51).contains(&far) && (45..=51).contains(&absent),
        "{near} {far} {absent}"
    );
}

#[test]
fn a_proxy_that_is_ready_as_soon_as_it_listens_is_seen_within_a_120th() {
    for start in [10, 500, 20_000] {
        let ready_at = start * MS;
        let world = |_, now| if now >= ready_at { Observation::Ready } else { refused() };
        let (_, over, _) = simulate(Readiness::new(limits(), ALONE), world);
        let lag = over.saturating_sub(ready_at);
        assert!(lag <= 21 * MS.max(ready_at / 2_500), "{start} ms: {lag:?}");
    }
}

#[test]
fn looks_grow_with_the_logarithm_of_the_wait() {
    let looks = |ready_at| simulate(Readiness::new(limits(), ISTIO), sidecar(ready_at)).2.len();
    let (short, long) = (looks(10_000 * MS), looks(100_000 * MS));
    assert!(long - short < 1_500, "{short} looks in 10 s, {long} in 100 s");
}

#[test]
fn the_authority_is_left_alone_while_the_admin_api_says_not_live() {
    let (_, _, looks) = simulate(Readiness::new(limits(), ISTIO), sidecar(60_000 * MS));
    let bothered =
        looks.iter().filter(|(target, at)| is_authority(*target) && *at > 300 * MS).count();
    assert!(bothered <= 13, "{bothered} looks at the authority in a minute");
}

/// As Istio's: the admin API says `word`, and nobody listens at the authority's port until the
/// proxy is ready.
fn closed_until(
    ready_at: Duration,
    before: Observation,
) -> impl Fn(Target, Duration) -> Observation {
    move |target, now| match target {
        _ if now >= ready_at => Observation::Ready,
        Target::Cheap => before.clone(),
        Target::Authority(_) => refused(),
    }
}

#[test]
fn a_port_that_opens_is_seen_at_once_and_the_admin_api_is_left_alone_meanwhile() {
    for start in [500, 4_000, 20_000] {
        let ready_at = start * MS;
        for (word, nearest) in [
            ("PRE_INITIALIZING", 21 * MS.max(ready_at / 2_500)),
            ("INITIALIZING", 5 * MS.max(ready_at / 3_000)),
        ] {
            let (_, over, looks) =
                simulate(Readiness::new(limits(), ISTIO), closed_until(ready_at, says(word)));
            let lag = over.saturating_sub(ready_at);
            assert!(lag <= nearest, "{word} for {start} ms: {lag:?}");
            let (asked, watched) =
                (count(&looks, |target| !is_authority(target)), count(&looks, is_authority));
            assert!(asked * 4 < watched, "{word} for {start} ms: {asked} and {watched} looks");
        }
    }
}

#[test]
fn behind_a_locked_admin_api_a_port_that_opens_is_seen_at_once() {
    let (_, over, _) =
        simulate(Readiness::new(limits(), ISTIO), closed_until(3_000 * MS, Observation::Locked));
    assert!(over < 3_006 * MS, "{over:?}");
}

#[test]
fn a_locked_admin_api_leaves_two_looks_a_second_at_the_authority() {
    let world = |target, now| match target {
        Target::Cheap => Observation::Locked,
        Target::Authority(_) if now < 20_000 * MS => not_ready(),
        Target::Authority(_) => Observation::Ready,
    };
    let (verdict, _, looks) = simulate(Readiness::new(limits(), ISTIO), world);
    assert_eq!(verdict, Verdict::Ready);
    assert!(count(&looks, is_authority) <= 41, "{}", count(&looks, is_authority));
    assert!(count(&looks, |target| !is_authority(target)) <= 21);
}

#[test]
fn rejected_configuration_is_asked_about_ever_more_rarely() {
    let world = |target, _| if is_authority(target) { not_ready() } else { Observation::Ready };
    let (verdict, over, looks) = simulate(Readiness::new(limits(), ISTIO), world);
    assert_eq!((verdict, over), (Verdict::TimedOut, 120_000 * MS));
    assert!(count(&looks, is_authority) < 250, "{}", count(&looks, is_authority));
}

#[test]
fn a_live_proxy_whose_authority_is_not_there_yet_is_not_hammered() {
    let world = |target, _| if is_authority(target) { refused() } else { Observation::Ready };
    let (_, _, looks) = simulate(Readiness::new(limits(), ISTIO), world);
    assert!(looks.len() < 6_000, "{} looks in two minutes", looks.len());
}

#[test]
fn server_info_is_asked_once_when_ready_says_live() {
    let shape = Shape { same_server: true, ..ISTIO };
    let (verdict, _, looks) = simulate(Readiness::new(limits(), shape), sidecar(30_000 * MS));
    assert_eq!(verdict, Verdict::Ready);
    let after_it_spoke =
        looks.iter().filter(|(target, at)| is_authority(*target) && *at > 320 * MS).count();
    assert_eq!(after_it_spoke, 1);
}

#[test]
fn a_proxy_that_restarts_is_waited_for_again() {
    let world = |target, now| match (target, now) {
        (Target::Cheap, now) if now < 1_000 * MS => Observation::Ready,
        (_, now) if now < 3_000 * MS => refused(),
        _ => Observation::Ready,
    };
    let (verdict, over, _) = simulate(Readiness::new(limits(), ISTIO), world);
    assert_eq!(verdict, Verdict::Ready);
    assert!(over < 3_020 * MS, "{over:?}");
}

#[test]
fn the_address_of_another_version_is_tried_at_once() {
    let shape = Shape { authorities: 2, ..ALONE };
    let world =
        |target, _| if target == Target::Authority(1) { Observation::Ready } else { refused() };
    let (verdict, over, looks) = simulate(Readiness::new(limits(), shape), world);
    assert_eq!((verdict, looks.len()), (Verdict::Ready, 2));
    assert!(over < MS);
    let never = simulate(Readiness::new(limits(), shape), |target, _| {
        if target == Target::Authority(1) { not_ready() } else { refused() }
    });
    assert!(never.2.len() < 3_000, "{} looks in two minutes", never.2.len());
}

#[test]
fn absence_counts_only_while_nobody_has_shown_up() {
    let limits = Limits { absent_after: Some(3_000 * MS), ..limits() };
    let outcome = |seen: Observation| {
        let (verdict, over, _) = simulate(Readiness::new(limits, ISTIO), |_, _| seen.clone());
        (verdict, over)
    };
    assert_eq!(outcome(refused()), (Verdict::Absent, 3_000 * MS));
    assert_eq!(outcome(foreign()), (Verdict::Absent, 3_000 * MS));
    assert_eq!(outcome(not_ready()), (Verdict::TimedOut, 120_000 * MS));
    assert_eq!(outcome(Observation::Failed(Fault::Silent)), (Verdict::TimedOut, 120_000 * MS));
}

#[test]
fn absence_at_once_still_takes_a_look() {
    let limits = Limits { absent_after: Some(Duration::ZERO), ..limits() };
    assert_eq!(simulate(Readiness::new(limits, ALONE), |_, _| refused()).0, Verdict::Absent);
    assert_eq!(
        simulate(Readiness::new(limits, ALONE), |_, _| Observation::Ready).0,
        Verdict::Ready
    );
}

#[test]
fn a_guess_is_given_up_when_somebody_else_answers_and_a_given_mesh_is_not() {
    let guessed = Shape { guessed: true, ..ALONE };
    assert_eq!(
        simulate(Readiness::new(limits(), guessed), |_, _| foreign()).0,
        Verdict::Unconfirmed
    );
    assert_eq!(simulate(Readiness::new(limits(), ALONE), |_, _| foreign()).0, Verdict::TimedOut);
}

#[test]
fn a_look_ends_with_the_wait_at_the_latest() {
    let readiness = Readiness::new(Limits { timeout: Some(300 * MS), ..limits() }, ALONE);
    assert_eq!(
        readiness.next(Duration::ZERO),
        Next::Look { target: Target::Authority(0), until: 300 * MS }
    );
}

#[test]
fn one_slow_answer_does_not_lengthen_the_pause_and_slow_answers_do() {
    let mut readiness = Readiness::new(limits(), ALONE);
    let (mut now, mut rests) = (Duration::ZERO, Vec::new());
    for took in
        [MS / 10, 50 * MS, MS / 10, 50 * MS, 50 * MS, 50 * MS, 50 * MS, 50 * MS, 50 * MS, 50 * MS]
    {
        now += took;
        readiness.observe(Target::Authority(0), now, took, not_ready());
        let Next::Rest(until) = readiness.next(now) else { panic!("a look is followed by a rest") };
        rests.push(until.saturating_sub(now));
        now = until;
    }
    assert!(rests[..4].iter().all(|rest| *rest == 4 * MS), "{rests:?}");
    assert!(rests[9] > 100 * MS, "{rests:?}");
}

#[test]
fn a_look_cut_short_by_the_end_of_the_wait_hides_nothing() {
    let mut readiness = Readiness::new(Limits { timeout: Some(300 * MS), ..limits() }, ALONE);
    readiness.observe(Target::Authority(0), 100 * MS, MS, not_ready());
    readiness.observe(Target::Authority(0), 300 * MS, MS, Observation::Failed(Fault::Silent));
    assert_eq!(readiness.last_seen().1, Some(&not_ready()));
    assert_eq!(readiness.next(300 * MS), Next::Over(Verdict::TimedOut));
    let mut hung = Readiness::new(limits(), ALONE);
    hung.observe(Target::Authority(0), 1_000 * MS, 1_000 * MS, Observation::Failed(Fault::Silent));
    assert_eq!(hung.last_seen().1, Some(&Observation::Failed(Fault::Silent)));
}

#[test]
fn without_a_timeout_the_wait_goes_on() {
    let forever = Limits { timeout: None, ..limits() };
    let (verdict, over, _) = simulate(Readiness::new(forever, ISTIO), sidecar(3_600_000 * MS));
    assert_eq!(verdict, Verdict::Ready);
    assert!(over < 3_601_001 * MS);
}
