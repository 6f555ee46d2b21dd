//! Waiting for unsent bytes: it ends, and says "empty" only where nothing was seen twice.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy as _, any};

use meshim::core::stopping::unsent::{Load, Unsent, UnsentEnd, UnsentLimits, UnsentStep};

use super::{MS, Tries, milliseconds};

/// More steps than it needs for what it is given here.
const FOR_EVER: usize = 100_000;

pub(crate) fn waiting_for_unsent_bytes_ends_and_says_empty_only_where_nothing_was_seen_twice(
    tries: &mut impl Tries,
) {
    let number = || proptest::prop_oneof![4 => 0..2_u64, 1 => any::<u64>()];
    let load = (number(), number(), number()).prop_map(|(unsent, unread, in_flight)| Load {
        unsent,
        unread,
        in_flight,
    });
    let looks = vec((option::weighted(0.95, load), milliseconds(0..50)), 1..40);
    let limits = proptest::prop_oneof![Just(None), milliseconds(0..20_000).prop_map(Some),];
    tries.try_all((limits, looks), |(until, looks)| {
        let limits = until.map_or(UnsentLimits::UNHURRIED, UnsentLimits::until);
        // `UnsentLimits::UNHURRIED` says so itself.
        let bound = until.unwrap_or(Duration::from_mins(2)) + 50 * MS;
        let mut wait = Unsent::new(limits);
        let mut looks = looks.into_iter().cycle();
        let (mut now, mut last) = (Duration::ZERO, Vec::new());
        for _ in 0..FOR_EVER {
            match wait.next(now) {
                UnsentStep::Rest(until) => {
                    assert!(until > now, "a rest goes forward");
                    now = until;
                }
                UnsentStep::Look => {
                    let (seen, took) = looks.next().expect("for ever");
                    now += took;
                    last.push(seen);
                    wait.on(now, seen);
                }
                UnsentStep::Over(end) => {
                    assert!(now <= bound, "{now:?} is later than {bound:?}");
                    let is_empty = |seen: &Option<Load>| *seen == Some(Load::default());
                    let twice = last.iter().rev().take(2).filter(|seen| is_empty(seen)).count();
                    assert_eq!(end == UnsentEnd::Empty, twice == 2, "{end:?} {last:?}");
                    return;
                }
            }
        }
        panic!("it goes round and round at {now:?}");
    });
}
