use super::*;

/// A sidecar that refuses, then is initializing from 0.3 s on, then LIVE and ready at `ready_at`.
fn sidecar(ready_at: Duration) -> impl Fn(At, Duration) -> Observation {
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
        let (ending, over, _) = simulate(&istio(), sidecar(ready_at));
        assert_eq!(ending, Ending::Ready);
        let lag = over.saturating_sub(ready_at);
        assert!(lag <= 5 * MS.max(ready_at / 3_000), "{start} ms: {lag:?}");
    }
}

#[test]
fn a_proxy_that_is_far_from_ready_is_looked_at_more_rarely() {
    let looks_in_a_second = |seen: Observation| {
        let second = within(alone(), |limits| limits.timeout = Some(1_000 * MS));
        simulate(&second, |_, _| seen.clone()).2.len()
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
        let (_, over, _) = simulate(&alone(), world);
        let lag = over.saturating_sub(ready_at);
        assert!(lag <= 21 * MS.max(ready_at / 2_500), "{start} ms: {lag:?}");
    }
}

#[test]
fn looks_grow_with_the_logarithm_of_the_wait() {
    let looks = |ready_at| simulate(&istio(), sidecar(ready_at)).2.len();
    let (short, long) = (looks(10_000 * MS), looks(100_000 * MS));
    assert!(long - short < 1_500, "{short} looks in 10 s, {long} in 100 s");
}

#[test]
fn the_endpoint_is_left_alone_while_the_admin_api_says_not_live() {
    let (_, _, looks) = simulate(&istio(), sidecar(60_000 * MS));
    let looked = looks.iter().filter(|(at, when)| is_endpoint(*at) && *when > 300 * MS).count();
    assert!(looked <= 13, "{looked} looks at the endpoint in a minute");
}

/// As Istio's: the admin API says `word`, and nobody listens at the endpoint's port until the
/// proxy is ready.
fn closed_until(ready_at: Duration, before: Observation) -> impl Fn(At, Duration) -> Observation {
    move |at, now| match at {
        _ if now >= ready_at => Observation::Ready,
        At::Cheap => before.clone(),
        _ => refused(),
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
            let (_, over, looks) = simulate(&istio(), closed_until(ready_at, says(word)));
            let lag = over.saturating_sub(ready_at);
            assert!(lag <= nearest, "{word} for {start} ms: {lag:?}");
            let (asked, watched) =
                (count(&looks, |at| !is_endpoint(at)), count(&looks, is_endpoint));
            assert!(asked * 4 < watched, "{word} for {start} ms: {asked} and {watched} looks");
        }
    }
}

#[test]
fn behind_a_locked_admin_api_a_port_that_opens_is_seen_at_once() {
    let (_, over, _) = simulate(&istio(), closed_until(3_000 * MS, Observation::Locked));
    assert!(over < 3_006 * MS, "{over:?}");
}

#[test]
fn a_locked_admin_api_leaves_two_looks_a_second_at_the_endpoint() {
    let world = |at, now| match at {
        At::Cheap => Observation::Locked,
        _ if now < 20_000 * MS => not_ready(),
        _ => Observation::Ready,
    };
    let (ending, _, looks) = simulate(&istio(), world);
    assert_eq!(ending, Ending::Ready);
    assert!(count(&looks, is_endpoint) <= 41, "{}", count(&looks, is_endpoint));
    assert!(count(&looks, |at| !is_endpoint(at)) <= 21);
}

#[test]
fn rejected_configuration_is_asked_about_at_full_pace_for_a_second_and_then_rarely() {
    let world = |at, _| if is_endpoint(at) { not_ready() } else { Observation::Ready };
    let (ending, over, looks) = simulate(&istio(), world);
    assert_eq!((ending, over), (Ending::TimedOut, 120_000 * MS));
    let first = looks.iter().filter(|(at, when)| is_endpoint(*at) && *when < 1_010 * MS).count();
    assert!((200..=251).contains(&first), "{first} in the first second");
    assert!(count(&looks, is_endpoint) - first <= 239, "{}", count(&looks, is_endpoint));
}

#[test]
fn a_live_proxy_whose_endpoint_is_not_there_yet_is_asked_with_pauses() {
    let world = |at, _| if is_endpoint(at) { refused() } else { Observation::Ready };
    let (_, _, looks) = simulate(&istio(), world);
    assert!(looks.len() < 6_000, "{} looks in two minutes", looks.len());
}

#[test]
fn server_info_is_asked_once_when_ready_says_live() {
    let (ending, _, looks) = simulate(&server_info(), sidecar(30_000 * MS));
    assert_eq!(ending, Ending::Ready);
    let after_it_spoke =
        looks.iter().filter(|(at, when)| is_endpoint(*at) && *when > 320 * MS).count();
    assert_eq!(after_it_spoke, 1);
}

#[test]
fn a_proxy_that_restarts_is_waited_for_again() {
    let world = |at, now| match (at, now) {
        (At::Cheap, now) if now < 1_000 * MS => Observation::Ready,
        (_, now) if now < 3_000 * MS => refused(),
        _ => Observation::Ready,
    };
    let (ending, over, _) = simulate(&istio(), world);
    assert_eq!(ending, Ending::Ready);
    assert!(over < 3_020 * MS, "{over:?}");
}

