//! Linkerd, Kuma and Consul as they were recorded: found, waited for, asked to end, drained,
//! diagnosed.

mod consul;
mod kuma;
mod linkerd;

use crate::support::meshim::{Meshim, Running};
use crate::support::process::Ended;

/// An application that ends at SIGTERM with 5, under these options; it has started.
fn serving(options: &[&str]) -> Running {
    let script = "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
    let run = Meshim::starts(["sh", "-c", script]).with(options.to_vec()).spawn();
    run.wait_for_stdout("ready");
    run
}

/// It has waited for this mesh's proxy and started the application.
#[track_caller]
fn started_under(mesh: &str, run: Running) {
    let ended = run.wait().expect_code(0);
    ended.expect_stderr(&[&format!("the proxy is ready mesh={mesh}")]);
}

/// `meshim quit`.
fn quit() -> Ended {
    Meshim::does("quit").run()
}
