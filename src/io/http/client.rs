//! One HTTP/1.1 request at a time, over one kept-alive connection to one endpoint, TCP or Unix
//! socket.
//!
//! Owns that each request has one deadline, connecting included, and a bound on what it holds: a
//! body is handed on piece by piece, or cut. Must never judge an answer, follow a redirect or
//! resolve a name.

use std::net::SocketAddr;
use std::ops::ControlFlow;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, HOST, SERVER};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use crate::core::answer::{Answer, Fault, server_name};
use crate::core::endpoint::Address;
use crate::io::http::fault;

/// What an answer's head may take: Envoy's own limit is 60 KiB.
const HEAD_LIMIT: usize = 64 * 1024;

/// How much of an answer's body is kept; the rest is cut. Those that are kept are a line long.
const MOST_KEPT: usize = 16 * 1024;

/// Takes in the next piece of a body, given the answer's status, and says whether to go on.
pub type Sink<'a> = &'a mut (dyn FnMut(u16, &[u8]) -> ControlFlow<()> + 'a);

/// A client of one server. Connects when first asked, and again whenever the connection is gone.
#[derive(Debug)]
pub struct Client {
    address: Address,
    connection: Option<SendRequest<Empty<Bytes>>>,
}

impl Client {
    /// A client that has not connected yet.
    #[must_use]
    pub const fn new(address: Address) -> Self {
        Self { address, connection: None }
    }

    /// Asks for `path`, and gives up at `until`. What is longer than [`MOST_KEPT`] is cut.
    ///
    /// # Errors
    /// [`Fault`]; after any of them the next request starts with a new connection.
    pub async fn get(&mut self, path: &str, until: Instant) -> Result<Answer, Fault> {
        self.answer(Method::GET, path, until).await
    }

    /// Asks for a change at `path`, without a body, and gives up at `until`.
    ///
    /// # Errors
    /// As [`Client::get`], and [`Fault::Cut`].
    pub async fn post(&mut self, path: &str, until: Instant) -> Result<Answer, Fault> {
        self.answer(Method::POST, path, until).await
    }

    /// Asks for `path`, hands the body on as it comes, and gives up at `until`: the status.
    ///
    /// # Errors
    /// As [`Client::get`]. Pieces may have been handed on before.
    pub async fn stream(
        &mut self,
        path: &str,
        until: Instant,
        sink: Sink<'_>,
    ) -> Result<u16, Fault> {
        self.request(Method::GET, path, until, sink).await.map(|head| head.status)
    }

    async fn answer(
        &mut self,
        method: Method,
        path: &str,
        until: Instant,
    ) -> Result<Answer, Fault> {
        let mut body = Vec::new();
        let keep = &mut |_, bytes: &[u8]| {
            let left = MOST_KEPT - body.len();
            body.extend_from_slice(&bytes[..left.min(bytes.len())]);
            if bytes.len() > left { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let Head { status, server } = self.request(method, path, until, keep).await?;
        Ok(Answer { status, server, body })
    }

    async fn request(
        &mut self,
        method: Method,
        path: &str,
        until: Instant,
        sink: Sink<'_>,
    ) -> Result<Head, Fault> {
        // Taken out, so that a request given up half-way leaves no connection with half an answer
        // on it.
        let kept = self.connection.take();
        let changes = method == Method::POST;
        let answer = timeout_at(until, async {
            let (sender, reused) = match kept.filter(|sender| !sender.is_closed()) {
                Some(sender) => (sender, true),
                None => (connect(&self.address).await?, false),
            };
            let (response, sender) = match self.exchange(sender, method.clone(), path).await {
                // The server closed an idle connection just as we used it: that says nothing about
                // its readiness.
                Err(Fault::Broken(_) | Fault::Cut(_)) if reused => {
                    let sender = connect(&self.address).await?;
                    self.exchange(sender, method, path).await?
                }
                exchanged => exchanged?,
            };
            let (status, agreed) = (response.status().as_u16(), response.status().is_success());
            let (head, is_whole) = match read(response, sink).await {
                // The status is the answer; what a server that ends writes behind it may be lost.
                Err(Fault::Broken(_)) if agreed && changes => {
                    (Head { status, server: None }, false)
                }
                read => read?,
            };
            Ok((head, is_whole.then_some(sender)))
        });
        let (head, sender) = answer.await.unwrap_or(Err(Fault::Silent))?;
        self.connection = sender;
        Ok(head)
    }

    async fn exchange(
        &self,
        mut sender: SendRequest<Empty<Bytes>>,
        method: Method,
        path: &str,
    ) -> Result<(Response<Incoming>, SendRequest<Empty<Bytes>>), Fault> {
        let mut request =
            Request::builder().method(&method).uri(path).header(HOST, self.address.host_header());
        if method == Method::POST {
            request = request.header(CONTENT_LENGTH, 0);
        }
        let request =
            request.body(Empty::new()).map_err(|error| Fault::Broken(error.to_string()))?;
        sender.ready().await.map_err(|error| broken(&error))?;
        let unanswered = |error| if method == Method::POST { cut(&error) } else { broken(&error) };
        let response = sender.send_request(request).await.map_err(unanswered)?;
        Ok((response, sender))
    }
}

/// What stands above a body.
struct Head {
    status: u16,
    server: Option<String>,
}

/// A socket of either kind. Behind a pointer, so that hyper is compiled for one type, not for two.
trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

async fn connect(address: &Address) -> Result<SendRequest<Empty<Bytes>>, Fault> {
    let socket: Box<dyn ByteStream> = match address {
        Address::Unix(path) => {
            Box::new(UnixStream::connect(path).await.map_err(|error| fault::of_connecting(&error))?)
        }
        Address::Tcp { .. } => Box::new(connect_tcp(address.socket_addresses()).await?),
    };
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .handshake(TokioIo::new(socket))
        .await
        .map_err(|error| broken(&error))?;
    // The connection's own end is seen by whoever uses the sender; it is gone with the runtime at
    // the latest.
    drop(tokio::spawn(connection));
    Ok(sender)
}

/// Tries the addresses in order.
async fn connect_tcp(addresses: Vec<SocketAddr>) -> Result<TcpStream, Fault> {
    let mut fault = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Requests are one small segment: waiting for more to send would only delay them.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => {
                fault = Some(fault::of_several(fault, fault::of_connecting(&error)));
            }
        }
    }
    Err(fault.unwrap_or(Fault::Refused))
}

/// The head, and whether all of the body was read: else the connection has a rest of it.
async fn read(response: Response<Incoming>, sink: Sink<'_>) -> Result<(Head, bool), Fault> {
    let status = response.status().as_u16();
    let server = response.headers().get(SERVER).map(|name| server_name(name.as_bytes()));
    let mut incoming = response.into_body();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let data = frame.into_data().unwrap_or_default();
        if sink(status, &data).is_break() {
            return Ok((Head { status, server }, false));
        }
    }
    Ok((Head { status, server }, true))
}

/// The end of a connection whose request was sent whole. Bytes that are no HTTP, and a connection
/// that ended before (an error of writing), are [`Fault::Broken`].
fn cut(error: &hyper::Error) -> Fault {
    use std::error::Error as _;
    let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let was_reset = cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::ConnectionReset);
    match broken(error) {
        Fault::Broken(why) if error.is_incomplete_message() || was_reset => Fault::Cut(why),
        fault => fault,
    }
}

/// hyper's words with the cause behind them.
fn broken(error: &hyper::Error) -> Fault {
    use std::error::Error as _;
    Fault::Broken(
        error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
    )
}
