//! A listening socket, whichever source told it.
//!
//! Owns the type; must never say whose it is.

use std::net::SocketAddr;

/// A listening socket of this network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its owner, as our user namespace sees it.
    pub uid: u32,
    /// Its inode, by which its process can be found.
    pub inode: u64,
    /// Whether an IPv6 socket leaves IPv4 out (`IPV6_V6ONLY`); `None` where the source does not
    /// say, as `/proc/net/tcp6` does not.
    pub v6only: Option<bool>,
}
