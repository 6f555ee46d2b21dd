//! The pod's listening sockets, asked of the kernel through `NETLINK_SOCK_DIAG` (`sock_diag(7)`):
//! what `/proc/net/tcp` shows, and which IPv6 sockets leave IPv4 out (`IPV6_V6ONLY`), which it does
//! not.
//!
//! Owns the messages; must never judge what they say. Needs no privilege, and may be missing
//! (gVisor, a kernel without `tcp_diag`).

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::libc;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::io::sockets::listener::Listener;

/// How long the kernel may take for one part of its answer; it needs microseconds.
const PATIENCE_MS: i64 = 500;

/// How much of an answer is read: 100,000 sockets.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What the kernel writes into one datagram of a dump at most: `NLMSG_GOODSIZE` (a page, 8 KiB at
/// most), or as much as the reader has room for (`net/netlink/af_netlink.c`, `netlink_dump`).
const DATAGRAM: usize = 8 * 1024;

const NETLINK_HEADER: usize = 16;
/// `struct inet_diag_msg`.
const ANSWER: usize = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_DUMP: u16 = 0x301;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u32 = 10;
/// `lo` is the first interface of each network namespace (`net/core/dev.c`).
const LOOPBACK_INTERFACE: u32 = 1;
const INET_DIAG_SKV6ONLY: u16 = 11;

/// Every listening TCP socket, over both families.
///
/// # Errors
/// As [`v6only`].
pub fn listening() -> std::io::Result<Vec<Listener>> {
    let mut found = Vec::new();
    let mut kernel = connected()?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        dump(&mut kernel, family, |body| found.extend(listener_of(body)))?;
    }
    Ok(found)
}

/// Whether each listening IPv6 socket leaves IPv4 out, by inode.
///
/// # Errors
/// The system's: no such protocol, not permitted, no answer in time.
pub fn v6only() -> std::io::Result<Vec<(u64, bool)>> {
    let mut found = Vec::new();
    dump(&mut connected()?, libc::AF_INET6, |body| found.extend(v6only_of(body)))?;
    Ok(found)
}

/// The question whether somebody listens at any of some addresses, to be asked again and again.
#[derive(Debug)]
pub struct Question {
    kernel: File,
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
        let messages = addresses.iter().flat_map(|address| question(*address)).collect();
        Ok(Self { kernel: connected()?, messages, answers: addresses.len() })
    }

    /// Would a connection from loopback to one of them find a listening socket? One system call,
    /// and one for each answer.
    ///
    /// # Errors
    /// The system's. A kernel without `tcp_diag` says that nobody listens: [`listening`] tells.
    pub fn ask(&mut self) -> std::io::Result<bool> {
        self.kernel.write_all(&self.messages)?;
        let (mut buffer, mut found) = ([0; 512], false);
        for _ in 0..self.answers {
            let length = self.kernel.read(&mut buffer)?;
            match messages(&buffer[..length], &mut |_| found = true) {
                Err(error) if error.raw_os_error() != Some(libc::ENOENT) => return Err(error),
                _ => {}
            }
        }
        Ok(found)
    }
}

fn connected() -> std::io::Result<File> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let descriptor =
        socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag)?;
    setsockopt(&descriptor, sockopt::ReceiveTimeout, &TimeVal::milliseconds(PATIENCE_MS))?;
    Ok(File::from(descriptor))
}

/// Asks for all listening TCP sockets of one family; `each` gets a `struct inet_diag_msg` and its
/// attributes.
fn dump(kernel: &mut File, family: i32, mut each: impl FnMut(&[u8])) -> std::io::Result<()> {
    kernel.write_all(&request(family))?;
    let (mut buffer, mut total) = ([0; DATAGRAM], 0);
    while total < MOST_BYTES {
        let length = kernel.read(&mut buffer)?;
        total += length;
        if length == 0 || messages(&buffer[..length], &mut each)? == Dump::Complete {
            return Ok(());
        }
    }
    Err(std::io::Error::other("the kernel's answer does not end"))
}

