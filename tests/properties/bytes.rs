//! Owns the ways of making bytes that nearly mean something: real answers, damaged.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::{Index, select};

/// One damage.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

impl Damage {
    fn done_to(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Insert(at, new) => {
                let at = at.index(length);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Remove(at, many) => {
                let at = at.index(length);
                bytes.drain(at..(at + many).min(length));
            }
            Self::Repeat(at, many) => {
                let at = at.index(length);
                let again = bytes[at..(at + many).min(length)].to_vec();
                bytes.splice(at..at, again);
            }
            Self::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
}

/// What a hostile or broken writer would put in: numbers at the edge, quotes, ends of things.
const TOKENS: &[&[u8]] = &[
    b"18446744073709551615",
    b"18446744073709551616",
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"{}",
    b"[]",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b",",
    b":",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b"\xff",
    b"\xc3",
    b"ffffffffffffffff\r\n",
    b"0\r\n\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Transfer-Encoding: chunked\r\n",
    "\u{2028}\u{202e}".as_bytes(),
];

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    proptest::prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (at(), select(TOKENS)).prop_map(|(at, token)| Damage::Insert(at, token.to_vec())),
        (at(), vec(any::<u8>(), 1..5)).prop_map(|(at, new)| Damage::Insert(at, new)),
        (at(), 1..40_usize).prop_map(|(at, many)| Damage::Remove(at, many)),
        (at(), 1..200_usize).prop_map(|(at, many)| Damage::Repeat(at, many)),
        at().prop_map(Damage::Cut),
    ]
}

/// One of these texts, damaged in up to six places; now and then bytes without any meaning.
pub(crate) fn damaged(seeds: &[&str]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    let damaged = (select(seeds), vec(damage(), 0..6)).prop_map(|(mut bytes, damages)| {
        for damage in damages {
            damage.done_to(&mut bytes);
        }
        bytes
    });
    proptest::prop_oneof![
        9 => damaged,
        1 => vec(any::<u8>(), 0..300),
        1 => vec(select(TOKENS), 0..40).prop_map(|tokens| tokens.concat()),
        1 => Just(Vec::new()),
    ]
}
