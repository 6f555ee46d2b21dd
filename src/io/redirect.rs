//! Whether this pod's outgoing connections are redirected to a proxy, asked of the kernel's own
//! rules: by a connection that ends at the first hop where there are none.
//!
//! Owns the one probe; must never send a byte of data. With a mesh's rules (REDIRECT or TPROXY in
//! iptables) the connection is taken, or refused where the proxy does not listen yet; without, the
//! first router answers that its time to live is over, or nobody does. A mesh has rules for the
//! family that the pod's first address is of, so IPv6 is asked where there is no way out by IPv4.
//! Redirection by eBPF is not seen.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, connect, setsockopt,
    socket, sockopt,
};

use crate::core::signal::Signal;
use crate::io::signals::{StopSignals, Woken};

/// The port of `discard`.
const PORT: u16 = 9;

/// TEST-NET-1, which nobody has (RFC 5737).
const NOWHERE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), PORT);

/// The same in IPv6 (RFC 3849).
const NOWHERE_V6: SocketAddrV6 =
    SocketAddrV6::new(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), PORT, 0, 0);

/// How long the first hop may take: a redirected connection is answered within 2 ms, by this host.
const WITHIN: Duration = Duration::from_millis(200);

/// Is a connection to nowhere answered by this very host? No is also said where it cannot be tried.
///
/// # Errors
/// The stop signal that came meanwhile.
pub fn is_redirected(stop: &mut StopSignals) -> Result<bool, Signal> {
    let v4 = knock(AddressFamily::Inet, &SockaddrIn::from(NOWHERE), stop)?;
    if v4 != AnsweredBy::NoWay {
        return Ok(v4 == AnsweredBy::Here);
    }
    Ok(knock(AddressFamily::Inet6, &SockaddrIn6::from(NOWHERE_V6), stop)? == AnsweredBy::Here)
}

/// Who has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnsweredBy {
    /// This host.
    Here,
    /// The first router, or nobody.
    Elsewhere,
    /// There is no route, or no such socket.
    NoWay,
}

/// A socket of one hop: where there are no rules, its packet does not get past the node.
fn probe(family: AddressFamily) -> Option<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let probe = socket(family, SockType::Stream, flags, None).ok()?;
    let one_hop = if family == AddressFamily::Inet {
        setsockopt(&probe, sockopt::Ipv4Ttl, &1)
    } else {
        setsockopt(&probe, sockopt::Ipv6Ttl, &1)
    };
    one_hop.is_ok().then_some(probe)
}

fn knock(
    family: AddressFamily,
    at: &dyn SockaddrLike,
    stop: &mut StopSignals,
) -> Result<AnsweredBy, Signal> {
    let Some(probe) = probe(family) else { return Ok(AnsweredBy::NoWay) };
    match connect(probe.as_raw_fd(), at) {
        Err(Errno::EINPROGRESS) => {}
        Err(Errno::ENETUNREACH | Errno::EADDRNOTAVAIL) => return Ok(AnsweredBy::NoWay),
        Ok(()) | Err(Errno::ECONNREFUSED) => return Ok(AnsweredBy::Here),
        Err(_) => return Ok(AnsweredBy::Elsewhere),
    }
    match stop.wait(Some((probe.as_fd(), PollFlags::POLLOUT)), Instant::now() + WITHIN) {
        Ok(Woken::Stopped(signal)) => Err(signal),
        Ok(Woken::Ready) => {
            let error = nix::sys::socket::getsockopt(&probe, sockopt::SocketError);
            match error.map(Errno::from_raw) {
                Ok(Errno::UnknownErrno | Errno::ECONNREFUSED) => Ok(AnsweredBy::Here),
                _ => Ok(AnsweredBy::Elsewhere),
            }
        }
        Ok(Woken::TimeUp) | Err(_) => Ok(AnsweredBy::Elsewhere),
    }
}
