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
mod tests;
