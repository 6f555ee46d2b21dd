//! The messages of `NETLINK_SOCK_DIAG` (`sock_diag(7)`): requests as bytes, answers as values.
//!
//! Owns the layout of both (Linux: `include/uapi/linux/{netlink,inet_diag,tcp}.h`); must never open
//! a socket. What is cut short, or something else, is passed over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::core::sockets::connection::{Connection, TcpState, Traffic};
use crate::core::sockets::listener::Listener;
use crate::core::sockets::proc_line::canonical;

const NETLINK_HEADER: usize = 16;
/// `struct inet_diag_msg`; attributes follow it.
const ANSWER: usize = 72;
const REQUEST: u32 = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST`.
const ASK: u16 = 1;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const IPPROTO_TCP: u8 = 6;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const INET_DIAG_INFO: u16 = 2;
const INET_DIAG_SKV6ONLY: u16 = 11;
/// `lo` is the first interface of each network namespace (`net/core/dev.c`).
const LOOPBACK_INTERFACE: u32 = 1;

/// Places in `struct tcp_info`: ages in milliseconds, counts in bytes.
const LAST_DATA_SENT: usize = 44;
const LAST_DATA_RECEIVED: usize = 52;
const BYTES_ACKED: usize = 120;
const BYTES_RECEIVED: usize = 128;
/// Only since Linux 4.19.
const BYTES_SENT: usize = 200;

/// Whose sockets a dump is about; a dual-stack socket is IPv6's, with all of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

/// Has the kernel told all of a dump?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// More datagrams follow.
    GoesOn,
    /// That was the last one.
    Complete,
}

/// The kernel refuses: this error number, as `ENOENT` is 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorNumber(pub i32);

/// Asks for all listening TCP sockets of one family.
#[must_use]
pub fn ask_for_listeners(family: Family) -> Vec<u8> {
    request(family, DUMP, 0, &[TcpState::Listen])
}

/// Asks for all connections of one family, with what has moved on them.
#[must_use]
pub fn ask_for_connections(family: Family) -> Vec<u8> {
    request(family, DUMP, 1 << (INET_DIAG_INFO - 1), &TcpState::CONNECTED)
}

/// Asks for the one listening socket that a connection from loopback to `address` would find:
/// `struct inet_diag_sockid` says where (`inet_diag_find_one_icsk` looks it up as it does for a
/// segment that arrives).
#[must_use]
pub fn ask_for_listener_at(address: SocketAddr) -> Vec<u8> {
    let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
    let mut bytes = request(family, ASK, 0, &[]);
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

/// `struct nlmsghdr` and `struct inet_diag_req_v2`.
fn request(family: Family, flags: u16, extensions: u8, states: &[TcpState]) -> Vec<u8> {
    let family = match family {
        Family::V4 => AF_INET,
        Family::V6 => AF_INET6,
    };
    let states = states.iter().fold(0_u32, |all, state| all | 1 << state.number());
    let mut bytes = REQUEST.to_ne_bytes().to_vec();
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, IPPROTO_TCP, extensions, 0]);
    bytes.extend(states.to_ne_bytes());
    bytes.resize(REQUEST as usize, 0);
    bytes
}

/// Reads the messages of one datagram; `each` gets what stands in an answer: a `struct
/// inet_diag_msg` and its attributes.
///
/// # Errors
/// The kernel refuses, before the dump or in the middle of it.
pub fn messages(mut bytes: &[u8], each: &mut impl FnMut(&[u8])) -> Result<Dump, ErrorNumber> {
    while let (Some(length), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let length = (length as usize).clamp(NETLINK_HEADER, bytes.len().max(NETLINK_HEADER));
        let body = bytes.get(NETLINK_HEADER..length).unwrap_or_default();
        match kind {
            // Both begin with an error number: a dump that fails half-way, or for want of
            // `tcp_diag`, is done, too.
            NLMSG_DONE | NLMSG_ERROR => {
                let number = u32_at(body, 0).map_or(0, u32::cast_signed);
                return if number < 0 {
                    Err(ErrorNumber(number.saturating_neg()))
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

/// The listening socket of one answer.
#[must_use]
pub fn listener_of(body: &[u8]) -> Option<Listener> {
    let (uid, inode) = owner_of(body)?;
    // Only IPv6 sockets have it (`net/ipv4/inet_diag.c`, `inet_diag_msg_attrs_fill`).
    let v6only = attribute(body, INET_DIAG_SKV6ONLY).and_then(|value| Some(*value.first()? != 0));
    Some(Listener { address: address_at(body, 4, 8)?, uid, inode, v6only })
}

/// The connection of one answer.
#[must_use]
pub fn connection_of(body: &[u8]) -> Option<Connection> {
    let (uid, inode) = owner_of(body)?;
    Some(Connection {
        local: canonical(address_at(body, 4, 8)?),
        remote: canonical(address_at(body, 6, 24)?),
        state: TcpState::from_number(*body.get(1)?)?,
        uid,
        inode,
        unread: u32_at(body, 56)?,
        unsent: u32_at(body, 60)?,
        traffic: attribute(body, INET_DIAG_INFO).and_then(traffic_of),
    })
}

/// `struct tcp_info`, which grows at its end with the kernel's version.
fn traffic_of(info: &[u8]) -> Option<Traffic> {
    let age = |at| Some(Duration::from_millis(u64::from(u32_at(info, at)?)));
    Some(Traffic {
        last_sent: age(LAST_DATA_SENT)?,
        last_received: age(LAST_DATA_RECEIVED)?,
        bytes_sent: u64_at(info, BYTES_SENT).or_else(|| u64_at(info, BYTES_ACKED))?,
        bytes_received: u64_at(info, BYTES_RECEIVED)?,
    })
}

/// User and inode, which end `struct inet_diag_msg`.
fn owner_of(body: &[u8]) -> Option<(u32, u64)> {
    Some((u32_at(body, ANSWER - 8)?, u64::from(u32_at(body, ANSWER - 4)?)))
}

/// An address of `struct inet_diag_sockid`, whose port is in network order.
fn address_at(body: &[u8], port: usize, ip: usize) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(body.get(port..port + 2)?.try_into().ok()?);
    let ip = if *body.first()? == AF_INET {
        IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(body.get(ip..ip + 4)?).ok()?))
    } else {
        IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(body.get(ip..ip + 16)?).ok()?))
    };
    Some(SocketAddr::new(ip, port))
}

/// The value of the first attribute of this kind (`struct nlattr`).
fn attribute(body: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut attributes = body.get(ANSWER..)?;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let length = usize::from(length).max(4);
        if kind == wanted {
            return attributes.get(4..length.min(attributes.len()));
        }
        attributes = attributes.get(aligned(length)..)?;
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

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
