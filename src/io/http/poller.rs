//! Looks at one readiness endpoint, hundreds of times over one kept-alive connection: what a wait
//! consists of.
//!
//! Owns the connection and the cost of a look, a quarter of what the same request costs through
//! hyper and a runtime. Each look has one deadline, connecting included, and a bound on what it
//! reads; a stop signal ends it at once. Must never judge an answer; requests that change something
//! or read much are `io::http`'s.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, connect,
    getpeername, getsockname, getsockopt, recv, send, socket, sockopt,
};

use crate::core::answer::{Answer, Fault};
use crate::core::endpoint::{Address, Endpoint};
use crate::core::signal::Signal;
use crate::io::http::fault;
use crate::io::http::response::{self, ROOM, Whole};
use crate::io::signals::{StopSignals, Woken};
use crate::io::sockets::sock_diag::{self, Question};

/// For how long it is believed that nobody listens, where the kernel says so. What redirects
/// connections on their way (iptables, eBPF) is not asked there, so that now and then it is tried.
const BELIEVED: Duration = Duration::from_millis(500);

/// How long a connection is used. A server that is being replaced may close its port and go on
/// answering on connections that it has: only a new one tells.
const RENEWED_AFTER: Duration = Duration::from_secs(1);

/// Room for a usual answer.
const USUAL_ROOM: usize = 1024;

/// Looks at one endpoint.
#[derive(Debug)]
pub struct Poller {
    address: Address,
    /// What is sent, each time; empty where it is enough that a connection is taken.
    request: Vec<u8>,
    connection: Option<Kept>,
    refused: Option<RefusedConnect>,
    /// Where answers are read into; there is more of it once one has not fitted.
    room: Vec<u8>,
}

/// A connection that the next request may use.
#[derive(Debug)]
struct Kept {
    connection: OwnedFd,
    since: Instant,
}

/// Nobody listened.
#[derive(Debug)]
struct RefusedConnect {
    tried: Instant,
    /// Does somebody by now? `None` where the kernel cannot tell.
    question: Option<Question>,
}

/// What a look came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked {
    /// A complete answer.
    Answer(Answer),
    /// None.
    Fault(Fault),
    /// A stop signal came meanwhile.
    Stopped(Signal),
}

/// Why a look came to nothing.
enum Unseen {
    Fault(Fault),
    Stopped(Signal),
}

impl From<Fault> for Unseen {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Poller {
    /// One that has not connected yet.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        let Endpoint { address, path } = endpoint;
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", address.host_header()).into_bytes();
        Self::asking(address.clone(), request)
    }

    /// One that only connects. A connection that is taken is told as an empty 200.
    #[must_use]
    pub fn connecting(address: Address) -> Self {
        Self::asking(address, Vec::new())
    }

    fn asking(address: Address, request: Vec<u8>) -> Self {
        Self { address, request, connection: None, refused: None, room: vec![0; USUAL_ROOM] }
    }

    /// Looks, and gives up at `until`. What is longer than [`ROOM`] is cut.
    pub fn look(&mut self, until: Instant, stop: &mut StopSignals) -> Looked {
        match self.answer(until, stop) {
            Ok(answer) => Looked::Answer(answer),
            Err(Unseen::Fault(fault)) => Looked::Fault(fault),
            Err(Unseen::Stopped(signal)) => Looked::Stopped(signal),
        }
    }

    fn answer(&mut self, until: Instant, stop: &mut StopSignals) -> Result<Answer, Unseen> {
        if self.is_still_refused() {
            return Err(Fault::Refused.into());
        }
        let mut exchange = Exchange { request: &self.request, room: &mut self.room, until, stop };
        // Taken out, so that a look given up half-way leaves no connection with half an answer on
        // it.
        let kept = self.connection.take().filter(|kept| kept.since.elapsed() < RENEWED_AFTER);
        let exchanged = match kept.map(|kept| exchange.over(kept)) {
            // The server closed an idle connection just as we used it: that says nothing about its
            // readiness.
            None | Some(Err(Unseen::Fault(Fault::Broken(_)))) => {
                exchange.over_new_connection(&self.address)
            }
            Some(exchanged) => exchanged,
        };
        if matches!(exchanged, Err(Unseen::Fault(Fault::Refused))) {
            let question = self
                .refused
                .take()
                .map_or_else(|| question_about(&self.address), |refused| refused.question);
            self.refused = Some(RefusedConnect { tried: Instant::now(), question });
        }
        let (answer, connection) = exchanged?;
        self.refused = None;
        self.connection = connection;
        Ok(answer)
    }

    /// Is it certain, without connecting, that nobody listens yet? That costs a sixth of a
    /// connection refused.
    fn is_still_refused(&mut self) -> bool {
        let Some(RefusedConnect { tried, question }) = &mut self.refused else { return false };
        let answer = question.as_mut().filter(|_| tried.elapsed() < BELIEVED).map(Question::ask);
        if matches!(answer, Some(Err(_))) {
            *question = None;
        }
        matches!(answer, Some(Ok(false)))
    }
}

/// The kernel knows who listens here, and not who does in other places.
fn question_about(address: &Address) -> Option<Question> {
    let is_ours = address.port().is_some() && address.is_local();
    // A kernel without `tcp_diag` answers as if nobody listened; asked for all of them, it tells.
    if is_ours && sock_diag::listening().is_ok() {
        Question::about(&address.socket_addresses()).ok()
    } else {
        None
    }
}

