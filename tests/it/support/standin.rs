//! A scripted proxy: an HTTP/1.1 server on loopback or on a Unix socket that answers what the test
//! says.
//!
//! It has an address from the start, on which connections are refused until it is opened, and again
//! after it is closed. It counts requests and connections, and is gone, threads and all, when
//! dropped.

#![expect(clippy::disallowed_methods, reason = "that rule is for meshim, which is one thread")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::sys::socket::{
    self, AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt,
};

use super::reply::{Gate, Reply};
use super::shared::{DEADLINE, Shared};

/// A scripted proxy.
#[derive(Debug)]
pub(crate) struct StandIn {
    place: Place,
    state: Shared<State>,
    open: Option<Open>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) at: Instant,
    pub(crate) body: String,
}

#[derive(Debug)]
enum Place {
    /// The socket is bound and never listens: it keeps the port and has connections refused.
    Tcp(SocketAddr, #[expect(dead_code, reason = "held for its port")] OwnedFd),
    Unix(PathBuf),
}

#[derive(Debug, Default)]
struct State {
    /// By method and path (`GET /shutdown`), by target or by path: what the next requests get; the
    /// last one stays.
    scripts: HashMap<String, Vec<Reply>>,
    /// What requests for anything else get; else what Envoy's admin API says.
    otherwise: Option<Reply>,
    /// Behind which somebody may still wait.
    gates: Vec<Gate>,
    requests: Vec<Request>,
    connections: usize,
}

/// The connections that are open, by their number; `None` once no more are wanted.
type Streams = Shared<Option<HashMap<usize, OwnedFd>>>;

/// A stand-in that accepts.
#[derive(Debug)]
struct Open {
    listener: OwnedFd,
    streams: Streams,
    acceptor: JoinHandle<()>,
}

impl StandIn {
    /// On a free port of 127.0.0.1, accepting.
    pub(crate) fn new() -> Self {
        Self::late().opened()
    }

