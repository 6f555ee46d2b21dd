//! What the kernel says of processes, damaged, and as it is written.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Strategy as _, any};
use proptest::sample::select;

use meshim::core::process_stat::ProcessStat;

use crate::Cases;
use crate::bytes::damaged;
use crate::laws::{Tries as _, process};

const STATS: [&str; 2] = [
    "1 (sh) S 0 1 1 0 -1 4194560 900 0 2 0 1 2 0 0 20 0 1 0 12345 4096 100 18446744073709551615",
    "7 (a) T (b\u{1b}) T 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 18446744073709551615 0 0\n",
];

#[test]
fn a_process_is_read_whatever_the_kernel_says() {
    Cases(1_500).try_all(damaged(&STATS), |bytes| process::is_a_stat(&bytes));
}

#[test]
fn a_process_is_read_as_it_is_written_whatever_its_name() {
    // The kernel keeps 15 bytes of a name, of any value but NUL.
    let name = proptest::prop_oneof![vec(1..=u8::MAX, 0..16), select(NAMES).prop_map(Vec::from)];
    let line = (name, select(b"RSDZTtX".as_slice()), any::<u32>());
    Cases(1_500).try_all(line, |(name, state, ticks)| {
        let name = String::from_utf8_lossy(&name);
        let state = char::from(state);
        let zeros = "0 ".repeat(18);
        let text = format!("7 ({name}) {state} {zeros}{ticks} 4096 100\n");
        let stat = ProcessStat::of(&text).expect("it is whole");
        assert_eq!(stat.name().chars().count(), name.chars().count());
        assert_eq!(stat.is_stopped(), state == 'T');
        assert_eq!(stat.started(), Some(Duration::from_millis(u64::from(ticks) * 10)));
    });
}

const NAMES: &[&[u8]] = &[b") T 1", b"(", b")", b"x) T (", b" ", b"1 (sh) S 0 1 1"];
