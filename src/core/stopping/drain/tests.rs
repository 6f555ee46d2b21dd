use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn plan(min: u32, max: u32) -> DrainPlan {
    DrainPlan { min: min * SECOND, max: max * SECOND, quiet: 2 * SECOND }
}

#[expect(clippy::unnecessary_wraps, reason = "what it stands for is an Option")]
fn at_work(count: u64) -> Option<ConnectionSample> {
    Some(ConnectionSample { open: count.max(1), at_work: count, ..ConnectionSample::default() })
}

fn requests(requests: u64, begun: u64) -> Counted {
    Counted::Activity(Activity { requests, connections: 0, begun: Some(begun) })
}

type World<'a> = (
    Option<CounterSource>,
    &'a dyn Fn(CounterSource, Duration) -> Counted,
    &'a dyn Fn(Duration) -> Option<ConnectionSample>,
);

/// Drains against a world of counters and connections; a look takes 0.1 ms. Why and when it is
/// over, and the looks at counters.
fn simulate(
    plan: DrainPlan,
    (counters, counted, connections): World<'_>,
) -> (DrainEnd, Duration, Vec<(CounterSource, Duration)>) {
    let (mut drain, mut now, mut looks) = (Drain::new(plan, counters), Duration::ZERO, Vec::new());
    loop {
        match drain.next(now) {
            DrainStep::Over(reason) => return (reason, now, looks),
            DrainStep::Rest(until) => {
                assert!(until > now, "a rest goes forward");
                now = until;
            }
            DrainStep::LookAt(counters) => {
                looks.push((counters, now));
                let seen = counted(counters, now);
                now += MS / 10;
                drain.on_counters(now, MS / 10, seen);
            }
            DrainStep::LookAtConnections => {
                let seen = connections(now);
                now += MS / 10;
                drain.on_connections(now, MS / 10, seen);
            }
        }
    }
}

const STATS: Option<CounterSource> = Some(CounterSource::Stats);

fn idle(reason: DrainEnd) -> Witnesses {
    let DrainEnd::Idle(witnesses) = reason else { panic!("{reason:?}") };
    witnesses
}

fn between(over: Duration, from: u32, to: u32) {
    assert!(over >= from * MS && over < to * MS, "{over:?}");
}

#[test]
fn an_idle_server_is_drained_for_the_shortest_time_with_any_proxy_and_with_none() {
    for counters in [None, STATS, Some(CounterSource::Metrics)] {
        let world: World<'_> = (counters, &|_, _| requests(0, 7), &|_| at_work(0));
        let (reason, over, looks) = simulate(plan(5, 15), world);
        between(over, 5_000, 5_020);
        assert_eq!(idle(reason).counters, counters);
        assert_eq!(idle(reason).kernel, at_work(0));
        assert!(looks.len() < 60, "{}", looks.len());
    }
}

#[test]
fn the_shortest_time_is_kept_whatever_becomes_of_the_proxy() {
    let worlds: [World<'_>; 3] = [
        (STATS, &|_, _| Counted::Gone, &|_| at_work(0)),
        (STATS, &|_, _| Counted::Unreadable, &|_| at_work(0)),
        (None, &|_, _| Counted::Gone, &|_| at_work(0)),
    ];
    for (index, world) in worlds.into_iter().enumerate() {
        let (reason, over, _) = simulate(plan(5, 15), world);
        between(over, 5_000, 5_020);
        assert_eq!(idle(reason).counters, None);
        assert_eq!(idle(reason).proxy_is_gone, index == 0);
    }
}