    /// On a free port of 127.0.0.1, where connections are refused until [`StandIn::open`].
    pub(crate) fn late() -> Self {
        Self::late_at((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// The same on a free port of `::1`.
    pub(crate) fn late_v6() -> Self {
        Self::late_at((Ipv6Addr::LOCALHOST, 0).into())
    }

    /// The same at a given address, as in a network namespace of the test's own.
    pub(crate) fn late_at(address: SocketAddr) -> Self {
        let keeper = bound(address);
        let address = address_of(&keeper);
        Self { place: Place::Tcp(address, keeper), state: Shared::default(), open: None }
    }

    /// On a given port of 127.0.0.1, accepting.
    pub(crate) fn on_port(port: u16) -> Self {
        Self::late_at((Ipv4Addr::LOCALHOST, port).into()).opened()
    }

    /// On a Unix socket that is not there until [`StandIn::open`].
    pub(crate) fn late_unix(path: &Path) -> Self {
        Self { place: Place::Unix(path.to_owned()), state: Shared::default(), open: None }
    }

    pub(crate) fn opened(mut self) -> Self {
        self.open();
        self
    }

    /// Begins to accept, or does so again.
    pub(crate) fn open(&mut self) {
        self.close();
        let streams = Shared::new(Some(HashMap::new()));
        let (listener, acceptor) = match &self.place {
            Place::Tcp(address, _) => {
                let listener = bound(*address);
                socket::listen(&listener, Backlog::MAXCONN).expect("the port is ours");
                let acceptor =
                    TcpListener::from(listener.try_clone().expect("descriptors are left"));
                let accept = move || acceptor.accept().map(|(stream, _)| stream);
                (listener, self.accept(accept, TcpStream::try_clone, &streams))
            }
            Place::Unix(path) => {
                let acceptor = UnixListener::bind(path).expect("the path is ours");
                let listener = OwnedFd::from(acceptor.try_clone().expect("descriptors are left"));
                let accept = move || acceptor.accept().map(|(stream, _)| stream);
                (listener, self.accept(accept, UnixStream::try_clone, &streams))
            }
        };
        self.open = Some(Open { listener, streams, acceptor });
    }

    fn accept<S: Read + Write + Into<OwnedFd> + Send + 'static>(
        &self,
        accept: impl Fn() -> std::io::Result<S> + Send + 'static,
        try_clone: fn(&S) -> std::io::Result<S>,
        streams: &Streams,
    ) -> JoinHandle<()> {
        let (state, streams) = (self.state.clone(), streams.clone());
        std::thread::spawn(move || {
            let mut servers = Vec::new();
            loop {
                match accept() {
                    Ok(stream) => {
                        let number = state.change(|state| {
                            state.connections += 1;
                            state.connections
                        });
                        let copy = try_clone(&stream).expect("descriptors are left");
                        streams.change(|streams| {
                            streams.as_mut().map(|streams| streams.insert(number, copy.into()))
                        });
                        let (state, streams) = (state.clone(), streams.clone());
                        servers.push(std::thread::spawn(move || {
                            let mut stream = stream;
                            let _ = serve(&mut stream, &state);
                            let _ =
                                socket::shutdown(stream.into().as_raw_fd(), socket::Shutdown::Both);
                            streams.change(|streams| {
                                streams.as_mut().map(|streams| streams.remove(&number))
                            });
                        }));
                    }
                    // That is how the end of the listener shows.
                    Err(_) if streams.look(Option::is_none) => break,
                    Err(error) => panic!("the stand-in cannot accept: {error}"),
                }
            }
            for server in servers {
                server.join().expect("a server thread never panics");
            }
        })
    }

    /// Ends every connection and refuses new ones, as a proxy that has died; the address stays
    /// reserved. Answers that are held back are let go, into connections that are no more.
    pub(crate) fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        // From here on no connection is taken in: whoever is accepted just now is dropped with its
        // copy.
        let streams = open.streams.change(Option::take).unwrap_or_default();
        let _ = socket::shutdown(open.listener.as_raw_fd(), socket::Shutdown::Both);
        if let Place::Unix(path) = &self.place {
            let _ = std::fs::remove_file(path);
        }
        drop(open.listener);
        for stream in streams.values() {
            let _ = socket::shutdown(stream.as_raw_fd(), socket::Shutdown::Both);
        }
        self.state.look(|state| state.gates.iter().for_each(Gate::open));
        open.acceptor.join().expect("the acceptor says why");
    }

    /// What requests for `target` (path, or path and query) get from now on: one answer each, the
    /// last for ever.
    pub(crate) fn script(&self, target: &str, replies: impl IntoIterator<Item = Reply>) -> &Self {
        let replies: Vec<Reply> = replies.into_iter().collect();
        self.state.change(|state| {
            state.gates.extend(replies.iter().filter_map(Reply::gate).cloned());
            state.scripts.insert(target.to_owned(), replies);
        });
        self
    }

    /// What every request for `target` gets from now on.
    pub(crate) fn says(&self, target: &str, reply: Reply) -> &Self {
        self.script(target, [reply])
    }

    /// What every request gets from now on for which nothing else was said.
    pub(crate) fn says_otherwise(&self, reply: Reply) -> &Self {
        self.state.change(|state| state.otherwise = Some(reply));
        self
    }

    /// Where it is, as a URL of meshim's: `http://127.0.0.1:4711` or `unix:/path`.
    pub(crate) fn url(&self) -> String {
        match &self.place {
            Place::Tcp(address, _) => format!("http://{address}"),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Its TCP port.
    pub(crate) fn port(&self) -> u16 {
        match &self.place {
            Place::Tcp(address, _) => address.port(),
            Place::Unix(path) => panic!("{} has no port", path.display()),
        }
    }

    /// The requests for a target so far.
    pub(crate) fn requests(&self, target: &str) -> Vec<Request> {
        let matching = |state: &State| {
            state.requests.iter().filter(|request| request.is_for(target)).cloned().collect()
        };
        self.state.look(matching)
    }

    /// How often a target was asked for so far.
    pub(crate) fn count(&self, target: &str) -> usize {
        self.requests(target).len()
    }

    /// How many requests for anything there were so far.
    pub(crate) fn all_requests(&self) -> usize {
        self.state.look(|state| state.requests.len())
    }

    /// How many connections were accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.look(|state| state.connections)
    }

    /// Waits until a target was asked for `count` times in all.
    pub(crate) fn wait_for_requests(&self, target: &str, count: usize) {
        let enough = |state: &State| {
            let requests = state.requests.iter().filter(|request| request.is_for(target));
            (requests.count() >= count).then_some(())
        };
        assert!(
            self.state.wait_for(DEADLINE, enough).is_some(),
            "{target} was never asked for {count} times"
        );
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.close();
    }
}

impl Request {
    fn is_for(&self, target: &str) -> bool {
        self.target == target || self.target.split('?').next() == Some(target)
    }
}

impl State {
    fn reply_to(&mut self, request: Request) -> Reply {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        let by_method = format!("{} {path}", request.method);
        let keys = [by_method, request.target.clone()];
        let key = keys.into_iter().find(|key| self.scripts.contains_key(key)).unwrap_or(path);
        self.requests.push(request);
        match self.scripts.get_mut(&key) {
            Some(replies) if replies.len() > 1 => replies.remove(0),
            Some(replies) if replies.len() == 1 => replies[0].clone(),
            _ => self
                .otherwise
                .clone()
                .unwrap_or_else(|| Reply::envoy(404, "invalid path. admin commands are:\n")),
        }
    }
}

/// A socket bound to `address`, which other sockets of ours may share.
fn bound(address: SocketAddr) -> OwnedFd {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let socket = socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .expect("sockets are left");
    setsockopt(&socket, sockopt::ReuseAddr, &true).expect("every TCP socket has it");
    setsockopt(&socket, sockopt::ReusePort, &true).expect("every TCP socket has it");
    let bound = socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(address));
    bound.unwrap_or_else(|error| panic!("{address} cannot be had: {error}"));
    socket
}

fn address_of(socket: &OwnedFd) -> SocketAddr {
    let copy = socket.try_clone().expect("descriptors are left");
    TcpListener::from(copy).local_addr().expect("it is bound")
}

/// Serves one connection to its end.
fn serve(stream: &mut (impl Read + Write), state: &Shared<State>) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(request) = read_request(stream, &mut buffer)? {
        let reply = state.change(|state| state.reply_to(request));
        if !reply.send(stream)? {
            break;
        }
    }
    Ok(())
}

/// The next request; `None` where the other side has closed the connection between two.
fn read_request(stream: &mut impl Read, buffer: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    let more = |stream: &mut dyn Read, buffer: &mut Vec<u8>| {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes)?;
        buffer.extend_from_slice(&bytes[..count]);
        Ok::<bool, std::io::Error>(count > 0)
    };
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        if !more(stream, buffer)? {
            return Ok(None);
        }
    };
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let length = length.unwrap_or(0);
    while buffer.len() < head + length {
        if !more(stream, buffer)? {
            return Ok(None);
        }
    }
    let line =
        String::from_utf8_lossy(&buffer[..head]).lines().next().unwrap_or_default().to_owned();
    let mut words = line.split(' ').map(str::to_owned);
    let body = String::from_utf8_lossy(&buffer[head..head + length]).into_owned();
    let request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        at: Instant::now(),
        body,
    };
    buffer.drain(..head + length);
    Ok(Some(request))
}