#[test]
fn the_address_of_another_version_is_tried_at_once() {
    let kuma = named(Mesh::Kuma);
    let world = |at, _| if at == At::Second { Observation::Ready } else { refused() };
    let (ending, over, looks) = simulate(&kuma, world);
    assert_eq!((ending, looks.len()), (Ending::Ready, 2));
    assert!(over < MS);
    let never = simulate(&kuma, |at, _| if at == At::Second { not_ready() } else { refused() });
    assert!(never.2.len() < 3_000, "{} looks in two minutes", never.2.len());
}

/// Kuma before 2.14: its agent says READY before Envoy has started.
#[test]
fn the_word_of_the_agent_is_not_that_of_envoy() {
    let agent = || Observation::AgentRuns(State::of(b"READY"));
    for ready_at in [1_250 * MS, 6_900 * MS] {
        let world = |at, now| match at {
            At::First => agent(),
            _ if now < 300 * MS => refused(),
            _ if now < ready_at => not_ready(),
            _ => Observation::Ready,
        };
        let (ending, over, _) = simulate(&named(Mesh::Kuma), world);
        assert_eq!(ending, Ending::Ready);
        assert!(over >= ready_at && over < ready_at + 20 * MS, "{over:?}");
    }
}

#[test]
fn absence_counts_only_while_nobody_has_shown_up() {
    let outcome = |seen: Observation| {
        let plan = within(istio(), |limits| limits.absent_after = Some(3_000 * MS));
        let (ending, over, _) = simulate(&plan, |_, _| seen.clone());
        (ending, over)
    };
    assert_eq!(outcome(refused()), (Ending::WithoutProxy, 3_000 * MS));
    assert_eq!(outcome(foreign()), (Ending::WithoutProxy, 3_000 * MS));
    assert_eq!(outcome(not_ready()), (Ending::TimedOut, 120_000 * MS));
    assert_eq!(outcome(Observation::Failed(Fault::Silent)), (Ending::TimedOut, 120_000 * MS));
}

#[test]
fn absence_at_once_still_takes_a_look() {
    let at_once = within(alone(), |limits| limits.absent_after = Some(Duration::ZERO));
    assert_eq!(simulate(&at_once, |_, _| refused()).0, Ending::WithoutProxy);
    assert_eq!(simulate(&at_once, |_, _| Observation::Ready).0, Ending::Ready);
}

#[test]
fn a_look_ends_with_the_wait_at_the_latest() {
    let short = within(alone(), |limits| limits.timeout = Some(300 * MS));
    let (wait, _) = Wait::new(&short);
    let Step::Look { until, .. } = wait.next(Duration::ZERO) else { panic!("a look comes first") };
    assert_eq!(until, 300 * MS);
}

/// A wait for one endpoint, and that endpoint.
fn watching(plan: &WaitPlan) -> (Wait, Place) {
    let (wait, _) = Wait::new(plan);
    let Step::Look { at, .. } = wait.next(Duration::ZERO) else { panic!("a look comes first") };
    (wait, at)
}

/// The rests after looks that take so long.
fn rests(looks: &[Duration]) -> Vec<Duration> {
    let (mut wait, at) = watching(&alone());
    let (mut now, mut rests) = (Duration::ZERO, Vec::new());
    for took in looks {
        now += *took;
        wait.observe(&at, now, *took, not_ready(), false);
        if wait.next(now) == Step::List {
            wait.listed(now, Duration::ZERO, Ok(&[]));
        }
        let Step::Rest(until) = wait.next(now) else { panic!("a look is followed by a rest") };
        rests.push(until.saturating_sub(now));
        now = until;
    }
    rests
}

#[test]
fn one_slow_answer_does_not_lengthen_the_pause_and_slow_answers_do() {
    let rests = rests(&[MS / 10, 50 * MS, MS / 10, 50 * MS, 50 * MS, 50 * MS]);
    assert!(rests[..4].iter().all(|rest| *rest == 4 * MS), "{rests:?}");
    // Cut by the list of sockets that is due each second.
    assert!(rests[5] > 100 * MS, "{rests:?}");
}

/// linkerd-proxy listens on 4191 some 40 ms before it serves it.
#[test]
fn a_slow_first_answer_is_not_the_proxys_cost() {
    assert_eq!(rests(&[31 * MS, MS / 10])[..], [4 * MS, 4 * MS]);
}

#[test]
fn a_look_cut_short_by_the_end_of_the_wait_hides_nothing() {
    let (mut wait, at) = watching(&within(alone(), |limits| limits.timeout = Some(300 * MS)));
    wait.observe(&at, 100 * MS, MS, not_ready(), false);
    wait.observe(&at, 300 * MS, MS, Observation::Failed(Fault::Silent), false);
    assert_eq!(wait.next(300 * MS), Step::Over(Ending::TimedOut));
    assert!(wait.explain(&Hints::default()).contains("503 INITIALIZING"));
    let (mut hung, at) = watching(&alone());
    hung.observe(&at, 1_000 * MS, 1_000 * MS, Observation::Failed(Fault::Silent), false);
    assert!(hung.explain(&Hints::default()).contains("no answer in time"));
}

#[test]
fn without_a_timeout_the_wait_goes_on() {
    let forever = within(istio(), |limits| limits.timeout = None);
    let (ending, over, _) = simulate(&forever, sidecar(3_600_000 * MS));
    assert_eq!(ending, Ending::Ready);
    assert!(over < 3_601_001 * MS);
}
