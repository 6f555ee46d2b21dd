//! A Job whose pod completes although its sidecar would run for ever: `cargo run --example
//! job_with_classic_sidecar`.
//!
//! In the pod: `command: [meshim, --quit=always, --, my-job]`. The exit code stays the job's own.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example waits for what it started, and talks"
)]

mod stand_in;

use std::process::Command;

use stand_in::{Sidecar, meshim};

fn main() -> std::io::Result<()> {
    for (job, code) in [("echo job: done", 0), ("echo job: failed; exit 3", 3)] {
        let sidecar = Sidecar::start()?;
        let status = Command::new(meshim())
            .args(["--admin-url", sidecar.url(), "--quit=always", "--", "sh", "-c", job])
            .status()?;
        println!(
            "the job's exit code: {:?}; has the sidecar ended: {}",
            status.code(),
            sidecar.has_ended()
        );
        assert_eq!((status.code(), sidecar.has_ended()), (Some(code), true));
    }
    Ok(())
}
