//! What the kernel says about sockets, damaged.

use proptest::collection::vec;
use proptest::prelude::{Just, any};

use meshim::core::sockets::proc_line::{ProcLine, parse};

use crate::Cases;
use crate::bytes::damaged;
use crate::laws::{Tries as _, socket};

const LINES: [&str; 3] = [
    concat!(
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  133",
        "7        0 4242 1 0000000000000000 100 0 0 10 0"
    ),
    concat!(
        "   1: 0100007F:3A98 0100007F:D2F0 01 FFFFFFFF:FFFFFFFF 00:00000000 00000000     ",
        "0        0 18446744073709551615 1 0 20 4 30 10 -1"
    ),
    concat!(
        "   2: 0000000000000000FFFF00000100007F:3A9D 0000000000000000FFFF00000100007F:D2F",
        "1 08 00000000:00000001 00:00000000 00000000     0        0 0 1 0 20 4 30 10 -1"
    ),
];

#[test]
fn lines_of_proc_net_tcp_are_read_whatever_they_say() {
    Cases(1_500)
        .try_all(damaged(&LINES), |bytes| socket::are_lines(&[&bytes[..], &bytes].concat()));
}

#[test]
fn lines_of_proc_net_tcp_are_not_passed_over() {
    assert!(matches!(parse(LINES[0]), ProcLine::Listener(_)));
    assert!(LINES[1..].iter().all(|line| matches!(parse(line), ProcLine::Connection(_))));
}

/// One message: its kind, the length that its head says in addition to the true one, its body.
fn message(kind: u16, lie: i32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + body.len()).unwrap_or(u32::MAX);
    let mut bytes = length.wrapping_add_signed(lie).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn messages_of_sock_diag_are_read_whatever_they_say() {
    let kind = proptest::prop_oneof![4 => Just(20_u16), 1 => any::<u16>()];
    let lie = proptest::prop_oneof![4 => Just(0), 1 => -100..100, 1 => any::<i32>()];
    let one = (kind, lie, vec(any::<u8>(), 0..400));
    Cases(1_500).try_all((vec(one, 0..5), 0..40_usize), |(all, cut)| {
        let mut bytes: Vec<u8> =
            all.iter().flat_map(|(kind, lie, body)| message(*kind, *lie, body)).collect();
        bytes.truncate(bytes.len().saturating_sub(cut));
        socket::are_messages(&bytes);
    });
}
