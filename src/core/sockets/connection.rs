//! A TCP socket that is no listener, as the kernel counts it.
//!
//! Owns the type and the meaning of its numbers; must never judge them.

use std::net::SocketAddr;
use std::time::Duration;

/// One end of a connection in this network namespace; where both ends are here, there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This end. An IPv4 address in an IPv6 socket (`::ffff:10.0.0.5`) is given as IPv4.
    pub local: SocketAddr,
    /// The other end, in the same form.
    pub remote: SocketAddr,
    /// How far it is between its beginning and its end.
    pub state: TcpState,
    /// Its owner, as our user namespace sees it; 0 where no process holds it.
    pub uid: u32,
    /// Its inode, by which its process can be found; 0 where no process holds it, as before
    /// `accept` and after `close`.
    pub inode: u64,
    /// Bytes that the other end has not acknowledged. Our FIN counts as one.
    pub unsent: u32,
    /// Bytes that have arrived and have not been read. The other end's FIN counts as one.
    pub unread: u32,
    /// What has moved on it, where the kernel says so: `sock_diag` does, `/proc/net/tcp` does not.
    pub traffic: Option<Traffic>,
}

/// What has moved on a connection (`struct tcp_info`). Ages come in steps of one timer tick of the
/// kernel (4 ms at 250 Hz), and start at the connection's own beginning: two events in one tick
/// have equal ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// How long ago data, not a mere acknowledgement, was sent.
    pub last_sent: Duration,
    /// How long ago data arrived.
    pub last_received: Duration,
    /// Bytes that were sent, retransmissions included; before Linux 4.19 those acknowledged.
    pub bytes_sent: u64,
    /// Bytes that arrived.
    pub bytes_received: u64,
}

/// The states of `include/net/tcp_states.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpState {
    /// Open in both directions.
    Established,
    /// This end asks for a connection.
    SynSent,
    /// The other end asks for one.
    SynReceived,
    /// This end has closed, and its FIN is not acknowledged.
    FinWait1,
    /// This end has closed, the other end has not.
    FinWait2,
    /// Both have closed; only the address is still reserved.
    TimeWait,
    /// Not connected.
    Closed,
    /// The other end has closed, this one has not.
    CloseWait,
    /// Both have closed, this end last; its FIN is not acknowledged.
    LastAck,
    /// A listening socket.
    Listen,
    /// Both have closed at the same time.
    Closing,
}

impl TcpState {
    /// All that a dump of connections asks for: neither listening sockets nor those of which only
    /// the reserved address is left, which may be thousands.
    pub const CONNECTED: [Self; 8] = [
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::LastAck,
        Self::Closing,
    ];

    /// By the kernel's number, of which an unknown one gives `None`.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            // 12 is `TCP_NEW_SYN_RECV`, which `sock_diag` shows as 3.
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 => Self::Closed,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }

    /// The kernel's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Established => 1,
            Self::SynSent => 2,
            Self::SynReceived => 3,
            Self::FinWait1 => 4,
            Self::FinWait2 => 5,
            Self::TimeWait => 6,
            Self::Closed => 7,
            Self::CloseWait => 8,
            Self::LastAck => 9,
            Self::Listen => 10,
            Self::Closing => 11,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_the_kernels_number_both_ways() {
        for number in 1..=11 {
            assert_eq!(TcpState::from_number(number).unwrap().number(), number);
        }
        assert_eq!(TcpState::from_number(12), Some(TcpState::SynReceived));
        for unknown in [0, 13, 255] {
            assert_eq!(TcpState::from_number(unknown), None);
        }
        for state in TcpState::CONNECTED {
            assert!(!matches!(state, TcpState::Listen | TcpState::TimeWait | TcpState::Closed));
        }
    }
}
