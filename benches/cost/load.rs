//! What waiting costs the proxy: CPU time of a real Envoy that is held before `LIVE`, while nobody,
//! one and ten wait. As under Istio, the port that says ready is closed until then; it is the one
//! that a shell asks.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; here a window of time is measured"
)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Plan;
use super::figures::Row;
use super::machine::{cpu_milliseconds, milliseconds, now};
use super::peers::{Peers, shell_loop};
use super::support::envoy::{Bootstrap, Envoy};
use super::support::process::Process;
use super::support::standin::StandIn;
use super::support::xds::LateXds;

pub(crate) fn rows(peers: &Peers, plan: &Plan) -> Vec<Row> {
    let xds = LateXds::new();
    let envoy = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0).following(xds.port()));
    let admin = envoy.admin_url();
    xds.wait_until_asked();
    let closed = StandIn::late();
    let ready = format!("{}/healthz/ready", closed.url());
    let meshim = || {
        let mut command = Command::new(&peers.meshim);
        command.args(["wait", "--mesh=istio", "--admin-url", &admin, "--ready-url", &ready]);
        command
    };
    let shell = |pause| shell_loop(pause, &ready, Path::new("/bin/true"));
    let window = plan.choose(Duration::from_secs(10), Duration::from_secs(2));
    let (mut idle, mut one, mut ten, mut shells, mut hasty) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.choose(3, 1) {
        let quiet = load_of(&envoy, 0, meshim, window);
        one.push(load_of(&envoy, 1, meshim, window) - quiet);
        ten.push(load_of(&envoy, 10, meshim, window) - quiet);
        shells.push(load_of(&envoy, 1, || shell("1"), window) - quiet);
        hasty.push(load_of(&envoy, 1, || shell("0.1"), window) - quiet);
        idle.push(quiet);
    }
    let idle = super::figures::short(super::figures::Sample::of(idle).median());
    let figure = |who| {
        let length = window.as_secs();
        format!(
            "CPU of a real Envoy per second while {who}, over nobody ({idle} ms), first {length} \
             s of the wait"
        )
    };
    vec![
        Row::new("load_one", figure("one waits for it"), "ms")
            .with("meshim", one)
            .with("sh + curl, sleep 1", shells)
            .with("sh + curl, sleep 0.1", hasty),
        Row::new("load_ten", "the same while ten wait for it", "ms").with("meshim", ten),
    ]
}

/// Milliseconds of Envoy's CPU per second while so many wait for it.
fn load_of(envoy: &Envoy, number: usize, waiter: impl Fn() -> Command, window: Duration) -> f64 {
    let waiters: Vec<Process> = (0..number).map(|_| Process::spawn(&mut waiter())).collect();
    let (began, before) = (now(), cpu_milliseconds(envoy.pid()));
    std::thread::sleep(window);
    let spent = cpu_milliseconds(envoy.pid()) - before;
    assert!(
        waiters.iter().all(|waiter| !waiter.has_ended()),
        "all of them wait until they are ended"
    );
    spent / milliseconds(began, now()) * 1e3
}
