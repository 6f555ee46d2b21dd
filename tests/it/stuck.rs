//! A stderr that nobody reads: full pipes and sockets delay neither a wait nor a stop.

use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::meshim::{Meshim, Running};
use crate::support::namespace::must_be_permitted;
use crate::support::process::Process;
use crate::support::reply::Reply;
use crate::support::shared::poll;
use crate::support::standin::StandIn;
use crate::support::stuck::Stuck;

/// Says `ready`, then waits for the end, and never writes to stderr.
const SLEEPER: [&str; 3] = ["sh", "-c", "echo ready; exec sleep 1000"];
const DEAF: [&str; 3] = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"];

fn supervising(command: [&str; 3]) -> Meshim {
    Meshim::starts(command).with(["--supervise", "--log=debug"]).env("PATH", "/usr/bin:/bin")
}

fn ready(meshim: Meshim) -> Running {
    let run = meshim.spawn();
    run.wait_for_stdout("ready");
    run
}

#[test]
fn a_full_stderr_delays_neither_the_stop_signal_nor_the_kill() {
    let stuck = Stuck::new();
    let run = supervising(SLEEPER).with(["--mesh=none"]).behind_shell(&stuck.script());
    let run = ready(run);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
    let run = supervising(DEAF).with(["--mesh=none", "--grace=300ms"]);
    let run = ready(run.behind_shell(&stuck.script()));
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(137);
}

#[test]
fn a_full_stderr_that_cannot_be_opened_anew_delays_nothing_either() {
    must_be_permitted();
    let stuck = Stuck::new();
    let script = format!("mount -t tmpfs none /proc && {}", stuck.script());
    let run = supervising(SLEEPER).with(["--mesh=none"]).behind(["unshare", "-Urm"]);
    let run = ready(run.behind_shell(&script));
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
}

#[test]
fn a_full_socket_as_stderr_delays_nothing_either() {
    let full = "import os, socket, sys
ours, theirs = socket.socketpair()
theirs.setblocking(False)
try:
    while True: theirs.send(b'.' * 4096)
except BlockingIOError: pass
theirs.setblocking(True)
os.dup2(theirs.fileno(), 2)
os.set_inheritable(ours.fileno(), True)
os.execvp(sys.argv[1], sys.argv[1:])";
    let run = supervising(SLEEPER).with(["--mesh=none"]).behind(["python3", "-c", full]);
    let run = ready(run);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
}

#[test]
fn a_full_stderr_does_not_keep_the_drain_from_its_end() {
    let (stuck, proxy) = (Stuck::new(), StandIn::new());
    proxy.says("/ready", Reply::live());
    let options = ["--admin-url", &proxy.url(), "--drain", "--drain-min=0", "--drain-max=500ms"];
    let run = ready(supervising(SLEEPER).with(options).behind_shell(&stuck.script()));
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
}

#[test]
fn a_full_stderr_delays_neither_the_start_nor_the_end_of_a_wait() {
    let (stuck, proxy) = (Stuck::new(), StandIn::new());
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let options = ["--log=debug".to_owned(), "--admin-url".to_owned(), proxy.url()];
    let waiting = || Meshim::starts(["echo", "started"]).with(options.clone());
    let run = waiting().behind_shell(&stuck.script()).spawn();
    proxy.wait_for_requests("/ready", 3);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
    proxy.says("/ready", Reply::live());
    let run = waiting().env("PATH", "/usr/bin:/bin").behind_shell(&stuck.script());
    assert_eq!(run.run().expect_code(0).stdout, "started\n");
}

#[test]
fn lines_that_nobody_read_are_counted_and_what_a_late_reader_gets_is_whole() {
    let mut stuck = Stuck::new();
    let ignoring = "trap '' RTMIN+5; echo ready; exec sleep 1000";
    let run = supervising(["sh", "-c", ignoring]).with(["--mesh=none"]);
    let run = ready(run.behind_shell(&stuck.script()));
    // Each writes a line, far more than are kept; real-time signals are queued one by one.
    let thousand = "import os, signal, sys
for _ in range(1000): os.kill(int(sys.argv[1]), signal.SIGRTMIN + 5)";
    let pid = run.pid().to_string();
    let sent = Process::spawn(Command::new("python3").args(["-c", thousand, &pid])).wait();
    sent.expect_code(0);
    let pending = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"))?.trim();
        u64::from_str_radix(mask, 16).ok()
    };
    poll(|| (pending()? == 0).then_some(())).expect("it reads them all");
    let lost = "lines were lost, since nobody read stderr";
    // From now on there is room; the next line comes behind the one that counts.
    stuck.said();
    run.signal(Signal::SIGWINCH);
    let said = stuck.wait_for(lost);
    assert!(said.contains("meshim: warning: "), "{said}");
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
    let said = stuck.said();
    assert!(said.lines().all(|line| line.starts_with("meshim: ")), "{said}");
}
