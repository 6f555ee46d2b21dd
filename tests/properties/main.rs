//! What holds for every input, tried with many: the parsers of bytes and text that strangers write,
//! and the machines that decide.
//!
//! Deterministic: the same cases in each run, so that a failure is a failure for everybody. Each
//! failure that was found this way has a test of its own beside the code that was mended.

mod bytes;
mod envoy;
mod http;
mod sockets;
mod stopping;
mod text;
mod waiting;

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A runner of this many cases, always the same ones.
fn cases(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}
