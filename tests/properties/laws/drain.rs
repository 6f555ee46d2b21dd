//! Draining: it ends between its shortest and its longest time, and waits for what is in flight.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::select;

use meshim::core::envoy::activity::Activity;
use meshim::core::stopping::drain::{Counted, CounterSource, Drain, DrainEnd, DrainStep};
use meshim::core::stopping::drained;
use meshim::core::stopping::idle::ConnectionSample;
use meshim::core::stopping::plan::{DrainPlan, Times};

use super::{MS, Tries, milliseconds};

/// More steps than it needs for what it is given here.
const FOR_EVER: usize = 100_000;

fn times() -> impl Strategy<Value = DrainPlan> {
    let long = proptest::prop_oneof![
        5 => milliseconds(0..20_000),
        1 => Just(Duration::from_hours(720)),
        1 => Just(Duration::ZERO),
    ];
    (milliseconds(0..20_000), milliseconds(0..20_000), long).prop_map(|(min, more, quiet)| {
        DrainPlan::new(Times { min, max: min + more, quiet, grace: None }, None)
    })
}

fn sample() -> impl Strategy<Value = Option<ConnectionSample>> {
    let some = (0..4_u64, 0..4_u64, option::of(milliseconds(0..10_000)), any::<bool>()).prop_map(
        |(open, at_work, until, without_ages)| {
            let until = until.filter(|_| at_work > 0);
            ConnectionSample { open, at_work, until, without_ages }
        },
    );
    option::weighted(0.9, some)
}

fn counted() -> impl Strategy<Value = Counted> {
    let number = || proptest::prop_oneof![4 => 0..3_u64, 1 => any::<u64>()];
    let activity = (number(), number(), option::of(number()))
        .prop_map(|(requests, connections, begun)| Activity { requests, connections, begun });
    proptest::prop_oneof![
        8 => activity.prop_map(Counted::Activity),
        1 => Just(Counted::Unreadable),
        1 => Just(Counted::Gone),
    ]
}

pub(crate) fn draining_ends_between_its_shortest_and_its_longest_time(tries: &mut impl Tries) {
    let counters = select(vec![None, Some(CounterSource::Stats), Some(CounterSource::Metrics)]);
    let took = || milliseconds(0..300);
    let looks = vec((sample(), counted(), took()), 1..60);
    tries.try_all((times(), counters, looks), |(plan, counters, looks)| {
        let mut drain = Drain::new(plan, counters);
        let mut looks = looks.into_iter().cycle();
        let mut now = Duration::ZERO;
        for _ in 0..FOR_EVER {
            match drain.next(now) {
                DrainStep::Rest(until) => {
                    assert!(until > now, "a rest goes forward");
                    now = until;
                }
                DrainStep::LookAtConnections => {
                    let (sample, _, took) = looks.next().expect("for ever");
                    now += took;
                    drain.on_connections(now, took, sample);
                }
                DrainStep::LookAt(_) => {
                    let (_, counted, took) = looks.next().expect("for ever");
                    // Whoever reads counters gives up at the longest time.
                    let took = took.min(plan.max.saturating_sub(now));
                    now += took;
                    drain.on_counters(now, took, counted);
                }
                DrainStep::Over(reason) => {
                    assert!(now >= plan.min, "{now:?} is too early");
                    // One question to the kernel may have begun just before, or be the only one.
                    assert!(now <= plan.max + 300 * MS, "{now:?} is too late");
                    assert!(!drained::sentence(&reason, plan.quiet).contains('\n'));
                    return;
                }
            }
        }
        panic!("it goes round and round at {now:?}");
    });
}

pub(crate) fn a_request_in_flight_is_waited_for_until_the_longest_time(tries: &mut impl Tries) {
    let busy = (1..9_u64, 1..9_u64, milliseconds(0..50));
    tries.try_all((times(), busy), |(plan, (requests, open, took))| {
        let mut drain = Drain::new(plan, Some(CounterSource::Stats));
        let activity = Activity { requests, connections: 0, begun: Some(7) };
        let kernel = ConnectionSample { open, at_work: 1, until: None, without_ages: false };
        let mut now = Duration::ZERO;
        for _ in 0..FOR_EVER {
            match drain.next(now) {
                DrainStep::Rest(until) => now = until,
                DrainStep::LookAtConnections => {
                    now += took;
                    drain.on_connections(now, took, Some(kernel));
                }
                DrainStep::LookAt(_) => {
                    now += took;
                    drain.on_counters(now, took, Counted::Activity(activity));
                }
                DrainStep::Over(reason) => {
                    assert!(matches!(reason, DrainEnd::OutOfTime(_)), "{reason:?}");
                    assert!(now >= plan.max);
                    return;
                }
            }
        }
        panic!("it goes round and round at {now:?}");
    });
}
