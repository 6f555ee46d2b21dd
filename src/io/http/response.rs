//! Bytes as an HTTP/1.1 answer, as far as a look at a readiness endpoint needs one.
//!
//! Owns the framing (RFC 9112, section 6); must never read a socket, or judge what an answer means.
//! Heads and sizes of chunks are read by the parser that hyper has, too.

use httparse::{EMPTY_HEADER, Header, Response, Status, parse_chunk_size};

use crate::core::answer::{Answer, Fault, server_name};

/// How much of an answer is looked at, head and body: Envoy's `/ready` says 253 bytes in all.
pub const ROOM: usize = 16 * 1024;

const TOO_EARLY: &str = "connection closed before the answer was complete";

/// More than this many lines of a head are no readiness endpoint's.
const MOST_HEADERS: usize = 64;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole {
    /// The answer. Its body is cut where there is no more room for it.
    pub answer: Answer,
    /// May the next request go over the same connection?
    pub is_kept_alive: bool,
}

/// The answer that these bytes are; `None` as long as more has to come. `closed` says that no more
/// will.
///
/// # Errors
/// [`Fault::Broken`]: they are no HTTP/1.1, or end too early, or their head is longer than
/// [`ROOM`].
pub fn read(mut bytes: &[u8], closed: bool) -> Result<Option<Whole>, Fault> {
    let is_full = bytes.len() >= ROOM;
    loop {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut head = Response::new(&mut headers);
        let Status::Complete(start) =
            head.parse(bytes).map_err(|error| broken(error.to_string()))?
        else {
            return match (closed, is_full) {
                (true, _) => Err(broken(TOO_EARLY)),
                (_, true) => Err(broken(format!("its head is longer than {} KiB", ROOM / 1024))),
                _ => Ok(None),
            };
        };
        bytes = &bytes[start..];
        // Nobody has asked for an interim answer; the real one follows it (RFC 9110, section 15.2).
        if !matches!(head.code, Some(100..=199)) {
            return whole(&head, bytes, closed, is_full);
        }
    }
}

/// The answer with this head, if `bytes` are all of its body, or as much as there is room for.
fn whole(
    head: &Response<'_, '_>,
    bytes: &[u8],
    closed: bool,
    is_full: bool,
) -> Result<Option<Whole>, Fault> {
    let status = head.code.unwrap_or_default();
    let framing = Framing::of(status, head.headers)?;
    let body = framing.read(bytes)?;
    let is_complete = body.rest.is_some() || (closed && framing == Framing::UntilClosed);
    if !is_complete && !is_full {
        return if closed { Err(broken(TOO_EARLY)) } else { Ok(None) };
    }
    let is_last = header(head.headers, "connection")
        .is_some_and(|value| value.eq_ignore_ascii_case(b"close"));
    // What nobody asked for behind the answer would be taken for the next one.
    let is_kept_alive = head.version == Some(1) && !is_last && body.rest == Some(0);
    let server = header(head.headers, "server").or_else(|| header(head.headers, "x-powered-by"));
    let server = server.map(server_name);
    Ok(Some(Whole { answer: Answer { status, server, body: body.bytes }, is_kept_alive }))
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

/// As much of a body as has come.
struct Body {
    bytes: Vec<u8>,
    /// How many bytes lie behind it; `None` where it is not complete.
    rest: Option<usize>,
}

impl Framing {
    fn of(status: u16, headers: &[Header<'_>]) -> Result<Self, Fault> {
        if status == 204 || status == 304 {
            return Ok(Self::Length(0));
        }
        if let Some(encoding) = header(headers, "transfer-encoding") {
            let last = encoding.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
            return Ok(if is_chunked { Self::Chunked } else { Self::UntilClosed });
        }
        match header(headers, "content-length") {
            None => Ok(Self::UntilClosed),
            Some(length) => {
                let length = str::from_utf8(length).ok().and_then(|length| length.parse().ok());
                length.map(Self::Length).ok_or_else(|| broken("its content-length is no number"))
            }
        }
    }

    fn read(self, bytes: &[u8]) -> Result<Body, Fault> {
        match self {
            Self::UntilClosed => Ok(Body { bytes: bytes.to_vec(), rest: None }),
            Self::Length(length) => Ok(Body {
                bytes: bytes[..length.min(bytes.len())].to_vec(),
                rest: bytes.len().checked_sub(length),
            }),
            Self::Chunked => chunks(bytes),
        }
    }
}

fn chunks(mut bytes: &[u8]) -> Result<Body, Fault> {
    let mut body = Vec::new();
    loop {
        let size =
            parse_chunk_size(bytes).map_err(|_| broken("a chunk of its body has no size"))?;
        let Status::Complete((start, size)) = size else {
            return Ok(Body { bytes: body, rest: None });
        };
        bytes = &bytes[start..];
        if size == 0 {
            // Trailers, if any, end with an empty line, as a head does.
            let rest = bytes.strip_prefix(b"\r\n").map(<[u8]>::len);
            let end = || {
                bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| bytes.len() - at - 4)
            };
            return Ok(Body { bytes: body, rest: rest.or_else(end) });
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        body.extend_from_slice(&bytes[..size.min(bytes.len())]);
        match bytes.get(size..).map(|rest| rest.strip_prefix(b"\r\n").ok_or(rest)) {
            Some(Ok(rest)) => bytes = rest,
            Some(Err(b"" | b"\r")) | None => return Ok(Body { bytes: body, rest: None }),
            Some(Err(_)) => return Err(broken("a chunk of its body is longer than its size")),
        }
    }
}

fn header<'a>(headers: &[Header<'a>], name: &str) -> Option<&'a [u8]> {
    headers.iter().find(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
}