#[test]
fn both_must_be_idle() {
    let (until_6, until_8) = (6_000 * MS, 8_000 * MS);
    let busy = |until: Duration| {
        move |_: CounterSource, now: Duration| requests(u64::from(now < until), 7)
    };
    let work = |until: Duration| move |now: Duration| at_work(u64::from(now < until));
    let cases: [World<'_>; 2] =
        [(STATS, &busy(until_6), &work(until_8)), (STATS, &busy(until_8), &work(until_6))];
    for world in cases {
        let (reason, over, _) = simulate(plan(5, 15), world);
        // What was at work may have been one of many connections that come and go.
        between(over, 8_000, 8_700);
        assert_eq!(idle(reason).counters, STATS);
    }
}

#[test]
fn the_end_of_the_last_request_is_seen_at_once_where_the_kernel_is_idle() {
    let busy = |_: CounterSource, now: Duration| requests(u64::from(now < 7_300 * MS), 7);
    let (_, over, _) = simulate(plan(5, 15), (STATS, &busy, &|_| at_work(0)));
    between(over, 7_300, 7_320);
}

#[test]
fn a_connection_that_waits_for_its_quiet_time_ends_the_drain_on_time() {
    // The last byte moved at 4 s, and 2 s of quiet are needed.
    let connections = |now: Duration| {
        let until = (6_000 * MS).checked_sub(now).filter(|left| !left.is_zero());
        Some(ConnectionSample {
            open: 1,
            at_work: u64::from(until.is_some()),
            until,
            without_ages: false,
        })
    };
    let (reason, over, _) = simulate(plan(5, 15), (None, &|_, _| Counted::Gone, &connections));
    between(over, 6_000, 6_020);
    assert!(idle(reason).kernel.is_some());
}

#[test]
fn between_two_requests_is_not_idle() {
    // Ten short requests a second, none in flight whenever we look, until 6.5 s.
    let counted = |_: CounterSource, now: Duration| {
        requests(0, u64::try_from(now.min(6_500 * MS).as_millis() / 100).unwrap())
    };
    let (_, over, _) = simulate(plan(2, 15), (STATS, &counted, &|_| at_work(0)));
    between(over, 7_000, 7_100);
    // The same without a proxy: each client connects anew, and every other look sees one.
    let connections = |now: Duration| {
        let is_there = now < 6_500 * MS && (now.as_millis() / 100).is_multiple_of(2);
        at_work(u64::from(is_there))
    };
    let (_, over, _) = simulate(plan(2, 15), (None, &|_, _| Counted::Gone, &connections));
    between(over, 6_900, 7_200);
}

#[test]
fn plain_tcp_through_the_proxy_is_counted_where_it_can_end_at_the_application() {
    let tcp = |_: CounterSource, now: Duration| {
        let connections = u64::from(now < 7_000 * MS);
        Counted::Activity(Activity { requests: 0, connections, begun: Some(1) })
    };
    let (reason, over, _) = simulate(plan(1, 15), (STATS, &tcp, &|_| at_work(0)));
    between(over, 7_000, 7_020);
    assert_eq!(idle(reason).counters, STATS);
    // The application has no open connection: what the proxy counts leads out of the pod.
    let nothing = |_| Some(ConnectionSample::default());
    let (_, over, _) = simulate(plan(1, 15), (STATS, &tcp, &nothing));
    between(over, 1_000, 1_020);
}

#[test]
fn what_never_ends_is_cut_at_the_longest_time_and_counted() {
    let counted =
        |_: CounterSource, now: Duration| requests(3, u64::try_from(now.as_millis()).unwrap());
    let (reason, over, looks) = simulate(plan(5, 15), (STATS, &counted, &|_| at_work(2)));
    let left = Left { requests: Some(3), connections: Some(0), at_work: Some(2) };
    assert_eq!((reason, over), (DrainEnd::OutOfTime(left), 15_000 * MS));
    assert!(looks.len() < 150, "{}", looks.len());
}

#[test]
fn idle_at_the_very_end_is_not_out_of_time() {
    for counters in [None, STATS, Some(CounterSource::Metrics)] {
        let world: World<'_> = (counters, &|_, _| requests(0, 7), &|_| at_work(0));
        for min in [0, 1, 5] {
            let (reason, over, _) = simulate(plan(min, min), world);
            let is_at_once = counters.is_some() && min == 0;
            between(over, min * 1_000, min * 1_000 + 1);
            let witnesses = idle(reason);
            assert_eq!(witnesses.kernel, at_work(0));
            assert_eq!(witnesses.counters, counters.filter(|_| !is_at_once), "{min}");
        }
    }
    // What the kernel saw before the end is not what it says at the end.
    let busy_at_the_end = |now: Duration| at_work(u64::from(now >= SECOND));
    let (reason, ..) = simulate(plan(1, 1), (None, &|_, _| Counted::Gone, &busy_at_the_end));
    assert_eq!(reason, DrainEnd::OutOfTime(Left { at_work: Some(1), ..Left::default() }));
    // Nothing is in flight whenever we look, and requests begin all the time.
    let counted =
        |_: CounterSource, now: Duration| requests(0, u64::try_from(now.as_millis()).unwrap());
    let (reason, ..) = simulate(plan(1, 2), (STATS, &counted, &|_| at_work(0)));
    assert!(matches!(reason, DrainEnd::OutOfTime(_)), "{reason:?}");
}

#[test]
fn linkerds_metrics_are_read_once_a_second() {
    let busy = |_: CounterSource, now: Duration| requests(u64::from(now < 9_100 * MS), 7);
    let (_, over, looks) =
        simulate(plan(5, 15), (Some(CounterSource::Metrics), &busy, &|_| at_work(0)));
    between(over, 9_100, 10_200);
    assert!(looks.len() < 9, "{looks:?}");
}

#[test]
fn the_first_counters_that_speak_are_the_ones() {
    let clusters = |counters, _| match counters {
        CounterSource::Clusters => requests(0, 1),
        _ => Counted::Unreadable,
    };
    let (reason, _, looks) = simulate(plan(5, 15), (STATS, &clusters, &|_| at_work(0)));
    assert_eq!(looks[0].0, CounterSource::Stats);
    assert!(looks[1..].iter().all(|(counters, _)| *counters == CounterSource::Clusters));
    assert_eq!(idle(reason).counters, Some(CounterSource::Clusters));
}

#[test]
fn counters_that_have_spoken_are_given_up_only_after_three_failures() {
    let once = |counters, now: Duration| match counters {
        CounterSource::Stats if now < 6_000 * MS || now > 6_015 * MS => {
            requests(u64::from(now < 8_000 * MS), 1)
        }
        CounterSource::Stats => Counted::Unreadable,
        _ => panic!("one failure is no reason to leave a source"),
    };
    let (reason, ..) = simulate(plan(5, 15), (STATS, &once, &|_| at_work(0)));
    assert_eq!(idle(reason).counters, STATS);
    let silent = |counters, now: Duration| match counters {
        CounterSource::Stats if now < 6_000 * MS => requests(1, 1),
        _ => Counted::Unreadable,
    };
    let (reason, over, _) = simulate(plan(5, 15), (STATS, &silent, &|_| at_work(0)));
    assert_eq!(idle(reason).counters, None);
    between(over, 6_000, 6_200);
}

#[test]
fn where_nobody_says_anything_the_longest_time_is_taken() {
    let (reason, over, looks) =
        simulate(plan(5, 15), (STATS, &|_, _| Counted::Unreadable, &|_| None));
    assert_eq!((reason, over), (DrainEnd::OutOfTime(Left::default()), 15_000 * MS));
    assert_eq!(looks.len(), 2);
    // The proxy alone is enough, where the kernel says nothing.
    let (reason, over, _) = simulate(plan(5, 15), (STATS, &|_, _| requests(0, 7), &|_| None));
    assert_eq!((idle(reason).kernel, idle(reason).counters), (None, STATS));
    between(over, 5_000, 5_020);
}

#[test]
fn zero_means_at_once() {
    let world: World<'_> = (STATS, &|_, _| requests(0, 7), &|_| at_work(0));
    let (_, over, _) = simulate(plan(0, 15), world);
    assert!(over < MS, "{over:?}");
}
