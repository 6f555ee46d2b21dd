//! What must hold for every input, whoever makes it: `cargo test` with damaged answers and chances
//! (`tests/properties`), the fuzzer with bytes that reach new code (`tests/fuzz`).
//!
//! A law about bytes takes them; a law about a machine says what can happen to it, and takes
//! `Tries`, which make it happen. Each panics if it does not hold, and must never depend on
//! anything else.

pub(crate) mod answer;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod executable;
pub(crate) mod lifecycle;
pub(crate) mod page;
pub(crate) mod process;
pub(crate) mod quit;
pub(crate) mod socket;
pub(crate) mod text;
pub(crate) mod unsent;
pub(crate) mod wait;

use std::time::Duration;

use proptest::prelude::Strategy;

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Whoever makes values of a kind, and tries a law on them.
pub(crate) trait Tries {
    fn try_all<S: Strategy>(&mut self, kind: S, law: impl Fn(S::Value));
}

pub(crate) fn milliseconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

/// These bytes in up to six pieces, as a socket may hand them over: always the same ones.
pub(crate) fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut state = bytes
        .iter()
        .fold(bytes.len(), |state, byte| state.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let mut pieces = Vec::new();
    for _ in 0..state % 6 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) >> 1;
        let (piece, more) = rest.split_at((state >> 16) % (rest.len() + 1));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

/// Is this a line for people: without anything that moves their cursor?
pub(crate) fn is_one_line(text: &str) -> bool {
    !text.contains(meshim::core::text::is_unsafe)
}
