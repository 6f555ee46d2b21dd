use super::*;

const MS: Duration = Duration::from_millis(1);

fn bytes(unsent: u64) -> Load {
    Load { unsent, ..Load::default() }
}

/// From this port of loopback to 80, with 10 bytes unsent and 20 unread.
fn connection(port: u16) -> Connection {
    Connection {
        local: ([127, 0, 0, 1], port).into(),
        remote: ([127, 0, 0, 1], 80).into(),
        state: TcpState::Established,
        uid: 1000,
        inode: 5,
        unsent: 10,
        unread: 20,
        traffic: None,
    }
}

/// Looks until it is over; `world` says what a look at a moment sees. How it ended and when.
fn simulate(
    limits: UnsentLimits,
    world: impl Fn(Duration) -> Option<Load>,
) -> (UnsentEnd, Duration) {
    let (mut unsent, mut now) = (Unsent::new(limits), Duration::ZERO);
    loop {
        match unsent.next(now) {
            UnsentStep::Over(end) => return (end, now),
            UnsentStep::Rest(until) => {
                assert!(until > now, "a rest goes forward");
                now = until;
            }
            UnsentStep::Look => {
                unsent.on(now, world(now));
                now += MS;
            }
        }
    }
}

#[test]
fn what_waits_on_a_connection_is_counted_without_its_fins() {
    use TcpState::{
        CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, SynSent, TimeWait,
    };
    let (own, other) = (Some(1337), 1000);
    let table = [
        (Established, 1337, 5, (10, 20)),
        (Established, other, 5, (10, 0)),
        // Not accepted yet.
        (Established, 0, 0, (10, 20)),
        (CloseWait, 1337, 5, (10, 19)),
        (FinWait1, 1337, 0, (9, 20)),
        (LastAck, 1337, 5, (9, 19)),
        (Closing, 1337, 5, (9, 19)),
        (FinWait2, 1337, 5, (0, 0)),
        (SynSent, 1337, 5, (0, 0)),
        (TimeWait, 1337, 0, (0, 0)),
    ];
    for (state, uid, inode, (unsent, unread)) in table {
        let connection = Connection { state, uid, inode, ..connection(1) };
        let load = Load::of(&[connection], &[], own);
        assert_eq!((load.unsent, load.unread), (unsent, unread), "{state:?} {uid}");
        assert!(Load::of(&[connection], &[], None).unread >= unread);
    }
}

#[test]
fn neither_end_of_our_own_connections_is_counted() {
    let ours = Connection { inode: 7, ..connection(1) };
    let peers = Connection { local: ours.remote, remote: ours.local, inode: 8, ..ours };
    let all = [ours, peers, Connection { inode: 9, ..connection(2) }];
    assert_eq!(Load::of(&all, &[7, 70], None).bytes(), 30);
    assert_eq!(Load::of(&all, &[], None).bytes(), 90);
}

#[test]
fn two_empty_looks_in_a_row_end_it() {
    let (end, over) = simulate(UnsentLimits::UNHURRIED, |_| Some(Load::default()));
    assert_eq!(end, UnsentEnd::Empty);
    assert!(over < 50 * MS, "{over:?}");
    // One empty look between two writes is not enough.
    let busy = |now: Duration| if now < PAUSE / 2 || now > 900 * MS { 0 } else { 70_000 };
    let (end, over) = simulate(UnsentLimits::UNHURRIED, |now| Some(bytes(busy(now))));
    assert_eq!(end, UnsentEnd::Empty);
    assert!(over > 900 * MS, "{over:?}");
}

#[test]
fn two_empty_looks_around_one_that_failed_are_not_in_a_row() {
    let world = |now: Duration| match now {
        _ if now > 900 * MS => Some(bytes(0)),
        _ if now > PAUSE * 5 / 2 => Some(bytes(9)),
        _ if now > PAUSE / 2 && now < PAUSE * 3 / 2 => None,
        _ => Some(bytes(0)),
    };
    let (end, over) = simulate(UnsentLimits::UNHURRIED, world);
    assert_eq!(end, UnsentEnd::Empty);
    assert!(over > 900 * MS, "{over:?}");
}

#[test]
fn it_goes_on_while_the_sum_shrinks() {
    // 12 MB at 1 MB/s, now in one queue, now in the other.
    let world = |now: Duration| {
        let sent = 1_000 * u64::try_from(now.as_millis()).unwrap();
        let left = 12_000_000_u64.saturating_sub(sent);
        Some(Load { unsent: left / 2, unread: left - left / 2, in_flight: 0 })
    };
    let (end, over) = simulate(UnsentLimits::UNHURRIED, world);
    assert_eq!(end, UnsentEnd::Empty);
    assert!(over >= 12_000 * MS && over < 12_200 * MS, "{over:?}");
}

#[test]
fn five_seconds_without_progress_end_it_with_what_is_left() {
    let world = |now: Duration| Some(bytes(if now < 2_000 * MS { 900 } else { 800 }));
    let (end, over) = simulate(UnsentLimits::UNHURRIED, world);
    assert_eq!(end, UnsentEnd::Stuck(bytes(800)));
    assert!(over >= 7_000 * MS && over < 7_100 * MS, "{over:?}");
}

#[test]
fn a_neighbour_that_never_falls_silent_does_not_keep_it_for_ever() {
    let world = |now: Duration| Some(bytes(1 + u64::from(now.subsec_nanos()) % 7_919));
    let (end, over) = simulate(UnsentLimits::UNHURRIED, world);
    assert!(matches!(end, UnsentEnd::OutOfTime(_)), "{end:?}");
    assert!(over >= LONGEST && over < LONGEST + 100 * MS, "{over:?}");
}

#[test]
fn after_a_stop_signal_requests_have_until_then() {
    let limits = UnsentLimits::until(8_000 * MS);
    let one = Load { in_flight: 1, ..Load::default() };
    let world = |now: Duration| Some(if now < 6_000 * MS { one } else { Load::default() });
    let (end, over) = simulate(limits, world);
    assert_eq!(end, UnsentEnd::Empty);
    assert!(over < 6_100 * MS, "{over:?}");
    let (end, over) = simulate(limits, |_| Some(one));
    assert_eq!((end, over), (UnsentEnd::OutOfTime(one), 8_000 * MS));
}

#[test]
fn a_kernel_that_does_not_tell_is_asked_for_a_moment() {
    let (end, over) = simulate(UnsentLimits::UNHURRIED, |_| None);
    assert!(end == UnsentEnd::Unseen && over < 250 * MS, "{end:?} {over:?}");
    let late = |now: Duration| (now > 100 * MS).then(Load::default);
    assert_eq!(simulate(UnsentLimits::UNHURRIED, late).0, UnsentEnd::Empty);
}
