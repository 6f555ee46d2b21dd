//! The same server, exec'd, and drained by a preStop hook: `cargo run --example
//! server_drained_by_prestop`.
//!
//! In the pod: `command: [meshim, --, my-server]` and `lifecycle: {preStop: {exec: {command:
//! [meshim, drain]}}}`. The kubelet sends SIGTERM when the hook returns, so nothing of meshim needs
//! to stay beside the server.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example waits for what it started, and talks"
)]

mod common;

use std::error::Error;
use std::process::Command;

use common::{meshim, ready_sidecar, set_in_flight, start, wait_for};

const SERVER: &str = "trap 'echo stopping; exit 0' TERM; echo serving; while :; do sleep 0.1; done";

fn main() -> Result<(), Box<dyn Error>> {
    let meshim = meshim()?;
    let sidecar = ready_sidecar();
    set_in_flight(&sidecar, 2);
    let mut command = Command::new(&meshim);
    let (mut server, mut stdout) =
        start(command.args(["--admin-url", &sidecar.url(), "--", "sh", "-c", SERVER]))?;
    wait_for(&mut stdout, "serving");

    println!("kubelet: preStop");
    let mut hook = Command::new(&meshim)
        .args(["drain", "--admin-url", &sidecar.url(), "--drain-min=300ms", "--drain-max=5s"])
        .spawn()?;
    sidecar.wait_for_requests("/drain_listeners", 1);
    println!("sidecar: asked to drain, two requests are in flight");
    sidecar.wait_for_requests("/stats", 1);
    assert!(hook.try_wait()?.is_none(), "two requests are in flight");
    println!("sidecar: the last two requests have ended");
    set_in_flight(&sidecar, 0);
    let hooked = hook.wait()?;
    println!("the hook's exit code: {:?}; kubelet: SIGTERM", hooked.code());
    Command::new("sh").args(["-c", &format!("kill {}", server.id())]).status()?;
    wait_for(&mut stdout, "stopping");
    let status = server.wait()?;
    assert_eq!((hooked.code(), status.code()), (Some(0), Some(0)));
    Ok(())
}
