//! One line of `/proc/net/tcp` or `tcp6` (Linux: `Documentation/networking/proc_net_tcp.rst`).
//!
//! Owns the reading of a line; must never open the file.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::core::sockets::connection::{Connection, TcpState};
use crate::core::sockets::listener::Listener;

/// What one line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcLine {
    /// A listening socket.
    Listener(Listener),
    /// Any other socket.
    Connection(Connection),
    /// The heading, or no line of these files.
    Other,
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`
#[must_use]
pub fn parse(line: &str) -> ProcLine {
    let mut fields = line.split_ascii_whitespace();
    let parsed = (|| {
        let address = parse_address(fields.nth(1)?)?;
        let remote = parse_address(fields.next()?)?;
        let state = TcpState::from_number(u8::from_str_radix(fields.next()?, 16).ok()?)?;
        let (unsent, unread) = fields.next()?.split_once(':')?;
        let unsent = u32::from_str_radix(unsent, 16).ok()?;
        let unread = u32::from_str_radix(unread, 16).ok()?;
        let uid = fields.nth(2)?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        Some(if state == TcpState::Listen {
            ProcLine::Listener(Listener { address, uid, inode, v6only: None })
        } else {
            let (local, remote) = (canonical(address), canonical(remote));
            let traffic = None;
            ProcLine::Connection(Connection {
                local,
                remote,
                state,
                uid,
                inode,
                unsent,
                unread,
                traffic,
            })
        })
    })();
    parsed.unwrap_or(ProcLine::Other)
}

/// `::ffff:10.0.0.5` as `10.0.0.5`, which is what the other end of such a connection shows.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// `0100007F:1F90`: words of 32 bits in the machine's byte order, then the port, big-endian.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match address.len() {
        8 => word(0)?.into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_connections_line_is_read_with_its_queues() {
        let line = "   1: 0100007F:1F90 0200007F:C350 01 0000000A:0000001F 00:00000000 00000000  \
                    1000        0 12345 1 0000000000000000 100 0 0 10 0";
        let expected = Connection {
            local: "127.0.0.1:8080".parse().unwrap(),
            remote: "127.0.0.2:50000".parse().unwrap(),
            state: TcpState::Established,
            uid: 1000,
            inode: 12345,
            unsent: 10,
            unread: 31,
            traffic: None,
        };
        assert_eq!(parse(line), ProcLine::Connection(expected));
        let mapped = line
            .replace("0100007F:1F90", "0000000000000000FFFF00000100007F:1F90")
            .replace("0200007F:C350", "0000000000000000FFFF00000200007F:C350");
        assert_eq!(parse(&mapped), ProcLine::Connection(expected));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_listeners_line_is_read_as_it_listens() {
        let line = "0: 0000000000000000FFFF00000500000A:1F90 0:0 0A 00000000:00000000 00:00000000 \
                    00000000  1000        0 12345 1 0000000000000000 100 0 0 10 0"
            .replace(" 0:0 ", " 00000000000000000000000000000000:0000 ");
        let address = "[::ffff:10.0.0.5]:8080".parse().unwrap();
        assert_eq!(
            parse(&line),
            ProcLine::Listener(Listener { address, uid: 1000, inode: 12345, v6only: None })
        );
    }

    #[test]
    fn what_is_no_socket_is_passed_over() {
        for line in [
            "",
            "  sl  local_address rem_address   st",
            "0: xyz 0 0A",
            "0: 0100007F:1F90 00000000:0000 0A",
            "0: 0100007F:1F90 00000000:0000 FF 0:0 0 0 0 0 0",
            "0: 0100007F:1F90 00000000:0000 01 zz 0 0 0 0 0",
        ] {
            assert_eq!(parse(line), ProcLine::Other, "{line}");
        }
    }
}
