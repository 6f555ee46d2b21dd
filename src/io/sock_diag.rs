//! Which IPv6 sockets leave IPv4 out (`IPV6_V6ONLY`), which `/proc/net/tcp6` does not show: asked of the kernel
//! through `NETLINK_SOCK_DIAG` (`sock_diag(7)`).
//!
//! Owns the messages; must never judge what they say. Needs no privilege, and may be missing (gVisor, a kernel
//! without `tcp_diag`).

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Write as _};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// How long the kernel may take for one part of its answer; it needs microseconds.
const PATIENCE_MS: i64 = 500;

/// How much of an answer is read: 100,000 sockets.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// What the kernel writes into one datagram of a dump at most (`NLMSG_GOODSIZE` and some).
const DATAGRAM: usize = 64 * 1024;

const NETLINK_HEADER: usize = 16;
/// `struct inet_diag_msg`.
const ANSWER: usize = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_DUMP: u16 = 0x301;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u32 = 10;
const INET_DIAG_SKV6ONLY: u16 = 11;

/// Whether each listening IPv6 socket leaves IPv4 out, by inode.
///
/// # Errors
/// The system's: no such protocol, not permitted, no answer in time.
pub fn v6only() -> std::io::Result<HashMap<u64, bool>> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let descriptor = socket(AddressFamily::Netlink, SockType::Datagram, flags, SockProtocol::NetlinkSockDiag)?;
    setsockopt(&descriptor, sockopt::ReceiveTimeout, &TimeVal::milliseconds(PATIENCE_MS))?;
    let mut kernel = File::from(descriptor);
    kernel.write_all(&request())?;
    let (mut found, mut buffer, mut total) = (HashMap::new(), vec![0; DATAGRAM], 0);
    while total < MOST_BYTES {
        let length = kernel.read(&mut buffer)?;
        total += length;
        if length == 0 || messages(&buffer[..length], &mut found)? == Dump::Complete {
            return Ok(found);
        }
    }
    Err(std::io::Error::other("the kernel's answer does not end"))
}

#[derive(Debug, PartialEq, Eq)]
enum Dump {
    GoesOn,
    Complete,
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2`: all listening TCP sockets over IPv6.
fn request() -> Vec<u8> {
    const LENGTH: u32 = 72;
    let mut bytes = LENGTH.to_ne_bytes().to_vec();
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([u8::try_from(nix::libc::AF_INET6).unwrap_or(10), IPPROTO_TCP, 0, 0]);
    bytes.extend((1_u32 << TCP_LISTEN).to_ne_bytes());
    bytes.resize(LENGTH as usize, 0);
    bytes
}

/// Reads the messages of one datagram; what is cut short or something else is passed over.
fn messages(mut bytes: &[u8], found: &mut HashMap<u64, bool>) -> std::io::Result<Dump> {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = (length as usize).clamp(NETLINK_HEADER, bytes.len().max(NETLINK_HEADER));
        let body = bytes.get(NETLINK_HEADER..length).unwrap_or_default();
        match kind {
            NLMSG_DONE => return Ok(Dump::Complete),
            NLMSG_ERROR => {
                let number = u32_at(body, 0).map_or(0, u32::cast_signed);
                return Err(std::io::Error::from_raw_os_error(-number));
            }
            SOCK_DIAG_BY_FAMILY => found.extend(socket_of(body)),
            _ => {}
        }
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
    }
    Ok(Dump::GoesOn)
}

/// The inode at the end of `struct inet_diag_msg`, and the attribute behind it.
fn socket_of(body: &[u8]) -> Option<(u64, bool)> {
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
        let descriptor = socket(AddressFamily::Inet6, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        setsockopt(&descriptor, sockopt::Ipv6V6Only, &leaves_v4_out).unwrap();
        let any: std::net::SocketAddrV6 = "[::]:0".parse().unwrap();
        bind(descriptor.as_raw_fd(), &SockaddrIn6::from(any)).unwrap();
        listen(&descriptor, Backlog::new(1).unwrap()).unwrap();
        let link = std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).unwrap();
        let inode = link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        (descriptor, inode)
    }

    #[test]
    fn the_kernel_tells_v6only_of_both_kinds_of_sockets() {
        let ((_dual, dual), (_only, only)) = (listener(false), listener(true));
        let found = v6only().unwrap();
        assert_eq!((found.get(&dual), found.get(&only)), (Some(&false), Some(&true)));
    }

    #[test]
    fn an_answer_of_garbage_ends() {
        for bytes in [&[0; 40][..], &[0xff; 200], &[1, 0, 0, 0, 20, 0], &[72, 0, 0, 0, 20, 0, 0, 0]] {
            let mut found = HashMap::new();
            let _ = messages(bytes, &mut found);
            assert!(found.is_empty());
        }
        let mut refused = request();
        refused[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        refused[16..20].copy_from_slice(&(-2_i32).to_ne_bytes());
        assert_eq!(messages(&refused, &mut HashMap::new()).unwrap_err().raw_os_error(), Some(2));
    }
}
