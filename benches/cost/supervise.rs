//! What staying as the application's parent costs, each contender as PID 1 of a namespace of its
//! own.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; here a window of time is measured"
)]

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use super::Plan;
use super::figures::{Goal, Row};
use super::machine::{children, cpu_milliseconds, milliseconds, now, resident, threads, wake_ups};
use super::peers::{Init, Peers};
use super::support::directory::Directory;
use super::support::namespace::must_be_permitted;
use super::support::process::Process;
use super::support::shared::poll;

/// A thousand orphans that live until the pipe named by `$0` is closed, and the one who stays: `sh`
/// with this script.
const ORPHANS: &str = "exec 3<\"$0\"; i=0; while [ $i -lt 1000 ]; do (read -r line <&3 &); i=$((i \
                       + 1)); done; \
                       exec 3<&-; echo all; exec sleep 600";

/// What one contender cost.
#[derive(Debug, Default)]
struct Cost {
    resident: Vec<f64>,
    threads: Vec<f64>,
    wake_ups: Vec<f64>,
    latency: Vec<f64>,
    reaping: Vec<f64>,
}

pub(crate) fn rows(peers: &Peers, plan: &Plan) -> Vec<Row> {
    must_be_permitted();
    let costs: Vec<(&'static str, Cost)> =
        peers.inits().map(|init| (init.name, cost_of(peers, init, plan))).collect();
    let row = |key, figure: &str, unit, values: fn(&Cost) -> &Vec<f64>| {
        costs.iter().fold(Row::new(key, figure, unit), |row, (name, cost)| {
            row.with(name, values(cost).clone())
        })
    };
    let rows = vec![
        row("resident", "resident memory while supervising", "KiB", |cost| &cost.resident)
            .goal(Goal::median(1_200.0)),
        row("threads", "threads while supervising", "", |cost| &cost.threads)
            .goal(Goal::median(1.0)),
        row("wake_ups", "wake-ups per second while nothing happens", "", |cost| &cost.wake_ups)
            .goal(Goal::median(0.0)),
        row("latency", "a signal to the parent until the application has it", "ms", |cost| {
            &cost.latency
        })
        .spread(),
        row("reaping", "CPU for reaping 1,000 orphans that die at once", "ms", |cost| {
            &cost.reaping
        }),
    ];
    if peers.supervises { rows } else { Vec::new() }
}

fn cost_of(peers: &Peers, init: Init, plan: &Plan) -> Cost {
    let mut cost = Cost::default();
    for _ in 0..plan.choose(3, 1) {
        quiet_and_signalled(peers, init, plan, &mut cost);
        cost.reaping.push(reaping(peers, init));
    }
    cost
}

/// Around an application that only listens to a signal.
fn quiet_and_signalled(peers: &Peers, init: Init, plan: &Plan, cost: &mut Cost) {
    let witness = [peers.witness.display().to_string(), "signals".to_owned()];
    let process = Process::spawn(&mut as_pid_one(peers, init, &witness));
    process.wait_for_stdout("listening");
    let pid = supervisor(&process);
    let (began, before) = (now(), wake_ups(pid));
    std::thread::sleep(plan.choose(Duration::from_secs(10), Duration::from_secs(3)));
    cost.wake_ups.push(f64::from(wake_ups(pid) - before) / milliseconds(began, now()) * 1e3);
    for signal in 1..=plan.choose(100, 30) {
        let sent = now();
        kill(pid, Signal::SIGUSR1).expect("it runs, and is ours");
        let arrived = poll(|| process.stdout().lines().skip(1).nth(signal - 1)?.parse().ok());
        cost.latency.push(milliseconds(sent, arrived.expect("the application gets every signal")));
    }
    cost.resident.push(f64::from(resident(pid)));
    let threads = u32::try_from(threads(pid).len()).expect("threads are few");
    cost.threads.push(f64::from(threads));
}

/// Milliseconds of CPU from the moment all orphans die until none of them is left.
fn reaping(peers: &Peers, init: Init) -> f64 {
    let directory = Directory::new();
    let pipe = directory.join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a directory of our own can have one");
    let line = ["sh", "-c", ORPHANS, &pipe.display().to_string()].map(str::to_owned);
    let process = Process::spawn(&mut as_pid_one(peers, init, &line));
    // Opens once the other end is.
    let writer = File::options().write(true).open(&pipe).expect("it is ours");
    process.wait_for_stdout("all");
    let pid = supervisor(&process);
    assert!(children(pid).len() > 1_000, "the orphans are its children now");
    let before = cpu_milliseconds(pid);
    drop(writer);
    let alone = poll(|| (children(pid).len() == 1).then_some(()));
    alone.unwrap_or_else(|| {
        panic!("{} left {} orphans unreaped", init.name, children(pid).len() - 1)
    });
    cpu_milliseconds(pid) - before
}

/// In namespaces of its own. Nobody needs to be root for that.
fn as_pid_one(peers: &Peers, init: Init, application: &[String]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-Urpf", "--kill-child", "--mount-proc"])
        .args(peers.init_line(init))
        .args(application);
    command
}

/// The contender, as this process sees it: the only child of `unshare`.
fn supervisor(process: &Process) -> Pid {
    children(process.pid())[0]
}
