//! Every system call of a run fails once: `strace --inject` has call N of a kind return an error
//! instead of being made.
//!
//! A good run is recorded first; then comes one run for each of its calls and each error that is
//! documented for it ([`errors`]). Before the application has started, a run does its job all the
//! same or ends with one sentence and a documented code. After that the application lives on, and
//! its status is passed on. No run hangs or panics.
//!
//! Left out: calls before the first one of ours, in which Rust's runtime aborts by design; memory
//! (`mmap`, `brk`), where an allocator has no other answer than to abort; what fails, by its
//! manual, never or for a wrong argument only (`getpid`, `rt_sigaction`), and `close`. Of a call
//! that is made very often, the first and last ones and a sample.
//!
//! Measures the released binary (`MESHIM_BINARY`, or the static one below target/). Needs strace;
//! `.ci/run faults` installs it.

mod errors;
mod recorded;
#[expect(dead_code, reason = "shared with the other integration tests, which use the rest")]
#[path = "../it/support/mod.rs"]
mod support;
mod verdict;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::recorded::{faults, injected};
use self::verdict::{Kind, judge};
use crate::support::namespace::inside_within;
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

/// Tells what it does, and its own end; stops its parent at once, and waits for the signal for five
/// seconds.
const APPLICATION: &str = "
trap 'echo ended 7; exit 7' TERM
echo started
kill -TERM $PPID
n=0; while [ $n -lt 100 ]; do sleep 0.05; n=$((n + 1)); done
echo ended 9; exit 9";

/// For all runs of one kind, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

/// How many runs go on at once. Most of each is waiting.
const AT_ONCE: usize = 6;

/// Has every call of this run fail once, and tells how many that were.
#[track_caller]
#[expect(clippy::print_stdout, reason = "the number is what this is read for")]
#[expect(clippy::disallowed_methods, reason = "that rule is for meshim, which is one thread")]
fn holds(kind: Kind, args: &[&str]) {
    let list = faults(args, kind);
    assert!(list.len() > 20, "a run makes more calls than {list:?}");
    let (next, hit, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(fault) = list.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let run = injected(args, fault);
                    if !run.was_hit {
                        continue;
                    }
                    hit.fetch_add(1, Ordering::Relaxed);
                    if let Err(why) = judge(kind, fault, &run) {
                        let list = wrong.lock();
                        list.expect("nobody panics").push(format!("{fault}: {why}\n{run}"));
                    }
                }
            });
        }
    });
    let (hit, wrong) = (hit.into_inner(), wrong.into_inner().expect("nobody panics"));
    println!("{:10} {hit} injections in {} runs", kind.name(), list.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), list.len(), wrong.join("\n"));
    // A drain takes as many looks as there is time for.
    assert!(hit * 4 >= list.len() * 3, "only {hit} of {} were made", list.len());
}

fn proxy() -> StandIn {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live());
    proxy.says("/server_info", Reply::envoy(200, r#"{"state":"LIVE","version":"x"}"#));
    for page in ["/quitquitquit", "/drain_listeners", "/stats", "/clusters"] {
        proxy.says(page, Reply::envoy(200, ""));
    }
    proxy
}

// Each in a network of its own: before a proxy is ended, its unsent bytes are waited for, and
// anybody's count.

#[test]
fn a_run_that_becomes_the_application() {
    inside_within(PATIENCE, || {
        let proxy = proxy();
        let args = ["--admin-url", &proxy.url(), "--timeout=3s", "--", "/bin/sh", "-c"];
        holds(Kind::Becomes, &[&args[..], &["echo started; echo ended 7; exit 7"]].concat());
    });
}

#[test]
fn a_run_that_supervises_drains_and_quits() {
    inside_within(PATIENCE, || {
        let proxy = proxy();
        let args = ["--admin-url", &proxy.url(), "--mesh=envoy", "--timeout=3s", "--quit=always"];
        let drain = ["--drain", "--drain-min=0", "--drain-max=200ms", "--", "/bin/sh", "-c"];
        holds(Kind::Supervises, &[&args[..], &drain, &[APPLICATION]].concat());
    });
}

#[test]
fn a_wait() {
    inside_within(PATIENCE, || {
        let proxy = proxy();
        holds(Kind::Asks, &["wait", "--admin-url", &proxy.url(), "--timeout=3s"]);
    });
}

#[test]
fn a_probe() {
    inside_within(PATIENCE, || {
        let proxy = proxy();
        let url = format!("{}/ready", proxy.url());
        holds(Kind::Asks, &["probe", &url]);
    });
}

#[test]
fn a_quit() {
    inside_within(PATIENCE, || {
        let proxy = proxy();
        holds(Kind::Asks, &["quit", "--mesh=envoy", "--admin-url", &proxy.url()]);
    });
}
