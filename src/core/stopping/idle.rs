//! Idle, as the kernel sees it: which of the application's connections are at work.
//!
//! Owns the rule. It was held against the truth beside real proxies, with HTTP/1.1, HTTP/2, gRPC
//! streams, uploads and server-sent events: comparing ages alone called up to 85 % of busy moments
//! idle, this rule none, but for streams that are quiet for longer than it waits. Must never look
//! at a socket itself.

use std::time::Duration;

use crate::core::sockets::connection::{Connection, TcpState, Traffic};

/// Whether a connection is at work, by what the kernel counts on it.
///
/// It is at work while bytes wait in a queue of its own, while a first request has no answer, while
/// data arrived after the last data that was sent, and for [`Rule::quiet`] after anything moved.
/// Not seen is a request whose last byte came before some other answer on the same connection
/// (HTTP/2, WebSocket), once nothing has moved for that long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A connection on which nothing moved for this long, and which owes no answer, is idle.
    pub quiet: Duration,
}

/// What one connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Nothing.
    None,
    /// It is idle after this long, if nothing moves on it.
    Until(Duration),
    /// It owes bytes, or an answer.
    Owed,
    /// It is open; the kernel does not say more (`/proc/net/tcp`).
    Unknown,
}

impl Rule {
    /// Two events in one tick of the kernel's clock have equal ages, so that nobody knows which
    /// came first: then this many halves of the quiet time must pass. 5 s by default, which is
    /// what was measured to be enough.
    const QUIET_WHERE_EQUAL: (u32, u32) = (5, 2);

    /// What `connection` is doing.
    #[must_use]
    pub fn judge(self, connection: &Connection) -> Work {
        // A FIN counts as one byte: the other end's may stay unread for as long as an application
        // forgets a connection.
        let fin = u32::from(connection.state == TcpState::CloseWait);
        match connection.state {
            TcpState::Established | TcpState::CloseWait => {
                let queued = connection.unsent > 0 || connection.unread > fin;
                match connection.traffic {
                    _ if queued => Work::Owed,
                    Some(traffic) => self.by_ages(traffic),
                    None => Work::Unknown,
                }
            }
            // The application has closed it, and what it sent is still on its way.
            TcpState::FinWait1 | TcpState::Closing | TcpState::LastAck if connection.unsent > 1 => {
                Work::Owed
            }
            TcpState::SynReceived => Work::Until(self.quiet),
            _ => Work::None,
        }
    }

    fn by_ages(self, traffic: Traffic) -> Work {
        let Traffic { last_sent, last_received, bytes_sent, bytes_received } = traffic;
        if bytes_received > 0 && bytes_sent == 0 || last_received < last_sent {
            return Work::Owed;
        }
        let quiet = if last_received == last_sent {
            let (many, halves) = Self::QUIET_WHERE_EQUAL;
            self.quiet * many / halves
        } else {
            self.quiet
        };
        match quiet.saturating_sub(last_sent.min(last_received)) {
            Duration::ZERO => Work::None,
            left => Work::Until(left),
        }
    }
}

/// The application's connections at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionSample {
    /// Open connections.
    pub open: u64,
    /// Those at work, or of which nothing more is known than that they are open.
    pub at_work: u64,
    /// How much longer those are at work on which something has just moved, if nothing else does;
    /// `None` where at least one is at work for longer, or none is at work.
    pub until: Option<Duration>,
    /// The kernel did not say when something moved, so that every open connection counts.
    pub without_ages: bool,
}

impl ConnectionSample {
    /// Counts one connection.
    pub fn add(&mut self, rule: Rule, connection: &Connection) {
        let is_first = self.at_work == 0;
        let work = rule.judge(connection);
        self.open += u64::from(connection.state == TcpState::Established);
        self.at_work += u64::from(work != Work::None);
        self.without_ages |= work == Work::Unknown;
        match work {
            Work::None => {}
            Work::Until(left) if is_first => self.until = Some(left),
            Work::Until(left) => self.until = self.until.map(|until| until.max(left)),
            Work::Owed | Work::Unknown => self.until = None,
        }
    }

    /// Is no connection at work?
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.at_work == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { quiet: Duration::from_secs(2) };

