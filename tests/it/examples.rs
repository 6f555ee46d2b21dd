//! The examples run, and say what their pages promise.

use std::process::Command;
use std::time::Duration;

use crate::support::process::{Ended, Process};

/// `cargo test` builds the examples, `cargo test --test it` does not; so they are built here, where
/// cargo runs the tests.
fn example(name: &str) -> Ended {
    let own = std::env::current_exe().expect("/proc is there");
    let examples = own.ancestors().nth(2).expect("target/debug/deps").join("examples");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        build.args(["build", "--locked", "--quiet", "--example", name]);
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        Process::spawn(&mut build).wait_within(MOST_OF_A_BUILD).expect_code(0);
    }
    let mut command = Command::new(examples.join(name));
    // The meshim that is tested is there already: the example need not build it.
    Process::spawn(command.env_remove("CARGO")).wait().expect_code(0)
}

/// A busy machine takes a minute for one.
const MOST_OF_A_BUILD: Duration = Duration::from_mins(10);

#[test]
fn a_job_with_a_classic_sidecar_completes() {
    let ended = example("job_with_classic_sidecar");
    assert!(
        ended.stdout.contains("the job's exit code: Some(3); was the sidecar asked to end: true"),
        "{ended:#?}"
    );
}

#[test]
fn a_server_is_drained_by_the_supervisor_and_by_a_hook() {
    for name in ["server_drained_by_supervisor", "server_drained_by_prestop"] {
        let said = example(name).stdout;
        let at = |part: &str| said.find(part).unwrap_or_else(|| panic!("no `{part}` in:\n{said}"));
        assert!(at("sidecar: asked to drain") < at("requests have ended"), "{said}");
        assert!(at("requests have ended") < at("application: stopping"), "{said}");
    }
}

#[test]
fn a_broken_mesh_is_diagnosed_and_healthy_after_the_fix() {
    let said = example("doctor").stdout;
    let at = |part: &str| said.find(part).unwrap_or_else(|| panic!("no `{part}` in:\n{said}"));
    assert!(at("# HTTP 503") < at("NOT OK: 1 error"), "{said}");
    assert!(at("[route-to-missing-cluster]") < at("# HTTP 200"), "{said}");
    assert!(at("# HTTP 200") < at("nothing wrong seen"), "{said}");
}
