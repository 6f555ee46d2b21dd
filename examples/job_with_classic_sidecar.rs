//! A Job whose pod completes although its sidecar would run for ever: `cargo run --example
//! job_with_classic_sidecar`.
//!
//! In the pod: `command: [meshim, --quit=always, --, my-job]`. The exit code stays the job's own.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example waits for what it started, and talks"
)]

mod common;

use std::error::Error;
use std::process::Command;

use common::{meshim, ready_sidecar};

fn main() -> Result<(), Box<dyn Error>> {
    let meshim = meshim()?;
    for (job, code) in [("echo job: done", 0), ("echo job: failed; exit 3", 3)] {
        let sidecar = ready_sidecar();
        let status = Command::new(&meshim)
            .args(["--admin-url", &sidecar.url(), "--quit=always", "--", "sh", "-c", job])
            .status()?;
        let asked = sidecar.count("/quitquitquit") == 1;
        println!("the job's exit code: {:?}; was the sidecar asked to end: {asked}", status.code());
        assert_eq!((status.code(), asked), (Some(code), true));
    }
    Ok(())
}
