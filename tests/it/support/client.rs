//! A client with one connection, over HTTP/1.1 or HTTP/2, that is as strict as a client can be: it
//! repeats no request whose answer it did not get.

use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use super::shared::DEADLINE;

/// In which language a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// 200, and the connection may be used again.
    GoOn,
    /// 200, and the server wants the connection closed (`connection: close`, GOAWAY).
    AndGo,
    /// The server has not begun with it and says so (GOAWAY): it may be repeated elsewhere.
    NotBegun,
}

/// One connection.
#[derive(Debug)]
pub(crate) enum Client {
    One(BufReader<TcpStream>),
    Two(Two),
}

impl Client {
    /// Connects to this port of 127.0.0.1.
    pub(crate) fn connect(port: u16, http: Http) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_nodelay(true)?;
        match http {
            Http::One => Ok(Self::One(BufReader::new(stream))),
            Http::Two => Two::new(stream).map(Self::Two),
        }
    }

    /// One request, to its end; an error is a request that was lost.
    pub(crate) fn get(&mut self, path: &str) -> std::io::Result<Answered> {
        match self {
            Self::One(stream) => get_over_http1(stream, path),
            Self::Two(two) => two.get(path),
        }
    }
}

fn lost(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, why.into())
}

fn get_over_http1(stream: &mut BufReader<TcpStream>, path: &str) -> std::io::Result<Answered> {
    write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")?;
    let (mut line, mut answered, mut length) = (String::new(), Answered::GoOn, 0);
    stream.read_line(&mut line)?;
    if !line.starts_with("HTTP/1.1 200") {
        return Err(lost(line));
    }
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let header = line.trim().to_ascii_lowercase();
        if header == "connection: close" {
            answered = Answered::AndGo;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().map_err(|_| lost(value))?;
        }
        if header.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    Ok(answered)
}

/// An HTTP/2 connection with one stream after the other (RFC 9113), and as much of HPACK (RFC 7541)
/// as a request without a body needs.
#[derive(Debug)]
pub(crate) struct Two {
    stream: TcpStream,
    next: u32,
    /// The last stream that the server will answer, since it has sent a GOAWAY.
    last: Option<u32>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200`, from the static table.
const STATUS_200: u8 = 0x88;

impl Two {
    fn new(mut stream: TcpStream) -> std::io::Result<Self> {
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
        let mut two = Self { stream, next: 1, last: None };
        // No table of the server's: its headers can be read without one.
        two.send(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0])?;
        Ok(two)
    }

    fn get(&mut self, path: &str) -> std::io::Result<Answered> {
        let stream = self.next;
        self.next += 2;
        let length = u8::try_from(path.len()).expect("a short path");
        // GET, http, the path as a literal that is not indexed, the authority `a` likewise.
        let headers = [&[0x82, 0x86, 0x04, length], path.as_bytes(), &[0x01, 1, b'a']].concat();
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, &headers)?;
        let mut is_200 = false;
        loop {
            let (kind, flags, on, body) = self.receive()?;
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[])?,
                PING if flags & ACK == 0 => self.send(PING, ACK, 0, &body)?,
                GOAWAY => self.last = body.first_chunk().map(|id| u32::from_be_bytes(*id)),
                RST_STREAM if on == stream => return Err(lost("RST_STREAM")),
                // A change of the table's size may come first.
                HEADERS if on == stream => {
                    is_200 |= body.iter().find(|byte| **byte & 0xe0 != 0x20) == Some(&STATUS_200);
                }
                _ => {}
            }
            if self.last.is_some_and(|last| last < stream) {
                return Ok(Answered::NotBegun);
            }
            if on == stream && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                let answered = if self.last.is_some() { Answered::AndGo } else { Answered::GoOn };
                return if is_200 { Ok(answered) } else { Err(lost("not 200")) };
            }
        }
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, body: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(body.len()).expect("a short frame").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.stream.write_all(&[&head, body].concat())
    }

    /// Kind, flags, stream and body of the next frame.
    fn receive(&mut self) -> std::io::Result<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, rest @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("24 bits");
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((kind, flags, u32::from_be_bytes(rest), body))
    }
}
