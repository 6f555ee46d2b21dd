//! A server that the supervisor drains on SIGTERM: `cargo run --example
//! server_drained_by_supervisor`.
//!
//! In the pod: `command: [meshim, --drain, --, my-server]`. The server needs no code for it: it
//! gets its SIGTERM when no request is in flight any more.

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
    let sidecar = ready_sidecar();
    set_in_flight(&sidecar, 2);
    let mut command = Command::new(meshim()?);
    command.args(["--admin-url", &sidecar.url(), "--drain", "--drain-min=300ms", "--drain-max=5s"]);
    let (mut server, mut stdout) = start(command.args(["--", "sh", "-c", SERVER]))?;
    wait_for(&mut stdout, "serving");

    println!("kubelet: SIGTERM");
    Command::new("sh").args(["-c", &format!("kill {}", server.id())]).status()?;
    sidecar.wait_for_requests("/drain_listeners", 1);
    println!("sidecar: asked to drain, two requests are in flight");
    sidecar.wait_for_requests("/stats", 1);
    assert!(server.try_wait()?.is_none(), "it goes on serving");
    println!("sidecar: the last two requests have ended");
    set_in_flight(&sidecar, 0);
    wait_for(&mut stdout, "stopping");
    let status = server.wait()?;
    println!("the server's exit code: {:?}", status.code());
    assert_eq!(status.code(), Some(0));
    Ok(())
}
