//! Answers to a look, damaged, and bodies in chunks as they are written.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};

use meshim::core::answer::Fault;
use meshim::io::http::response::read;

use crate::Cases;
use crate::bytes::damaged;
use crate::laws::{Tries as _, answer};

const SEEDS: [&str; 6] = [
    concat!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nserver: envoy\r\ncontent-length: ",
        "5\r\n\r\nLIVE\n"
    ),
    concat!(
        "HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n11\r\nPRE_",
        "INITIALIZING\n\r\n0\r\n\r\n"
    ),
    concat!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n",
        "0\r\nt: u\r\n\r\n"
    ),
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
    concat!(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1",
        " 204 No Content\r\n\r\n"
    ),
    "HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\nx",
];

#[test]
fn an_answer_is_read_whatever_arrives_and_stays_the_same_when_more_comes() {
    Cases(2_500).try_all(damaged(&SEEDS), |bytes| answer::is_read(&bytes));
}

/// A body in chunks of these sizes, and the body.
fn chunked() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let chunk = vec(any::<u8>(), 1..300);
    let trailer = proptest::prop_oneof![Just("\r\n"), Just("a: b\r\n\r\n")];
    (vec(chunk, 0..6), trailer).prop_map(|(chunks, trailer)| {
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in &chunks {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n");
        bytes.extend(trailer.bytes());
        (bytes, chunks.concat())
    })
}

#[test]
fn a_body_in_chunks_is_read_as_it_was_written_and_not_before_its_end() {
    Cases(500).try_all((chunked(), any::<proptest::sample::Index>()), |((bytes, body), cut)| {
        let whole = read(&bytes, false).ok().flatten().map(|whole| whole.answer.body);
        assert_eq!(whole, Some(body));
        let part = &bytes[..cut.index(bytes.len())];
        assert_eq!(read(part, false), Ok(None));
        assert!(matches!(read(part, true), Err(Fault::Broken(_))));
    });
}
