use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn times(min: u32, max: u32) -> Times {
    Times { min: min * SECOND, max: max * SECOND, grace: 28 * SECOND }
}

fn istio(life: u32) -> ServerInfo {
    let termination_drain = Some(life * SECOND);
    ServerInfo { native: Some(false), termination_drain, ..ServerInfo::default() }
}

fn busy(active: u64, begun: u64) -> Seen {
    Seen::Busy { activity: Activity { active, begun: Some(begun) }, draining: false }
}

/// Drains against `world`; a look takes 0.1 ms. Why and when it is over, and the looks.
fn simulate(
    plan: Plan,
    world: impl Fn(Source, Duration) -> Seen,
) -> (Reason, Duration, Vec<(Source, Duration)>) {
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
        (times(5, 15), Some(ServerInfo { native: Some(true), ..istio(5) }), (5_000, 15_000)),
        (times(5, 15), Some(ServerInfo { exits_on_zero: true, ..istio(5) }), (5_000, 15_000)),
        (times(5, 15), Some(ServerInfo::default()), (5_000, 15_000)),
    ];
    for (times, facts, (min, max)) in table {
        assert_eq!(Plan::new(times, facts.as_ref()).times(), (min * MS, max * MS), "{facts:?}");
    }
}

#[test]
fn what_does_not_fit_is_said_with_the_annotation_that_fixes_it() {
    let said = misfits(times(5, 15), &istio(5));
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains(r#"proxy.istio.io/config: '{"terminationDrainDuration": "28s"}'"#),
        "{said:?}"
    );
    assert!(said[0].contains("killed 5s after SIGTERM"), "{said:?}");
    assert!(misfits(times(5, 15), &istio(28)).is_empty());
    assert!(misfits(times(5, 15), &ServerInfo { native: Some(true), ..istio(5) }).is_empty());
    let gradual = ServerInfo {
        drains_gradually: true,
        drain_time: Some(600 * SECOND),
        ..ServerInfo::default()
    };
    assert!(misfits(times(5, 15), &gradual)[0].contains("--drain-strategy immediate"));
}

#[test]
fn an_idle_proxy_is_drained_for_the_shortest_time() {
    let (reason, over, looks) = simulate(Plan::new(times(5, 15), None), |_, _| busy(0, 7));
    assert_eq!(reason, Reason::Idle(Source::Stats));
    assert!(over >= 5_000 * MS && over < 5_020 * MS, "{over:?}");
    assert!(looks.len() < 120, "{}", looks.len());
}

#[test]
fn the_end_of_the_last_request_is_seen_at_once() {
    let world = |_, now| busy(u64::from(now < 7_300 * MS), 7);
    let (reason, over, _) = simulate(Plan::new(times(5, 15), None), world);
    assert_eq!(reason, Reason::Idle(Source::Stats));
    assert!(over >= 7_300 * MS && over < 7_320 * MS, "{over:?}");
}

#[test]
fn between_two_requests_is_not_idle() {
    // Ten short requests a second, none in flight whenever we look, until 6.5 s.
    let world =
        |_, now: Duration| busy(0, u64::try_from(now.min(6_500 * MS).as_millis() / 100).unwrap());
    let (reason, over, _) = simulate(Plan::new(times(2, 15), None), world);
    assert_eq!(reason, Reason::Idle(Source::Stats));
    assert!(over >= 7_000 * MS && over < 7_100 * MS, "{over:?}");
}

#[test]
fn what_never_ends_is_cut_at_the_longest_time() {
    let (reason, over, looks) = simulate(Plan::new(times(5, 15), None), |_, now| {
        busy(3, u64::try_from(now.as_millis()).unwrap())
    });
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
    assert_eq!(reason, Reason::Idle(Source::Stats));
    assert!(over < 1_520 * MS, "{over:?}");
}

#[test]
fn the_first_source_that_speaks_is_the_one() {
    let silent = |until: Source| {
        move |source, _| if source == until { busy(0, 1) } else { Seen::Unreadable }
    };
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
        Source::Stats if now < 6_000 * MS || now > 6_015 * MS => {
            busy(u64::from(now < 8_000 * MS), 1)
        }
        Source::Stats => Seen::Unreadable,
        _ => panic!("one failure is no reason to leave a source"),
    };
    assert_eq!(simulate(Plan::new(times(5, 15), None), world).0, Reason::Idle(Source::Stats));
    let world = |source, now| match source {
        Source::Stats if now < 6_000 * MS => busy(1, 1),
        Source::Sockets => {
            Seen::Busy { activity: Activity { active: 0, begun: None }, draining: false }
        }
        _ => Seen::Unreadable,
    };
    let (reason, over, _) = simulate(Plan::new(times(5, 15), None), world);
    assert_eq!(reason, Reason::Idle(Source::Sockets));
    assert!(over < 6_100 * MS, "{over:?}");
}

#[test]
fn zero_means_at_once() {
    let (reason, over, _) = simulate(Plan::new(times(0, 15), None), |_, _| busy(0, 7));
    assert_eq!(reason, Reason::Idle(Source::Stats));
    assert!(over < MS, "{over:?}");
}
