//! The pod's TCP sockets, asked of the kernel through `NETLINK_SOCK_DIAG` (`sock_diag(7)`): what
//! `/proc/net/tcp` shows, and more, as which IPv6 sockets leave IPv4 out (`IPV6_V6ONLY`) and when
//! something last moved on a connection.
//!
//! Owns the exchange; the messages are `core::sockets::diag`'s. Must never judge what they say.
//! Needs no privilege, and may be missing (gVisor, a kernel without `tcp_diag`).

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;

use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::core::sockets::connection::Connection;
use crate::core::sockets::diag::{self, Dump, ErrorNumber, Family};
use crate::core::sockets::listener::Listener;

/// How long the kernel may take for one part of its answer; it needs microseconds.
const ANSWER_WITHIN_MS: i64 = 500;

/// How much of an answer is read: 150,000 listening sockets, 40,000 connections.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What the kernel writes into one datagram of a dump at most: `NLMSG_GOODSIZE` (a page, 8 KiB at
/// most), or as much as the reader has room for (`net/netlink/af_netlink.c`, `netlink_dump`).
const DATAGRAM: usize = 8 * 1024;

/// Every listening TCP socket, over both families.
///
/// # Errors
/// The system's: no such protocol, not permitted, no answer in time.
pub fn listening() -> std::io::Result<Vec<Listener>> {
    let mut found = Vec::new();
    let mut kernel = Kernel::connect()?;
    for family in [Family::V4, Family::V6] {
        kernel.dump(&diag::ask_for_listeners(family), |body| {
            found.extend(diag::listener_of(body));
        })?;
    }
    Ok(found)
}

/// A socket to the kernel's table of sockets, to be used again and again.
#[derive(Debug)]
pub struct Kernel(File);

impl Kernel {
    /// Opens it.
    ///
    /// # Errors
    /// The system's: no such protocol, not permitted.
    pub fn connect() -> std::io::Result<Self> {
        let (family, kind) = (AddressFamily::Netlink, SockType::Datagram);
        let descriptor =
            socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
        let limit = TimeVal::milliseconds(ANSWER_WITHIN_MS);
        setsockopt(&descriptor, sockopt::ReceiveTimeout, &limit)?;
        Ok(Self(File::from(descriptor)))
    }

    /// Every connection of this network namespace, over both families, one by one: a busy server's
    /// thousands need no memory of ours. Those that only reserve an address (`TIME_WAIT`) are left
    /// out.
    ///
    /// Takes the kernel 1 to 5 ms on a large node, since its table is the node's.
    ///
    /// # Errors
    /// The system's: not permitted, no answer in time, more than [`MOST_BYTES`] of them.
    pub fn connections(&mut self, mut each: impl FnMut(Connection)) -> std::io::Result<()> {
        for family in [Family::V4, Family::V6] {
            self.dump(&diag::ask_for_connections(family), |body| {
                diag::connection_of(body).into_iter().for_each(&mut each);
            })?;
        }
        Ok(())
    }

    /// Asks for a dump and reads all of it; `each` gets the body of each answer.
    fn dump(&mut self, question: &[u8], mut each: impl FnMut(&[u8])) -> std::io::Result<()> {
        self.0.write_all(question)?;
        let (mut buffer, mut total) = ([0; DATAGRAM], 0);
        while total < MOST_BYTES {
            let length = self.0.read(&mut buffer)?;
            total += length;
            let dump = diag::messages(&buffer[..length], &mut each).map_err(io_error)?;
            if length == 0 || dump == Dump::Complete {
                return Ok(());
            }
        }
        Err(std::io::Error::other("the kernel's answer does not end"))
    }
}

/// The question whether somebody listens at any of some addresses, to be asked again and again.
#[derive(Debug)]
pub struct Question {
    kernel: Kernel,
    /// One message for each address.
    messages: Vec<u8>,
    answers: usize,
}

impl Question {
    /// Prepares it.
    ///
    /// # Errors
    /// The system's: no such protocol, not permitted.
    pub fn about(addresses: &[SocketAddr]) -> std::io::Result<Self> {
        let messages = addresses.iter().flat_map(|at| diag::ask_for_listener_at(*at)).collect();
        Ok(Self { kernel: Kernel::connect()?, messages, answers: addresses.len() })
    }

    /// Would a connection from loopback to one of them find a listening socket? One system call,
    /// and one for each answer.
    ///
    /// # Errors
    /// The system's. A kernel without `tcp_diag` says that nobody listens: [`listening`] tells.
    pub fn ask(&mut self) -> std::io::Result<bool> {
        self.kernel.0.write_all(&self.messages)?;
        let (mut buffer, mut found) = ([0; 512], false);
        for _ in 0..self.answers {
            let length = self.kernel.0.read(&mut buffer)?;
            match diag::messages(&buffer[..length], &mut |_| found = true) {
                Err(refused) if refused.0 != libc::ENOENT => return Err(io_error(refused)),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn io_error(ErrorNumber(number): ErrorNumber) -> std::io::Error {
    std::io::Error::from_raw_os_error(number)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{Backlog, SockaddrIn6, bind, listen};

    use super::*;

    /// A listening `[::]` socket, and its inode.
    fn listener(leaves_v4_out: bool) -> (std::os::fd::OwnedFd, u64) {
        let descriptor =
            socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        setsockopt(&descriptor, sockopt::Ipv6V6Only, &leaves_v4_out).unwrap();
        let any: std::net::SocketAddrV6 = "[::]:0".parse().unwrap();
        bind(descriptor.as_raw_fd(), &SockaddrIn6::from(any)).unwrap();
        listen(&descriptor, Backlog::new(1).unwrap()).unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).unwrap();
        let inode =
            link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        (descriptor, inode)
    }

    #[test]
    fn the_kernel_tells_v6only_of_both_kinds_of_sockets() {
        let ((_dual, dual), (_only, only)) = (listener(false), listener(true));
        let found = listening().unwrap();
        let v6only = |inode| found.iter().find(|found| found.inode == inode).unwrap().v6only;
        assert_eq!((v6only(dual), v6only(only)), (Some(false), Some(true)));
    }

    #[test]
    fn the_kernel_tells_where_a_connection_would_find_somebody() {
        let bound = |address: &str| std::net::TcpListener::bind(address).unwrap();
        let table = [
            ("127.0.0.1:0", true, false),
            ("[::1]:0", false, true),
            ("0.0.0.0:0", true, false),
            // Dual stack, as Linux has it by default.
            ("[::]:0", true, true),
        ];
        for (address, v4, v6) in table {
            let listener = bound(address);
            let port = listener.local_addr().unwrap().port();
            let at = |ips: &[&str]| {
                let addresses: Vec<SocketAddr> =
                    ips.iter().map(|ip| (ip.parse::<IpAddr>().unwrap(), port).into()).collect();
                let mut question = Question::about(&addresses).unwrap();
                let answer = question.ask().unwrap();
                assert_eq!(question.ask().unwrap(), answer, "asked again");
                answer
            };
            let ask = || {
                assert_eq!(at(&["127.0.0.1", "::1"]), at(&["127.0.0.1"]) || at(&["::1"]));
                (at(&["127.0.0.1"]), at(&["::1"]))
            };
            assert_eq!(ask(), (v4, v6), "{address}");
            drop(listener);
            assert_eq!(ask(), (false, false), "{address}, closed");
        }
    }
}