/// The same for one socket: `struct inet_diag_sockid` says where (`inet_diag_find_one_icsk` looks
/// it up as it does for a segment that arrives).
fn question(address: SocketAddr) -> Vec<u8> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let mut bytes = request(family);
    bytes[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    bytes[20..24].copy_from_slice(&u32::MAX.to_ne_bytes());
    bytes[24..26].copy_from_slice(&address.port().to_be_bytes());
    for place in [28, 44] {
        match address.ip() {
            IpAddr::V4(ip) => bytes[place..place + 4].copy_from_slice(&ip.octets()),
            IpAddr::V6(ip) => bytes[place..place + 16].copy_from_slice(&ip.octets()),
        }
    }
    bytes[60..64].copy_from_slice(&LOOPBACK_INTERFACE.to_ne_bytes());
    // Whatever its cookie is.
    bytes[64..72].fill(0xff);
    bytes
}

#[derive(Debug, PartialEq, Eq)]
enum Dump {
    GoesOn,
    Complete,
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(family: i32) -> Vec<u8> {
    const LENGTH: u32 = 72;
    let mut bytes = LENGTH.to_ne_bytes().to_vec();
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([u8::try_from(family).unwrap_or_default(), IPPROTO_TCP, 0, 0]);
    bytes.extend((1_u32 << TCP_LISTEN).to_ne_bytes());
    bytes.resize(LENGTH as usize, 0);
    bytes
}

/// Reads the messages of one datagram; what is cut short or something else is passed over.
fn messages(mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> std::io::Result<Dump> {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = (length as usize).clamp(NETLINK_HEADER, bytes.len().max(NETLINK_HEADER));
        let body = bytes.get(NETLINK_HEADER..length).unwrap_or_default();
        match kind {
            // Both begin with an error number: a dump that fails half-way, or for want of
            // `tcp_diag`, is done, too.
            NLMSG_DONE | NLMSG_ERROR => {
                let number = u32_at(body, 0).map_or(0, u32::cast_signed);
                return if number < 0 {
                    Err(std::io::Error::from_raw_os_error(-number))
                } else {
                    Ok(Dump::Complete)
                };
            }
            SOCK_DIAG_BY_FAMILY => each(body),
            _ => {}
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    Ok(Dump::GoesOn)
}

/// `struct inet_diag_msg`: family, state, two more bytes, the port in network order, the address at
/// 8, …, owner, inode.
fn listener_of(body: &[u8]) -> Option<Listener> {
    let family = i32::from(*body.first()?);
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let ip = if family == libc::AF_INET {
        IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(8..12)?).ok()?))
    } else {
        IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(body.get(8..24)?).ok()?))
    };
    let (uid, inode) = (u32_at(body, ANSWER - 8)?, u32_at(body, ANSWER - 4)?);
    Some(Listener { address: SocketAddr::new(ip, port), uid, inode: u64::from(inode) })
}

/// The inode at the end of `struct inet_diag_msg`, and the attribute behind it.
fn v6only_of(body: &[u8]) -> Option<(u64, bool)> {
    let inode = u32_at(body, ANSWER - 4)?;
    let mut attributes = body.get(ANSWER..)?;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        if kind == INET_DIAG_SKV6ONLY {
            return Some((u64::from(inode), *attributes.get(4)? != 0));
        }
        attributes = attributes.get(aligned(usize::from(length.max(4)))..)?;
    }
    None
}

const fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
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
        let found = v6only().unwrap();
        assert!(found.contains(&(dual, false)) && found.contains(&(only, true)), "{found:?}");
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

    #[test]
    fn an_answer_of_garbage_ends() {
        for bytes in [&[0; 40][..], &[0xff; 200], &[1, 0, 0, 0, 20, 0], &[72, 0, 0, 0, 20, 0, 0, 0]]
        {
            let mut found = Vec::new();
            let _ = messages(bytes, &mut |body| found.extend(v6only_of(body)));
            assert!(found.is_empty());
        }
    }

    #[test]
    fn an_error_is_one_whether_the_dump_began_or_not() {
        for kind in [NLMSG_ERROR, NLMSG_DONE] {
            let mut refused = request(libc::AF_INET);
            refused[4..6].copy_from_slice(&kind.to_ne_bytes());
            refused[16..20].copy_from_slice(&(-2_i32).to_ne_bytes());
            assert_eq!(messages(&refused, &mut |_| ()).unwrap_err().raw_os_error(), Some(2));
            refused[16..20].copy_from_slice(&[0; 4]);
            assert_eq!(messages(&refused, &mut |_| ()).unwrap(), Dump::Complete);
        }
    }
}
