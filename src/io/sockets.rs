//! The pod's listening sockets, from `/proc/net/tcp` and `tcp6`: every container's, whoever owns them.
//!
//! Owns reading and parsing (Linux: `Documentation/networking/proc_net_tcp.rst`); must never judge what it sees.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// `TCP_LISTEN` in `include/net/tcp_states.h`.
const LISTEN: &str = "0A";

/// A listening socket of this network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its owner, as our user namespace sees it.
    pub uid: u32,
    /// Its inode, by which its process can be found.
    pub inode: u64,
}

/// Every listening TCP socket of the pod.
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

fn read(path: &str) -> std::io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        // The kernel lists listening sockets first: what follows the last one are connections, maybe thousands.
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
    let word = |at: usize| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
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
    fn a_real_socket_is_found_where_it_listens() {
        for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
            let Ok(socket) = std::net::TcpListener::bind(address) else { continue };
            let address = socket.local_addr().unwrap();
            let found: Vec<_> = listening().unwrap().into_iter().filter(|found| found.address == address).collect();
            assert_eq!(found.len(), 1, "{address}");
            assert_eq!(found[0].uid, nix::unistd::geteuid().as_raw());
        }
    }

    #[test]
    fn what_is_no_socket_is_passed_over() {
        for line in ["", "  sl  local_address rem_address   st", "0: xyz 0 0A", "0: 0100007F:1F90 00000000:0000 0A"] {
            assert!(matches!(parse(line), Line::Other), "{line}");
        }
    }
}
