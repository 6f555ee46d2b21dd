//! Whether anything is still on its way through the proxy: bytes that sockets of this pod have not
//! got rid of, and requests in flight. A proxy that is asked to end ends at once, with all of it.
//!
//! Owns when that may be done; must never look or wait itself. Time is the time since the wait
//! began.

use std::time::Duration;

use crate::core::sockets::connection::{Connection, TcpState};

/// The pause between two looks. Longer than a proxy needs from a socket that has room again to its
/// next write, also where its CPU quota is used up for a while.
const PAUSE: Duration = Duration::from_millis(25);

/// So many looks in a row must see nothing: between two writes of a proxy its sockets are empty.
const LOOKS: u32 = 2;

/// So many looks in a row must fail before the kernel's silence is believed: a want of memory or
/// descriptors may pass.
const FAILURES: u32 = 8;

/// How long bytes may stay where they are before they are given up.
const STALLED_AFTER: Duration = Duration::from_secs(5);

/// The end, although bytes move: a peer that never stops sending must not keep a Job for ever.
const LONGEST: Duration = Duration::from_mins(2);

/// What one look saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes in write queues that the other side has not acknowledged.
    pub unsent: u64,
    /// Bytes in read queues that their reader has not taken.
    pub unread: u64,
    /// Requests that the proxy has in flight, where it counts them and that matters.
    pub in_flight: u64,
}

impl Load {
    /// What waits on these connections, but for our own, whose inodes are `own`: neither at our end
    /// nor at the other, which may be told here, too, and counts our delayed acknowledgements.
    ///
    /// Unread bytes matter where the proxy is to read them: `proxy` is its user id, `None` where
    /// that is not known. A neighbour that does not read what has reached its socket can do so
    /// later.
    #[must_use]
    pub fn of(connections: &[Connection], own: &[u64], proxy: Option<u32>) -> Self {
        let ours = |connection: &&Connection| own.contains(&connection.inode);
        let ends: Vec<_> =
            connections.iter().filter(ours).map(|ours| (ours.remote, ours.local)).collect();
        let is_ours = |connection: &&Connection| {
            ours(connection) || ends.contains(&(connection.local, connection.remote))
        };
        let mut load = Self::default();
        for connection in connections.iter().filter(|connection| !is_ours(connection)) {
            load.add(connection, proxy);
        }
        load
    }

    fn add(&mut self, connection: &Connection, proxy: Option<u32>) {
        // Each queue counts a FIN as one byte, and a connection that only closes loses nothing.
        let (sent_fin, got_fin) = match connection.state {
            TcpState::Established => (0, 0),
            TcpState::CloseWait => (0, 1),
            TcpState::FinWait1 => (1, 0),
            TcpState::Closing | TcpState::LastAck => (1, 1),
            _ => return,
        };
        self.unsent += u64::from(connection.unsent.saturating_sub(sent_fin));
        // A connection that nobody has accepted yet has no owner.
        let is_the_proxys = proxy.is_none_or(|proxy| connection.uid == proxy);
        if is_the_proxys || connection.inode == 0 {
            self.unread += u64::from(connection.unread.saturating_sub(got_fin));
        }
    }

    /// The bytes of both queues.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.unsent.saturating_add(self.unread)
    }

    const fn sum(self) -> u64 {
        self.bytes().saturating_add(self.in_flight)
    }
}

/// How long the wait may take.
#[derive(Clone, Copy, Debug)]
pub struct UnsentLimits {
    /// Without any progress.
    stalled_after: Option<Duration>,
    /// In all.
    until: Duration,
}

impl UnsentLimits {
    /// Where nobody has asked the pod to stop: as long as something moves.
    pub const UNHURRIED: Self = Self { stalled_after: Some(STALLED_AFTER), until: LONGEST };

    /// After a stop signal: the kubelet counts the grace period, and what is in flight may take all
    /// of it.
    #[must_use]
    pub const fn until(until: Duration) -> Self {
        Self { stalled_after: None, until }
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsentStep {
    /// Look.
    Look,
    /// Nothing until this moment.
    Rest(Duration),
    /// The wait is over.
    Over(UnsentEnd),
}

/// How the wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsentEnd {
    /// Nothing is left.
    Empty,
    /// This much has not moved for too long.
    Stuck(Load),
    /// The time is over with this much left.
    OutOfTime(Load),
    /// The kernel does not tell.
    Unseen,
}

/// One wait.
#[derive(Debug)]
pub struct Unsent {
    limits: UnsentLimits,
    due: Duration,
    latest: Option<Load>,
    /// How many looks in a row have seen nothing.
    empty: u32,
    progress: Duration,
    /// How many looks in a row have failed.
    failures: u32,
}

impl Unsent {
    /// Begins now.
    #[must_use]
    pub const fn new(limits: UnsentLimits) -> Self {
        Self {
            limits,
            due: Duration::ZERO,
            latest: None,
            empty: 0,
            progress: Duration::ZERO,
            failures: 0,
        }
    }

    /// What to do at `now`.
    #[must_use]
    pub fn next(&self, now: Duration) -> UnsentStep {
        if self.failures >= FAILURES {
            return UnsentStep::Over(UnsentEnd::Unseen);
        }
        if self.empty >= LOOKS {
            return UnsentStep::Over(UnsentEnd::Empty);
        }
        let latest = self.latest.unwrap_or_default();
        let stuck = self.limits.stalled_after.map(|time| self.progress + time);
        if self.latest.is_some() && stuck.is_some_and(|stuck| now >= stuck) {
            return UnsentStep::Over(UnsentEnd::Stuck(latest));
        }
        if now >= self.limits.until {
            return UnsentStep::Over(UnsentEnd::OutOfTime(latest));
        }
        if now < self.due {
            UnsentStep::Rest(self.due.min(self.limits.until))
        } else {
            UnsentStep::Look
        }
    }

    /// Takes in what the look at `now` saw; `None` where the kernel does not tell.
    pub fn on(&mut self, now: Duration, seen: Option<Load>) {
        self.due = now + PAUSE;
        let Some(load) = seen else {
            (self.failures, self.empty) = (self.failures + 1, 0);
            return;
        };
        self.failures = 0;
        self.empty = if load.sum() == 0 { self.empty + 1 } else { 0 };
        if self.latest.is_none_or(|latest| load.sum() < latest.sum()) {
            self.progress = now;
        }
        self.latest = Some(load);
    }
}

#[cfg(test)]
mod tests {
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
}