/// One request and its answer.
struct Exchange<'a> {
    request: &'a [u8],
    room: &'a mut Vec<u8>,
    until: Instant,
    stop: &'a mut StopSignals,
}

impl Exchange<'_> {
    /// Tries the addresses in order.
    fn over_new_connection(&mut self, address: &Address) -> Result<(Answer, Option<Kept>), Unseen> {
        if let Address::Unix(path) = address {
            let address = UnixAddr::new(path).map_err(unconnected)?;
            let connection = self.connected(AddressFamily::Unix, &address)?;
            return self.received(Kept { connection, since: Instant::now() });
        }
        let mut fault = None;
        for address in address.socket_addresses() {
            let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            match self.connected(family, &SockaddrStorage::from(address)) {
                Ok(connection) => return self.received_by_another(connection),
                Err(Unseen::Fault(next)) => fault = Some(fault::of_several(fault, next)),
                Err(stopped) => return Err(stopped),
            }
        }
        Err(fault.unwrap_or(Fault::Refused).into())
    }

    /// The same where the other end may be ours: where the port that is asked is one of those that
    /// the kernel gives to outgoing connections, it may give us that very port, and connects us to
    /// ourselves. Then nobody listens there. Its own request is no answer, so that only a broken
    /// one is looked into.
    fn received_by_another(
        &mut self,
        connection: OwnedFd,
    ) -> Result<(Answer, Option<Kept>), Unseen> {
        if self.request.is_empty() {
            self.ready(&connection, PollFlags::POLLOUT)?;
            let error = getsockopt(&connection, sockopt::SocketError).map_err(unconnected)?;
            if error != 0 {
                return Err(unconnected(Errno::from_raw(error)).into());
            }
            if is_connected_to_itself(&connection) {
                return Err(Fault::Refused.into());
            }
            return Ok((Answer { status: 200, server: None, body: Vec::new() }, None));
        }
        match self.answer_on(&connection) {
            Err(Unseen::Fault(Fault::Broken(_))) if is_connected_to_itself(&connection) => {
                Err(Fault::Refused.into())
            }
            answer => answer.map(|whole| kept(whole, Kept { connection, since: Instant::now() })),
        }
    }

    fn over(&mut self, kept: Kept) -> Result<(Answer, Option<Kept>), Unseen> {
        self.sent(&kept.connection)?.map_err(broken)?;
        self.received(kept)
    }

    /// A new connection with the request on it. Sending tells how connecting went.
    fn connected(
        &mut self,
        family: AddressFamily,
        address: &dyn SockaddrLike,
    ) -> Result<OwnedFd, Unseen> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let connection = socket(family, SockType::Stream, flags, None).map_err(unconnected)?;
        match connect(connection.as_raw_fd(), address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(unconnected(error).into()),
        }
        self.sent(&connection)?.map_err(unconnected)?;
        Ok(connection)
    }

    /// The inner error is the socket's.
    fn sent(&mut self, connection: &OwnedFd) -> Result<Result<(), Errno>, Unseen> {
        let mut left = self.request;
        while !left.is_empty() {
            match send(connection.as_raw_fd(), left, MsgFlags::MSG_NOSIGNAL) {
                Ok(count) => left = left.get(count..).unwrap_or_default(),
                Err(Errno::EAGAIN) => self.ready(connection, PollFlags::POLLOUT)?,
                Err(Errno::EINTR) => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(()))
    }

    /// The answer, and the connection where the next request may use it.
    fn received(&mut self, on: Kept) -> Result<(Answer, Option<Kept>), Unseen> {
        Ok(kept(self.answer_on(&on.connection)?, on))
    }

    fn answer_on(&mut self, connection: &OwnedFd) -> Result<Whole, Unseen> {
        let mut length = 0;
        loop {
            self.ready(connection, PollFlags::POLLIN)?;
            if length == self.room.len() {
                self.room.resize(ROOM, 0);
            }
            let count =
                match recv(connection.as_raw_fd(), &mut self.room[length..], MsgFlags::empty()) {
                    Ok(count) => count,
                    Err(Errno::EAGAIN | Errno::EINTR) => continue,
                    Err(error) => return Err(broken(error).into()),
                };
            length += count;
            if let Some(whole) = response::read(&self.room[..length], count == 0)? {
                return Ok(whole);
            }
        }
    }

    fn ready(&mut self, connection: &OwnedFd, wanted: PollFlags) -> Result<(), Unseen> {
        match self.stop.wait(Some((connection.as_fd(), wanted)), self.until) {
            Ok(Woken::Ready) => Ok(()),
            Ok(Woken::TimeUp) => Err(Fault::Silent.into()),
            Ok(Woken::Stopped(signal)) => Err(Unseen::Stopped(signal)),
            Err(error) => Err(Fault::Unreachable(error.to_string()).into()),
        }
    }
}

fn kept(whole: Whole, on: Kept) -> (Answer, Option<Kept>) {
    (whole.answer, whole.is_kept_alive.then_some(on))
}

/// Are both ends of a TCP connection the same socket?
fn is_connected_to_itself(connection: &OwnedFd) -> bool {
    let own = getsockname::<SockaddrStorage>(connection.as_raw_fd());
    own.is_ok_and(|own| getpeername(connection.as_raw_fd()) == Ok(own))
}

fn unconnected(error: Errno) -> Fault {
    fault::of_connecting(&error.into())
}

fn broken(error: Errno) -> Fault {
    Fault::Broken(std::io::Error::from(error).to_string())
}
