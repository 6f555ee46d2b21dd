//! The main job, end to end, as a timeline: a proxy that comes up late, meshim, and an application
//! that starts when the proxy is ready.
//!
//! `cargo run --example quickstart` plays it with a stand-in for the proxy, `-- --envoy` with a
//! real Envoy, fetched once, whose control plane is late. Stand-in and Envoy are those of the
//! integration tests.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; a play has threads, pauses and children"
)]

#[path = "../common/mod.rs"]
mod common;
mod proxy;
mod timeline;

use std::io::Write as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proxy::Proxy;
use timeline::{Timeline, Who};

/// Makes this program the application.
const APPLICATION: &str = "--application";

/// What the application's first line begins with; the time follows, in nanoseconds since 1970.
const FIRST: &str = "first instruction at ";

fn main() -> ExitCode {
    let now = SystemTime::now();
    let outcome = match std::env::args().nth(1).as_deref() {
        None => play(false),
        Some("--envoy") => play(true),
        Some(APPLICATION) => application(now),
        Some(other) => Err(format!(
            "`{other}` is nothing this example knows; run it without arguments, or with --envoy"
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "quickstart: {why}");
            ExitCode::FAILURE
        }
    }
}

fn application(now: SystemTime) -> Result<(), String> {
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let mut stdout = std::io::stdout();
    let said = writeln!(stdout, "{FIRST}{since_1970}")
        .and_then(|()| writeln!(stdout, "hello, the mesh carries my traffic"));
    said.map_err(|error| error.to_string())
}

fn play(with_envoy: bool) -> Result<(), String> {
    let meshim = common::meshim()?;
    let mut proxy = if with_envoy { Proxy::envoy()? } else { Proxy::stand_in() };
    let own = std::env::current_exe().map_err(|error| format!("/proc is missing: {error}"))?;
    let options = proxy.options();
    let application = format!("{} {APPLICATION}", own.display());
    let mut timeline =
        Timeline::begin(&format!("{} {} -- {application}", meshim.display(), options.join(" ")));

    let mut command = Command::new(&meshim);
    command.args(&options).arg("--").arg(&own).arg(APPLICATION);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", meshim.display()))?;
    let pid = child.id();
    timeline.listen(Who::Meshim, child.stderr.take());
    timeline.listen(Who::Application, child.stdout.take());
    let became_live = proxy.come_up(&mut timeline);
    let mut started = None;
    while let Some((who, said)) = timeline.next() {
        match said.strip_prefix(FIRST).and_then(|nanoseconds| nanoseconds.parse().ok()) {
            Some(nanoseconds) => {
                started = Some(UNIX_EPOCH + Duration::from_nanos(nanoseconds));
                timeline
                    .say(who, &format!("my first instruction, as PID {pid}, which was meshim's"));
            }
            None => timeline.say(who, &said),
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let lag = started.and_then(|started| started.duration_since(became_live).ok());
    match lag.filter(|_| status.success()) {
        Some(lag) => {
            timeline::end(lag);
            Ok(())
        }
        None => Err(format!("this is not how it should go: {status}")),
    }
}
