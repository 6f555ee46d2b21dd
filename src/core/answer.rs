//! What one HTTP request came to: a complete [`Answer`], or the [`Fault`] that kept it away.
//!
//! Owns the two types and how foreign text is made fit for a log line; must never ask anybody, or
//! judge.

/// What came back from one HTTP request, complete and within its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status, 100-999.
    pub status: u16,
    /// What the server calls itself in `server`, else in `x-powered-by`: `envoy`, `kuma-dp`.
    pub server: Option<String>,
    /// The body, de-chunked.
    pub body: Vec<u8>,
}

impl Answer {
    /// What the server calls itself.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }
}

/// Why no complete answer came back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nobody listens there.
    #[error("connection refused")]
    Refused,
    /// Nobody listens there: a Unix socket that is not in the file system.
    #[error("the socket file does not exist")]
    NoSocket,
    /// Connected, or connecting, and no complete answer by the look's deadline.
    #[error("no answer in time")]
    Silent,
    /// The socket cannot be reached for another reason: permission, no route.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// The kernel has no descriptor or memory left for a connection, which may pass.
    #[error("cannot connect: {0}")]
    Exhausted(String),
    /// The request was sent whole, and the connection ended without an answer: what a server does
    /// that ends at once, and one that only hangs up. Only requests that change something tell this
    /// from [`Fault::Broken`].
    #[error("the connection was cut after the request was sent: {0}")]
    Cut(String),
    /// Bytes that are no HTTP/1.1, a connection closed too early, a body past its bound.
    #[error("no usable HTTP answer: {0}")]
    Broken(String),
}

impl Fault {
    /// Is it certain that nobody listens there?
    #[must_use]
    pub const fn is_nobody(&self) -> bool {
        matches!(self, Self::Refused | Self::NoSocket)
    }
}

/// What a server calls itself, as far as that can stand in a log line.
#[must_use]
pub fn server_name(header: &[u8]) -> String {
    printable(header, 40)
}

/// The first line of foreign text as far as it can stand in a log line: printable ASCII only, at
/// most `most` characters.
#[must_use]
pub fn printable(text: &[u8], most: usize) -> String {
    let line = text.trim_ascii().split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.iter().take(most);
    let mut text: String =
        line.map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { ' ' }).collect();
    text.truncate(text.trim_end().len());
    text
}
