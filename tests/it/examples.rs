//! The examples run, and say what their pages promise.

use std::process::Command;

use crate::support::process::{Ended, Process};

/// cargo has built them before it runs the tests.
fn example(name: &str) -> Ended {
    let own = std::env::current_exe().expect("/proc is there");
    let examples = own.ancestors().nth(2).expect("target/debug/deps").join("examples");
    Process::spawn(&mut Command::new(examples.join(name))).wait().expect_code(0)
}

#[test]
fn a_job_with_a_classic_sidecar_completes() {
    let ended = example("job_with_classic_sidecar");
    assert!(
        ended.stdout.contains("the job's exit code: Some(3); has the sidecar ended: true"),
        "{ended:#?}"
    );
}

#[test]
fn a_server_is_drained_by_the_supervisor_and_by_a_hook() {
    for name in ["server_drained_by_supervisor", "server_drained_by_prestop"] {
        let said = example(name).stdout;
        let at = |part: &str| said.find(part).unwrap_or_else(|| panic!("no `{part}` in:\n{said}"));
        assert!(at("sidecar gets POST /drain_listeners") < at("requests have ended"), "{said}");
        assert!(at("requests have ended") < at("application: stopping"), "{said}");
    }
}
