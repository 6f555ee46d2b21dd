//! This machine: its clock, what a process has cost it so far, and what it is called under the
//! table.
//!
//! Owns what is read from /proc; must never start anything.

use std::fs;
use std::time::Duration;

use nix::sys::time::TimeValLike as _;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use super::peers::Peers;

/// Nanoseconds of the clock that all processes share.
pub(crate) fn now() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every kernel has it").num_nanoseconds()
}

/// The milliseconds from one moment to another; negative where the other was earlier.
pub(crate) fn milliseconds(from: i64, to: i64) -> f64 {
    let between = Duration::from_nanos(to.abs_diff(from)).as_secs_f64() * 1e3;
    if to < from { -between } else { between }
}

/// The threads of a process.
pub(crate) fn threads(pid: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    entries.flatten().map(|entry| entry.path().display().to_string()).collect()
}

/// CPU time of a process, all threads of it, in milliseconds. Exact, where the fields of `stat`
/// count ticks of 10 ms: the first number of `schedstat` (Linux:
/// `Documentation/scheduler/sched-stats.rst`).
pub(crate) fn cpu_milliseconds(pid: Pid) -> f64 {
    let spent = |thread: &String| {
        let text = fs::read_to_string(format!("{thread}/schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    let nanoseconds: u64 = threads(pid).iter().filter_map(spent).sum();
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
}

/// How often any thread of a process has been switched away from, of its own will or not: once for
/// each wake-up.
pub(crate) fn wake_ups(pid: Pid) -> u32 {
    let of_thread = |thread: &String| {
        let status = fs::read_to_string(format!("{thread}/status")).unwrap_or_default();
        let counts = status.lines().filter(|line| line.contains("voluntary_ctxt_switches:"));
        counts.filter_map(|line| line.rsplit('\t').next()?.parse::<u32>().ok()).sum::<u32>()
    };
    threads(pid).iter().map(of_thread).sum()
}

/// Resident memory in KiB. From `smaps_rollup`, since `VmRSS` is an estimate
/// (`proc_pid_status(5)`).
pub(crate) fn resident(pid: Pid) -> u32 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it is ours");
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .expect("the kernel accounts memory")
}

/// The children of a process.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|child| child.parse().ok()).map(Pid::from_raw).collect()
}

/// One paragraph about where and on what this was measured.
pub(crate) fn described(peers: &Peers) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model);
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    let release = read("/etc/os-release");
    let system = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("Linux")
        .trim_matches('"');
    format!(
        "Measured on {model}, {cores} cores, Linux {}, {system}, load average {load} before the \
         run; {}, Envoy {}.",
        kernel.trim(),
        peers.versions(),
        super::support::envoy::version(),
    )
}