    fn ms(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    fn connection(state: TcpState, unsent: u32, unread: u32) -> Connection {
        let (local, remote) = ("10.0.0.5:80".parse().unwrap(), "10.0.0.9:5000".parse().unwrap());
        let (uid, inode, traffic) = (0, 1, None);
        Connection { local, remote, state, uid, inode, unsent, unread, traffic }
    }

    /// An established connection that received and sent so many bytes, the last of them so many
    /// milliseconds ago.
    fn moved(received: (u64, u64), sent: (u64, u64)) -> Connection {
        let traffic = Traffic {
            last_sent: ms(sent.1),
            last_received: ms(received.1),
            bytes_sent: sent.0,
            bytes_received: received.0,
        };
        Connection { traffic: Some(traffic), ..connection(TcpState::Established, 0, 0) }
    }

    #[test]
    fn what_moved_on_a_connection_says_whether_it_is_at_work() {
        let table = [
            ("a first request without an answer", moved((9, 9_000), (0, 9_000)), Work::Owed),
            ("a request after an answer", moved((9, 8_000), (9, 9_000)), Work::Owed),
            ("an answer just now", moved((9, 500), (9, 400)), Work::Until(ms(1_600))),
            ("an answer a while ago", moved((9, 9_000), (9, 1_999)), Work::Until(ms(1))),
            ("an answer two seconds ago", moved((9, 9_000), (9, 2_000)), Work::None),
            ("both in one tick", moved((9, 2_000), (9, 2_000)), Work::Until(ms(3_000))),
            ("both in one tick, long ago", moved((9, 5_000), (9, 5_000)), Work::None),
            ("opened just now, nothing said", moved((0, 0), (0, 0)), Work::Until(ms(5_000))),
            ("opened long ago, nothing said", moved((0, 5_000), (0, 5_000)), Work::None),
            ("the server spoke first", moved((0, 9_000), (9, 8_000)), Work::None),
        ];
        for (what, connection, work) in table {
            assert_eq!(RULE.judge(&connection), work, "{what}");
        }
    }

    #[test]
    fn what_waits_in_a_queue_is_owed_however_long() {
        let old = moved((9, 90_000), (9, 80_000));
        for (unsent, unread) in [(1, 0), (0, 1), (7, 7)] {
            assert_eq!(RULE.judge(&Connection { unsent, unread, ..old }), Work::Owed);
        }
        let forgotten = Connection { state: TcpState::CloseWait, unread: 1, ..old };
        assert_eq!(RULE.judge(&forgotten), Work::None, "the other end's FIN is no byte");
        assert_eq!(RULE.judge(&Connection { unread: 2, ..forgotten }), Work::Owed);
    }

    #[test]
    fn a_state_says_whether_anything_can_be_owed() {
        let table = [
            (TcpState::Established, 0, Work::Unknown),
            (TcpState::CloseWait, 0, Work::Unknown),
            (TcpState::FinWait1, 1, Work::None),
            (TcpState::FinWait1, 2, Work::Owed),
            (TcpState::LastAck, 1, Work::None),
            (TcpState::LastAck, 2, Work::Owed),
            (TcpState::Closing, 2, Work::Owed),
            (TcpState::FinWait2, 0, Work::None),
            (TcpState::SynReceived, 0, Work::Until(ms(2_000))),
            (TcpState::SynSent, 0, Work::None),
            (TcpState::TimeWait, 0, Work::None),
            (TcpState::Closed, 0, Work::None),
            (TcpState::Listen, 9, Work::None),
        ];
        for (state, unsent, work) in table {
            assert_eq!(RULE.judge(&connection(state, unsent, 0)), work, "{state:?} {unsent}");
        }
    }

    fn sample(connections: &[Connection]) -> ConnectionSample {
        let mut sample = ConnectionSample::default();
        for connection in connections {
            sample.add(RULE, connection);
        }
        sample
    }

    #[test]
    fn a_sample_is_at_work_until_its_last_connection_is_idle() {
        let (idle, recent) = (moved((9, 9_000), (9, 8_000)), moved((9, 500), (9, 400)));
        let (newer, owed) = (moved((9, 500), (9, 100)), moved((9, 500), (9, 600)));
        let table = [
            (vec![], 0, None),
            (vec![idle, idle], 0, None),
            (vec![idle, recent], 1, Some(1_600)),
            (vec![recent, newer, idle], 2, Some(1_900)),
            (vec![recent, owed], 2, None),
            (vec![owed, recent], 2, None),
        ];
        for (connections, at_work, until) in table {
            let open = connections.len() as u64;
            let expected =
                ConnectionSample { open, at_work, until: until.map(ms), without_ages: false };
            assert_eq!(sample(&connections), expected);
            assert_eq!(expected.is_idle(), at_work == 0);
        }
    }

    #[test]
    fn without_ages_every_open_connection_counts() {
        let bare = connection(TcpState::Established, 0, 0);
        let closed = connection(TcpState::FinWait2, 0, 0);
        let seen = sample(&[bare, closed, bare]);
        assert_eq!(seen, ConnectionSample { open: 2, at_work: 2, until: None, without_ages: true });
    }
}
