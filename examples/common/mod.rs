//! What the examples share: the meshim that cargo builds, and a sidecar that is there only in part.
//!
//! The sidecar is the scripted proxy of the integration tests, which answers what it is told to.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    dead_code,
    reason = "an example waits for what it started, and talks; each uses a part of this"
)]

#[path = "../../tests/it/support/mod.rs"]
pub(crate) mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use support::reply::Reply;
use support::standin::StandIn;

/// A sidecar whose Envoy is ready, with an admin API.
pub(crate) fn ready_sidecar() -> StandIn {
    let sidecar = StandIn::new();
    let info = r#"{"version":"0/1.40.0/Clean","state":"LIVE"}"#;
    sidecar.says("/ready", Reply::live()).says("/server_info", Reply::envoy(200, info));
    sidecar.says("/drain_listeners", Reply::envoy(200, "OK\n"));
    sidecar.says("/quitquitquit", Reply::envoy(200, "OK\n"));
    sidecar
}

/// So many inbound requests are in flight from now on, say the sidecar's counters.
pub(crate) fn set_in_flight(sidecar: &StandIn, requests: u64) {
    let stats = format!("http.inbound.downstream_rq_active: {requests}\nserver.state: 0\n");
    sidecar.says("/stats", Reply::envoy(200, stats));
}

/// `target/debug/meshim` beside `target/debug/examples`; brought up to date where cargo runs this
/// example, since `cargo run --example` does not build it.
pub(crate) fn meshim() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("/proc is missing: {error}"))?;
    let directory = own.ancestors().nth(2).ok_or("this example was not built by cargo")?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        let release = directory.ends_with("release").then_some("--release");
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--bin", "meshim"]).args(release);
        let built = command.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        built.map_err(|error| format!("cargo cannot be run: {error}"))?;
    }
    let binary = directory.join("meshim");
    binary
        .exists()
        .then_some(binary)
        .ok_or_else(|| format!("{} has no meshim: run cargo build", directory.display()))
}

/// Starts a command whose standard output is read with [`wait_for`].
pub(crate) fn start(command: &mut Command) -> std::io::Result<(Child, BufReader<ChildStdout>)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().expect("it is piped");
    Ok((child, BufReader::new(stdout)))
}

/// Reads lines of the application until one contains `part`, and shows them.
pub(crate) fn wait_for(stdout: &mut BufReader<ChildStdout>, part: &str) {
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert!(stdout.read_line(&mut line).is_ok_and(|count| count > 0), "never said `{part}`");
        print!("application: {line}");
        let _ = std::io::stdout().flush();
    }
}
