//! A whole run around a trivial program where the proxy is ready already: what the start of every
//! pod pays.
//!
//! Against a real Envoy. All contenders take turns, and each one's time is compared with the bare
//! program's in the same turn, so that a change of the machine's mood hits both.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; a benchmark runs programs to their end"
)]

use std::path::Path;
use std::process::{Command, Stdio};

use super::Plan;
use super::figures::{Goal, Row, Sample};
use super::machine::{milliseconds, now};
use super::peers::{Peers, shell_loop};
use super::support::envoy::{Bootstrap, Envoy};

pub(crate) fn rows(peers: &Peers, plan: &Plan) -> Vec<Row> {
    let envoy = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0));
    let admin = envoy.admin_url();
    let application = Path::new("/bin/true");
    let mut commands: Vec<(&'static str, Command)> = Vec::new();
    let mut waiting = Command::new(&peers.meshim);
    waiting.args(["--admin-url", &admin, "--"]).arg(application);
    commands.push(("meshim", waiting));
    commands
        .push(("sh + curl", shell_loop("1", &format!("{admin}/ready -o /dev/null"), application)));
    for init in peers.inits().filter(|init| init.name != "meshim") {
        let line = peers.init_line(init);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).arg(application);
        commands.push((init.name, command));
    }
    for (_, command) in &mut commands {
        run(command);
    }
    let (bare, over) =
        take_turns(&mut Command::new(application), &mut commands, plan.choose(400, 60));
    let figure = format!(
        "whole run around `true`, a real Envoy ready, over bare `true` ({} ms)",
        super::figures::short(Sample::of(bare).median())
    );
    let row = Row::new("start", figure, "ms").spread().goal(Goal::median(0.7));
    vec![commands.iter().zip(over).fold(row, |row, ((name, _), over)| row.with(name, over))]
}

/// How long the bare program takes, and how much longer each of `commands`, run by run.
fn take_turns(
    bare: &mut Command,
    commands: &mut [(&'static str, Command)],
    turns: usize,
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let mut alone = Vec::new();
    let mut over = vec![Vec::new(); commands.len()];
    for _ in 0..turns {
        for ((_, command), over) in commands.iter_mut().zip(&mut over) {
            let before = run(bare);
            over.push(run(command) - before);
            alone.push(before);
        }
    }
    (alone, over)
}

/// Milliseconds from before the fork to after the reaping.
fn run(command: &mut Command) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = now();
    let status = command.status();
    let took = milliseconds(began, now());
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success),
        "{command:?}: {status:?}"
    );
    took
}
