//! What a scripted proxy answers, well-behaved or not.

use std::io::{Read, Write};

use super::shared::{DEADLINE, Shared};

/// One answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A complete HTTP/1.1 answer.
    Answer(Answer),
    /// These bytes, as a real proxy was seen to answer.
    Recorded(&'static [u8]),
    /// Accepts the request and never answers.
    Silence,
    /// Bytes that are no HTTP.
    Garbage,
    /// Half a header, then silence.
    HalfHead,
    /// Half a header, then the connection is closed.
    HalfHeadThenClose,
    /// A chunked body without an end.
    Endless,
    /// Closes the connection without a word.
    Hangup,
    /// The same, once the test opens the gate.
    Held(Gate, Box<Self>),
}

/// A complete HTTP/1.1 answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Chunked, as all of Envoy's admin API; else with a length.
    chunked: bool,
    close: bool,
}

/// Holds answers back until the test opens it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gate(Shared<bool>);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.change(|open| *open = true);
    }

    /// A test's own wait ends long before this one.
    fn wait(&self) -> bool {
        self.0.wait_for(DEADLINE * 4, |open| open.then_some(())).is_some()
    }
}

impl Reply {
    /// As Envoy's admin API answers: chunked, `server: envoy`.
    pub(crate) fn envoy(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("server".to_owned(), "envoy".to_owned())];
        Self::Answer(Answer { status, headers, body: body.into(), chunked: true, close: false })
    }

    /// As a Go or Rust program answers: with a length, without a name.
    pub(crate) fn plain(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
            chunked: false,
            close: false,
        })
    }

    /// Envoy's `/ready` once it is.
    pub(crate) fn live() -> Self {
        Self::envoy(200, "LIVE\n")
    }

    /// Envoy's `/ready` before: the word is `PRE_INITIALIZING`, `INITIALIZING` or `DRAINING`.
    pub(crate) fn not_ready(word: &str) -> Self {
        Self::envoy(503, format!("{word}\n"))
    }

    /// With one more header.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        self.changed(|answer| answer.headers.push((name.to_owned(), value.to_owned())))
    }

    /// With `connection: close`, and closed behind it.
    pub(crate) fn closing(self) -> Self {
        self.changed(|answer| answer.close = true)
    }

    /// Held back until the gate is opened.
    pub(crate) fn held(self, gate: &Gate) -> Self {
        Self::Held(gate.clone(), Box::new(self))
    }

    /// An answer of `tests/fixtures/meshes`.
    pub(crate) fn recorded(bytes: &'static [u8]) -> Self {
        Self::Recorded(bytes)
    }

    fn changed(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        match &mut self {
            Self::Answer(answer) => change(answer),
            other => panic!("{other:?} has no headers"),
        }
        self
    }

    /// What holds it back, if anything does.
    pub(super) fn gate(&self) -> Option<&Gate> {
        if let Self::Held(gate, _) = self { Some(gate) } else { None }
    }

    /// Sends it. `true`: the connection may go on.
    pub(super) fn send(&self, stream: &mut (impl Read + Write)) -> std::io::Result<bool> {
        match self {
            Self::Answer(answer) => {
                stream.write_all(&answer.bytes())?;
                return Ok(!answer.close);
            }
            Self::Recorded(bytes) => {
                stream.write_all(bytes)?;
                let text = String::from_utf8_lossy(bytes).to_ascii_lowercase();
                return Ok(!text.contains("connection: close"));
            }
            Self::Silence => stay_silent(stream),
            Self::Garbage => stream.write_all(b"\x16\x03\x01\x00 not a word of HTTP \r\n\r\n")?,
            Self::HalfHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nserver: env")?;
                stay_silent(stream);
            }
            Self::HalfHeadThenClose => stream.write_all(b"HTTP/1.1 200 OK\r\nserver: env")?,
            Self::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                // Begins as JSON does, so that nobody can tell by the first byte.
                stream.write_all(&chunk(b"{\"x\":\""))?;
                let chunk = chunk(&vec![b'x'; 64 * 1024]);
                while stream.write_all(&chunk).is_ok() {}
            }
            Self::Hangup => {}
            Self::Held(gate, reply) => {
                return if gate.wait() { reply.send(stream) } else { Ok(false) };
            }
        }
        Ok(false)
    }
}

/// Until the other side, or the end of the stand-in, closes the connection.
fn stay_silent(stream: &mut impl Read) {
    while matches!(stream.read(&mut [0; 256]), Ok(1..)) {}
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        let close = self.close.then(|| ("connection".to_owned(), "close".to_owned()));
        let framing = if self.chunked {
            ("transfer-encoding".to_owned(), "chunked".to_owned())
        } else {
            ("content-length".to_owned(), self.body.len().to_string())
        };
        let headers = self.headers.iter().chain(&close).chain([&framing]);
        let headers: String =
            headers.flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        let head = format!("HTTP/1.1 {} Stand-In\r\n{headers}\r\n", self.status);
        let body = match (self.chunked, self.body.is_empty()) {
            (false, _) => self.body.clone(),
            (true, true) => chunk(b""),
            (true, false) => [chunk(&self.body), chunk(b"")].concat(),
        };
        [head.into_bytes(), body].concat()
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}
