//! What the kernel says about sockets. Its bytes are trusted to be well meant, not to be complete:
//! a kernel of tomorrow, a sandbox or a truncated read must not end a run.

use proptest::collection::vec;
use proptest::prelude::any;

use meshim::core::sockets::diag::{connection_of, listener_of, messages};
use meshim::core::sockets::proc_line::{Line, parse};
use meshim::core::stopping::idle::{Rule, Sample};
use meshim::core::stopping::unsent::Load;

use crate::bytes::damaged;
use crate::cases;

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
    cases(1_500)
        .run(&damaged(&LINES), |bytes| {
            let line = String::from_utf8_lossy(&bytes);
            let mut all = Vec::new();
            if let Line::Connection(connection) = parse(&line) {
                all.push(connection);
                all.push(connection);
            }
            let _ = Load::of(&all, &[0], Some(1337)).bytes();
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn lines_of_proc_net_tcp_are_not_passed_over() {
    assert!(matches!(parse(LINES[0]), Line::Listener(_)));
    assert!(LINES[1..].iter().all(|line| matches!(parse(line), Line::Connection(_))));
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
    let kind = proptest::prop_oneof![4 => proptest::prelude::Just(20_u16), 1 => any::<u16>()];
    let lie =
        proptest::prop_oneof![4 => proptest::prelude::Just(0), 1 => -100..100, 1 => any::<i32>()];
    let one = (kind, lie, vec(any::<u8>(), 0..400));
    let rule = Rule { quiet: std::time::Duration::from_secs(2) };
    cases(1_500)
        .run(&(vec(one, 0..5), 0..40_usize), |(all, cut)| {
            let mut bytes: Vec<u8> =
                all.iter().flat_map(|(kind, lie, body)| message(*kind, *lie, body)).collect();
            bytes.truncate(bytes.len().saturating_sub(cut));
            let mut sample = Sample::default();
            let mut connections = Vec::new();
            let _ = messages(&bytes, &mut |body| {
                let _ = listener_of(body);
                connections.extend(connection_of(body));
            });
            for connection in &connections {
                sample.add(rule, connection);
            }
            assert!(sample.at_work <= connections.len() as u64);
            assert!(sample.until.is_none_or(|until| until <= rule.quiet * 5 / 2));
            let load = Load::of(&connections, &[], None);
            assert!(load.unsent <= connections.len() as u64 * u64::from(u32::MAX));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}