fn broken(why: impl Into<String>) -> Fault {
    Fault::Broken(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVOY: &str =
        "HTTP/1.1 503 Service Unavailable\r\nserver: envoy\r\ntransfer-encoding: chunked\r\n\r\n";

    /// Status, body, and whether the connection is kept; `None` for a part.
    fn seen(text: &str, closed: bool) -> Option<(u16, String, bool)> {
        let whole =
            read(text.as_bytes(), closed).unwrap_or_else(|fault| panic!("{text:?}: {fault}"))?;
        let body = String::from_utf8(whole.answer.body).unwrap();
        Some((whole.answer.status, body, whole.is_kept_alive))
    }

    fn whole(status: u16, body: &str, is_kept_alive: bool) -> (u16, String, bool) {
        (status, body.to_owned(), is_kept_alive)
    }

    #[test]
    fn an_answer_is_whole_at_its_last_byte_and_not_before() {
        for text in [
            format!("{ENVOY}d\r\nINITIALIZING\n\r\n0\r\n\r\n"),
            format!("{ENVOY}4;x=y\r\nINIT\r\n9\r\nIALIZING\n\r\n0\r\nx-trailer: y\r\n\r\n"),
            "HTTP/1.1 503 No\r\nContent-Length: 13\r\n\r\nINITIALIZING\n".to_owned(),
        ] {
            for length in 0..text.len() {
                assert_eq!(seen(&text[..length], false), None, "{:?}", &text[..length]);
                assert!(
                    matches!(read(&text.as_bytes()[..length], true), Err(Fault::Broken(_))),
                    "{length}"
                );
            }
            assert_eq!(seen(&text, false), Some(whole(503, "INITIALIZING\n", true)));
        }
    }

    #[test]
    fn a_connection_is_kept_only_where_the_next_answer_begins_clean() {
        let table = [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, Some(whole(200, "", true))),
            ("HTTP/1.1 204 No Content\r\n\r\n", false, Some(whole(204, "", true))),
            ("HTTP/1.1 100 Continue\r\n\r\n", false, None),
            (
                "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
                false,
                Some(whole(204, "", true)),
            ),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200",
                false,
                Some(whole(200, "", false)),
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 2\r\n\r\nok",
                false,
                Some(whole(200, "ok", false)),
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
                false,
                Some(whole(200, "ok", false)),
            ),
            ("HTTP/1.1 200 OK\r\n\r\nuntil the e", false, None),
            (
                "HTTP/1.1 200 OK\r\n\r\nuntil the end",
                true,
                Some(whole(200, "until the end", false)),
            ),
        ];
        for (text, closed, expected) in table {
            assert_eq!(seen(text, closed), expected, "{text:?}");
        }
    }

    #[test]
    fn a_page_without_an_end_is_judged_by_its_beginning() {
        for head in
            [ENVOY.to_owned() + "ffffffffffffffff\r\n", "HTTP/1.1 200 OK\r\n\r\n".to_owned()]
        {
            let mut text = head.clone() + &"x".repeat(ROOM - head.len() - 1);
            assert_eq!(seen(&text, false), None);
            text.push('x');
            let (_, body, is_kept_alive) = seen(&text, false).unwrap();
            assert_eq!((body.len(), is_kept_alive), (ROOM - head.len(), false));
        }
    }

    #[test]
    fn what_is_no_answer_is_broken() {
        let endless_head = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(ROOM));
        let only_interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(ROOM / 25 + 1);
        for text in [
            "\x16\x03\x01\x02",
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxx\r\n",
            &endless_head,
            &only_interim,
        ] {
            assert!(matches!(read(text.as_bytes(), false), Err(Fault::Broken(_))), "{text:?}");
        }
    }

    #[test]
    fn the_servers_name_is_printable_and_short() {
        let text = format!(
            "HTTP/1.1 404 No\r\nServer: nginx\u{7f}/{}\r\ncontent-length: 0\r\n\r\n",
            "1".repeat(99)
        );
        let whole = read(text.replace('\u{7f}', "\u{80}").as_bytes(), false).unwrap().unwrap();
        assert_eq!(whole.answer.server, Some(format!("nginx  /{}", "1".repeat(32))));
    }
}
