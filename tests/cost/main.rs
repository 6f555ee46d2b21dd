//! Does one run still cost what it did? Counts only what the load of the machine does not change:
//! instructions, system calls, threads, requests, wake-ups.
//!
//! Measures the released binary (`MESHIM_BINARY`, or the static one below target/). Needs strace
//! and valgrind; `.ci/run cost` installs them, builds the binary and runs this, one test at a time.

mod counted;
#[expect(dead_code, reason = "shared with the other integration tests, which use the rest")]
#[path = "../it/support/mod.rs"]
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use self::counted::{
    Count, binary, instructions, one_more_look, status, system_calls, unread_binary, waits,
};
use crate::support::process::Process;
use crate::support::reply::Reply;
use crate::support::shared::poll;
use crate::support::standin::StandIn;

/// Holds a count against what was measured on `x86_64`, with a margin in percent for other kernels
/// and compilers. A bound that is broken says by how much: find out why before you move it.
#[track_caller]
#[expect(clippy::print_stdout, reason = "the table of the counts is what this is read for")]
fn holds(what: &str, found: u64, usual: u64, margin: u64) {
    let bound = usual + usual * margin / 100;
    println!("{what:55} {found:9}  at most {bound:9} ({usual} measured, {margin}% margin)");
    assert!(
        found <= bound,
        "{what}: {found}, more than {bound}; where that is meant, measure it anew and say why in \
         the commit"
    );
}

fn says(word: &str) -> StandIn {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready(word));
    proxy
}

fn ready() -> StandIn {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live());
    proxy
}

#[test]
fn a_run_beside_a_ready_proxy_costs_what_it_did() {
    let proxy = ready();
    let wait = ["wait", "--admin-url", &proxy.url()];
    holds("instructions of a run, proxy ready", instructions(&wait, 0).cost, 740_000, 6);
    let run = ["--admin-url", &proxy.url(), "--", "/bin/true"];
    // The list of listening sockets is eight of them: a URL does not say which mesh it is.
    holds("system calls of a run, proxy ready", system_calls(&run, 0).cost, 57, 5);
    let run = ["--mesh=envoy", "--admin-url", &proxy.url(), "--", "/bin/true"];
    holds("the same where the mesh is named", system_calls(&run, 0).cost, 49, 5);
}

#[test]
fn one_more_look_costs_what_it_did() {
    let proxy = says("INITIALIZING");
    let look = |count: fn(&[&str], i32) -> Count| one_more_look(count, &proxy.url());
    holds("instructions of one more look", look(instructions), 9_900, 5);
    holds("system calls of one more look", look(system_calls), 4, 25);
}

#[test]
fn one_more_look_where_nobody_listens_costs_what_it_did() {
    let nobody = StandIn::late();
    let look = |count: fn(&[&str], i32) -> Count| one_more_look(count, &nobody.url());
    // A sixth of them is the list of listening sockets, once a second.
    holds("instructions of one more look, nobody there", look(instructions), 3_900, 15);
    // Two of them; every half a second one more, for a connection.
    holds("system calls of one more look, nobody there", look(system_calls), 3, 34);
}

/// What the pauses of 4 and 20 ms allow; fewer on a busy machine.
#[test]
fn a_wait_asks_the_proxy_no_more_often_than_it_did() {
    for (word, usual, margin) in [("INITIALIZING", 250, 1), ("PRE_INITIALIZING", 50, 4)] {
        let proxy = says(word);
        waits(&["--admin-url", &proxy.url()]);
        let asked = u64::try_from(proxy.count("/ready")).expect("no wait asks so often");
        holds(&format!("requests in a wait of 1 s, {word}"), asked, usual, margin);
    }
    let (proxy, closed) = (says("PRE_INITIALIZING"), StandIn::late());
    waits(&["--mesh=istio", "--admin-url", &proxy.url(), "--ready-url", &closed.url()]);
    let asked = u64::try_from(proxy.count("/ready")).expect("no wait asks so often");
    holds("requests in a wait of 1 s, readiness port closed", asked, 12, 9);
    let looks = waits(&["--admin-url", &closed.url()]);
    holds("looks in a wait of 1 s, nobody there", looks, 50, 4);
}

#[test]
fn waiting_takes_one_thread() {
    let proxy = says("INITIALIZING");
    let mut command = Command::new(binary());
    let process = Process::spawn(command.args(["wait", "--admin-url", &proxy.url()]));
    proxy.wait_for_requests("/ready", 3);
    holds("threads while waiting", status(process.pid(), "Threads:"), 1, 0);
}

/// The time in which nothing happens.
const IDLE: Duration = Duration::from_secs(10);

#[test]
#[expect(clippy::disallowed_methods, reason = "here a window of time is measured")]
fn supervising_takes_one_thread_little_memory_and_wakes_up_for_nothing() {
    let mut command = Command::new(unread_binary());
    command.args(["--mesh=none", "--supervise", "--", "sh", "-c", "echo started; exec sleep 60"]);
    let process = Process::spawn(&mut command);
    process.wait_for_stdout("started");
    let pid = process.pid();
    let switches = || status(pid, "voluntary_ctxt_switches:");
    // What follows the start is over once two looks in a row agree.
    let mut before = switches();
    let settled = poll(|| {
        std::thread::sleep(Duration::from_millis(500));
        std::mem::replace(&mut before, switches()).eq(&before).then_some(Instant::now())
    });
    let began = settled.expect("a supervisor comes to rest");
    std::thread::sleep(IDLE.saturating_sub(began.elapsed()));
    holds("threads while supervising", status(pid, "Threads:"), 1, 0);
    holds("wake-ups in 10 s while supervising", switches() - before, 0, 0);
    // 990 to 1,110, by how the kernel read the file: in steps of 64 KiB, what it maps at once.
    holds("KiB resident while supervising", status(pid, "VmRSS:"), 1_110, 5);
}
