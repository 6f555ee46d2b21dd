//! The fuzzer: libFuzzer makes bytes that reach new code, a law of `tests/properties` judges them.
//!
//! One program for all targets, since most of building it is the same; `MESHIM_FUZZ` names the one
//! to try. `tests/fuzz/run.py` builds and runs it.

#![no_main]

#[path = "../../properties/laws/mod.rs"]
mod laws;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

use self::targets::{TARGETS, Try};

static CHOSEN: OnceLock<Try> = OnceLock::new();

#[expect(clippy::disallowed_methods, reason = "main is libFuzzer's, and does not return here")]
fn choose() {
    let wanted = std::env::var("MESHIM_FUZZ").unwrap_or_default();
    let known: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    if wanted == "--list" {
        println!("{}", known.join("\n"));
        std::process::exit(0);
    }
    let Some((_, law)) = TARGETS.iter().find(|(name, _)| *name == wanted) else {
        eprintln!("MESHIM_FUZZ names no target: {}", known.join(", "));
        std::process::exit(2);
    };
    CHOSEN.get_or_init(|| *law);
}

fuzz_target!(
    init: choose(),
    |bytes: &[u8]| CHOSEN.get().expect("chosen before the first input")(bytes)
);
