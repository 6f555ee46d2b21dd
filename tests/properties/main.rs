//! What holds for every input, tried with many: the parsers of bytes and text that strangers write,
//! and the machines that decide. What must hold is in `laws`, which the fuzzer tries, too.
//!
//! Deterministic: the same cases in each run, so that a failure is a failure for everybody. Each
//! failure that was found this way has a test of its own beside the code that was mended.

mod bytes;
mod doctor;
mod envoy;
mod executables;
mod http;
mod laws;
mod processes;
mod sockets;
mod stopping;
mod text;
mod waiting;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::laws::Tries;

/// This many values of a kind, always the same ones.
struct Cases(u32);

impl Tries for Cases {
    fn try_all<S: Strategy>(&mut self, kind: S, law: impl Fn(S::Value)) {
        let config = Config { cases: self.0, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, rng)
            .run(&kind, |value| {
                law(value);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
    }
}
