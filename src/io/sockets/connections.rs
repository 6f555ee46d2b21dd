//! The pod's connections, of every container, and of the proxy, too.
//!
//! Owns the order of the two sources; must never judge what they say.

use crate::core::sockets::connection::Connection;
use crate::io::sockets::proc_net;
use crate::io::sockets::sock_diag::Kernel;

/// Where connections are looked at, again and again: `sock_diag`, or where that is refused
/// `/proc/net/tcp`, which does not say when something last moved on them.
#[derive(Debug)]
pub struct Connections(Option<Kernel>);

impl Connections {
    /// Opens the better source that there is.
    #[must_use]
    pub fn open() -> Self {
        // A kernel that has the protocol and no `tcp_diag` refuses the first dump only.
        let tried = Kernel::connect().and_then(|mut kernel| {
            kernel.connections(|_| ())?;
            Ok(kernel)
        });
        Self(tried.ok())
    }

    /// Each connection that is there now, one by one.
    ///
    /// # Errors
    /// The source cannot be read; what came before the error is then not all there is.
    pub fn each(&mut self, each: impl FnMut(Connection)) -> std::io::Result<()> {
        match &mut self.0 {
            Some(kernel) => kernel.connections(each),
            None => proc_net::connections(each),
        }
    }

    /// All of them at once, for who looks once.
    ///
    /// # Errors
    /// As [`Connections::each`].
    pub fn all(&mut self) -> std::io::Result<Vec<Connection>> {
        let mut all = Vec::new();
        self.each(|connection| all.push(connection))?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};

    use super::*;
    use crate::core::sockets::connection::TcpState;

    /// Our end of `stream`, as both sources tell it.
    fn told(stream: &TcpStream) -> [Connection; 2] {
        let ends: (SocketAddr, SocketAddr) =
            (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        let find = |mut source: Connections| {
            // Long files of /proc are read in pieces: one line is passed over where another socket
            // is closed meanwhile.
            (0..50).find_map(|_| {
                let all = source.all().unwrap();
                all.into_iter().find(|found| (found.local, found.remote) == ends)
            })
        };
        [Connections::open(), Connections(None)].map(|source| find(source).unwrap())
    }

    #[test]
    fn both_sources_tell_addresses_state_owner_and_queues_of_a_real_connection() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            client.write_all(b"hello").unwrap();
            let [asked, read] = told(&server);
            assert_eq!((asked.unread, asked.unsent, asked.state), (5, 0, TcpState::Established));
            assert_eq!(asked.uid, nix::unistd::geteuid().as_raw());
            let traffic = asked.traffic.unwrap();
            assert_eq!((traffic.bytes_received, traffic.bytes_sent), (5, 0));
            assert_eq!(read, Connection { traffic: None, ..asked });
            server.read_exact(&mut [0; 5]).unwrap();
            server.write_all(b"hi").unwrap();
            client.read_exact(&mut [0; 2]).unwrap();
            let [asked, _] = told(&server);
            assert_eq!((asked.unread, asked.traffic.unwrap().bytes_sent), (0, 2));
            drop(client);
            let [closed, _] = told(&server);
            assert_eq!(
                (closed.state, closed.unread),
                (TcpState::CloseWait, 1),
                "a FIN counts as 1"
            );
        }
    }

    #[test]
    fn what_is_not_read_is_in_a_queue_of_one_end_or_the_other() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.set_nonblocking(true).unwrap();
        let mut sent = 0;
        while let Ok(length) = client.write(&[0; 8_192]) {
            sent += length;
        }
        // Segments may be on their way for a moment.
        let counted = (0..1_000).any(|_| {
            let [[there, _], [here, _]] = [told(&client), told(&server)];
            there.unsent > 0 && (there.unsent + here.unread) as usize >= sent
        });
        assert!(counted, "{sent} {:?} {:?}", told(&client), told(&server));
    }

    #[test]
    fn a_dual_stack_listeners_ipv4_connections_are_told_as_ipv4() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let ends = (client.peer_addr().unwrap(), client.local_addr().unwrap());
        let all = Connections::open().all().unwrap();
        assert!(all.iter().any(|found| (found.local, found.remote) == ends), "{all:?}");
    }
}
