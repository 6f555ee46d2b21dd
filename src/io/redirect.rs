//! Whether this pod's outgoing connections are redirected to a proxy, asked of the kernel's own
//! rules: by a connection that ends at the first hop where there are none.
//!
//! Owns the one probe; must never send a byte of data. With a mesh's rules (REDIRECT or TPROXY in
//! iptables) the connection is taken, or refused where the proxy does not listen yet; without, the
//! first router answers that its time to live is over, or nobody does. Redirection by eBPF is not
//! seen, nor that of IPv6 alone.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, connect, setsockopt, socket, sockopt,
};

use crate::core::signal::Signal;
use crate::io::signals::{StopSignals, Woken};

/// TEST-NET-1, which nobody has (RFC 5737), and the port of `discard`.
const NOWHERE: (u8, u8, u8, u8, u16) = (192, 0, 2, 1, 9);

/// How long the first hop may take: a redirected connection is answered within 2 ms, by this host.
const WITHIN: Duration = Duration::from_millis(200);

/// Is a connection to nowhere answered by this very host? No is also said where it cannot be tried.
///
/// # Errors
/// The stop signal that came meanwhile.
pub fn is_redirected(stop: &mut StopSignals) -> Result<bool, Signal> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let Ok(probe) = socket(AddressFamily::Inet, SockType::Stream, flags, None) else {
        return Ok(false);
    };
    // One hop: where there are no rules, the packet does not get past the node.
    if setsockopt(&probe, sockopt::Ipv4Ttl, &1).is_err() {
        return Ok(false);
    }
    let (a, b, c, d, port) = NOWHERE;
    match connect(probe.as_raw_fd(), &SockaddrIn::new(a, b, c, d, port)) {
        Err(Errno::EINPROGRESS) => {}
        connected => return Ok(matches!(connected, Ok(()) | Err(Errno::ECONNREFUSED))),
    }
    match stop.wait(Some((probe.as_fd(), PollFlags::POLLOUT)), Instant::now() + WITHIN) {
        Ok(Woken::Stopped(signal)) => Err(signal),
        Ok(Woken::Ready) => {
            let error = nix::sys::socket::getsockopt(&probe, sockopt::SocketError);
            Ok(matches!(error.map(Errno::from_raw), Ok(Errno::UnknownErrno | Errno::ECONNREFUSED)))
        }
        Ok(Woken::TimeUp) | Err(_) => Ok(false),
    }
}
