//! The pod's TCP sockets as text: `/proc/net/tcp` and `tcp6` (Linux:
//! `Documentation/networking/proc_net_tcp.rst`).
//!
//! Owns reading and parsing; must never judge what it sees. `sock_diag` tells the same faster,
//! where there is one.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::io::sockets::listener::Listener;

/// `TCP_LISTEN` in `include/net/tcp_states.h`.
const LISTEN: &str = "0A";

/// `TCP_ESTABLISHED` there.
const ESTABLISHED: &str = "01";

/// Every listening TCP socket of the pod, as `/proc/net/tcp` and `tcp6` have them.
///
/// # Errors
/// `/proc/net/tcp` cannot be read. A missing `tcp6` is none: the kernel may have no IPv6.
pub fn listening() -> std::io::Result<Vec<Listener>> {
    let mut listeners = read("/proc/net/tcp")?;
    match read("/proc/net/tcp6") {
        Ok(v6) => listeners.extend(v6),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(listeners)
}

/// How many connections to these ports of the pod are established.
///
/// # Errors
/// As [`listening`].
pub fn connections_to(ports: &[u16]) -> std::io::Result<u64> {
    let count = |path| -> std::io::Result<u64> {
        let mut count = 0;
        for line in BufReader::new(File::open(path)?).lines() {
            count += u64::from(is_connection_to(&line?, ports));
        }
        Ok(count)
    };
    let v4 = count("/proc/net/tcp")?;
    match count("/proc/net/tcp6") {
        Ok(v6) => Ok(v4 + v6),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(v4),
        Err(error) => Err(error),
    }
}

fn is_connection_to(line: &str, ports: &[u16]) -> bool {
    let mut fields = line.split_ascii_whitespace();
    let (local, state) = (fields.nth(1).and_then(parse_address), fields.nth(1));
    state == Some(ESTABLISHED) && local.is_some_and(|local| ports.contains(&local.port()))
}

fn read(path: &str) -> std::io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        // The kernel lists listening sockets first: what follows the last one are connections,
        // maybe thousands.
        match parse(&line) {
            Line::Listener(listener) => listeners.push(listener),
            Line::Connection => break,
            Line::Other => {}
        }
    }
    Ok(listeners)
}

enum Line {
    Listener(Listener),
    Connection,
    Other,
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`
fn parse(line: &str) -> Line {
    let mut fields = line.split_ascii_whitespace();
    let parsed = (|| {
        let address = parse_address(fields.nth(1)?)?;
        let state = fields.nth(1)?;
        let uid = fields.nth(3)?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        Some((state, Listener { address, uid, inode }))
    })();
    match parsed {
        Some((LISTEN, listener)) => Line::Listener(listener),
        Some(_) => Line::Connection,
        None => Line::Other,
    }
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
    fn connections_are_counted_at_the_end_that_accepted_them() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(connections_to(&[port]).unwrap(), 0);
        let clients = [(); 3].map(|()| std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
        assert_eq!(connections_to(&[port]).unwrap(), 3);
        assert_eq!(connections_to(&[]).unwrap(), 0);
        drop(clients);
    }

    #[test]
    fn what_is_no_socket_is_passed_over() {
        for line in [
            "",
            "  sl  local_address rem_address   st",
            "0: xyz 0 0A",
            "0: 0100007F:1F90 00000000:0000 0A",
        ] {
            assert!(matches!(parse(line), Line::Other), "{line}");
        }
    }
}
