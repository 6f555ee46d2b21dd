//! Measures: how long a SIGTERM takes to the application through meshim and through tini, and how
//! long after the last request's end it is forwarded. `cargo run --release --example stop_latency
//! [RUNS]`; build the binary first.
//!
//! Prints medians and 90th percentiles; judges nothing, since that is the machine's as much as the
//! program's.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measuring program waits, and talks"
)]

mod stand_in;

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stand_in::{Sidecar, meshim, start};

/// Ends as fast as a process can when the signal comes.
const APPLICATION: &str = "
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print('ready', flush=True)
signal.sigwait([signal.SIGTERM])
os._exit(0)
";

fn main() -> std::io::Result<()> {
    let runs: usize = std::env::args().nth(1).and_then(|runs| runs.parse().ok()).unwrap_or(50);
    let meshim = meshim().display().to_string();
    let bare: &[&str] = &[];
    let inits: [(&str, &[&str]); 3] = [
        ("nothing", bare),
        ("tini", &["/usr/bin/tini", "-s", "--"]),
        ("meshim --supervise", &[&meshim, "--mesh=none", "--supervise", "--"]),
    ];
    println!(
        "from SIGTERM to the end of the application behind it (median, 90th percentile of {runs}):"
    );
    for (name, line) in inits {
        let mut took =
            (0..runs).map(|_| signalled(line)).collect::<std::io::Result<Vec<Duration>>>()?;
        report(name, &mut took);
    }
    println!(
        "from the last request's end to the end of the application behind the forwarded signal:"
    );
    let mut took =
        (0..runs).map(|_| drained(&meshim)).collect::<std::io::Result<Vec<Duration>>>()?;
    report("meshim --drain", &mut took);
    Ok(())
}

fn report(name: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    println!("  {name:20} {:?} {:?}", at(50), at(90));
}

fn signalled(line: &[&str]) -> std::io::Result<Duration> {
    let words: Vec<&str> = line.iter().copied().chain(["python3", "-c", APPLICATION]).collect();
    let (mut child, mut stdout) = start(Command::new(words[0]).args(&words[1..]))?;
    wait_for_quietly(&mut stdout);
    let began = Instant::now();
    send_term(child.id());
    child.wait()?;
    Ok(began.elapsed())
}

fn drained(meshim: &str) -> std::io::Result<Duration> {
    let sidecar = Sidecar::start_quietly()?;
    sidecar.set_in_flight(1);
    let options =
        ["--log=error", "--admin-url", sidecar.url(), "--drain", "--drain-min=100ms", "--"];
    let (mut child, mut stdout) =
        start(Command::new(meshim).args(options).args(["python3", "-c", APPLICATION]))?;
    wait_for_quietly(&mut stdout);
    send_term(child.id());
    // The shortest time is over long before: what is measured is the end of the request.
    std::thread::sleep(Duration::from_millis(250));
    let began = Instant::now();
    sidecar.set_in_flight(0);
    child.wait()?;
    Ok(began.elapsed())
}

fn wait_for_quietly(stdout: &mut std::io::BufReader<std::process::ChildStdout>) {
    use std::io::BufRead as _;
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert!(
            stdout.read_line(&mut line).is_ok_and(|count| count > 0),
            "the application never started"
        );
    }
}

fn send_term(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("Linux's process ids fit"));
    kill(pid, Signal::SIGTERM).expect("it is our child");
}
