//! Signals while waiting: what would end a program ends the wait, all others change nothing,
//! however many.

use std::iter::repeat_n;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::support::directory::Directory;
use crate::support::meshim::{Meshim, Running};
use crate::support::process::Process;
use crate::support::reply::Reply;
use crate::support::shared::poll;
use crate::support::standin::StandIn;
use crate::support::stuck::Stuck;

fn started(meshim: Meshim, proxy: &StandIn) -> Running {
    let run = meshim.with(["--admin-url", &proxy.url()]).spawn();
    run.wait_for_stderr("waiting for the proxy");
    run
}

fn initializing() -> StandIn {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    proxy
}

#[test]
fn a_stop_signal_ends_the_wait_with_128_and_its_number_also_as_pid_one() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        for (who, meshim) in [
            ("a child", Meshim::starts(["true"])),
            ("PID 1", Meshim::starts(["true"]).being_pid_one()),
        ] {
            let proxy = initializing();
            let run = started(meshim, &proxy);
            // The second look shows that the first one's answer has been taken in.
            proxy.wait_for_requests("/ready", 2);
            run.signal(signal);
            let ended = run.wait();
            assert_eq!(ended.code, Some(128 + signal as i32), "{signal} as {who}: {ended:#?}");
            ended.expect_stderr(&[
                &format!("error: ended by {signal} after waiting "),
                "INITIALIZING",
            ]);
        }
    }
}

#[test]
fn every_signal_that_ends_a_program_ends_the_wait_also_as_pid_one() {
    // The kernel throws a signal away that PID 1 has no handler for. PIPE is what our own writing
    // causes, the faults and CHLD stay what they are.
    let ends = (1..=64).filter(|number| {
        ![4, 7, 8, 9, 11, 13, 17, 18, 19, 20, 21, 22, 23, 28, 32, 33].contains(number)
    });
    let proxy = initializing();
    for number in ends {
        let run = started(Meshim::starts(["true"]).being_pid_one(), &proxy);
        let script = format!("kill -{number} {}", run.pid());
        let sent = Process::spawn(Command::new("/bin/sh").args(["-c", &script])).wait();
        assert_eq!(sent.code, Some(0), "{number}: {sent:?}");
        run.wait().expect_code(128 + number);
    }
}

#[test]
fn a_stop_signal_that_the_parent_had_blocked_ends_the_wait() {
    let proxy = initializing();
    let blocked = ["env", "--block-signal=TERM", "--block-signal=USR2"];
    let run = started(Meshim::starts(["true"]).behind(blocked), &proxy);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
}

#[test]
fn a_stop_signal_that_the_application_inherits_as_blocked_is_told() {
    let blocked = "it hears SIGTERM only if it unblocks it";
    for options in [&["--mesh=none"][..], &["--mesh=none", "--supervise"]] {
        let told = Meshim::starts(["true"]).behind(["env", "--block-signal=TERM"]);
        told.with(options.to_vec()).run().expect_code(0).expect_stderr(&["warning: ", blocked]);
        let others = Meshim::starts(["true"]).behind(["env", "--block-signal=USR1"]);
        let said = others.with(options.to_vec()).run().expect_code(0).stderr;
        assert!(!said.contains("warning"), "{said}");
        let added = Meshim::starts(["true"]).behind(["env", "--block-signal=USR1"]);
        let added = added.with(options.to_vec()).with(["--stop-signal=USR1"]).run();
        added.expect_code(0).expect_stderr(&["it hears SIGUSR1 only if"]);
    }
}

#[test]
fn a_stop_signal_while_the_command_line_is_read_is_not_lost_for_pid_one() {
    // A command line that takes its time.
    let options = ["--mesh=istio", "--timeout=0"];
    let run = Meshim::starts(["true"].into_iter().chain(repeat_n("a", 60_000)));
    let run = run.being_pid_one().with(options).spawn();
    let file = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", run.pid())).ok();
    let is_heard = || {
        let status = file("status")?;
        let masks = status
            .lines()
            .filter(|line| line.starts_with("SigBlk:") || line.starts_with("SigCgt:"));
        let masks = masks.filter_map(|line| u64::from_str_radix(line[7..].trim(), 16).ok());
        Some(masks.fold(0, |all, mask| all | mask) & 1 << 14 != 0)
    };
    // In hundredths of a second; the program, and not `unshare`.
    let cpu_time = || {
        let stat = file("stat")?;
        let (name, fields) = stat.rsplit_once(") ")?;
        let ticks =
            fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        name.ends_with("(meshim").then(|| ticks.sum::<u64>())
    };
    // Heard, or late: two hundredths of a second would have been enough.
    poll(|| (cpu_time()? >= 2 || is_heard()?).then_some(())).expect("it runs");
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
}

#[test]
fn a_stop_signal_ends_a_look_that_nobody_answers() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::Silence);
    let run = started(Meshim::does("wait").with(["--request-timeout=1h", "--timeout=0"]), &proxy);
    proxy.wait_for_requests("/ready", 1);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143).expect_stderr(&["no look has been answered yet"]);
}

/// Each subcommand that asks a server something, in front of one that never answers.
fn asking(subcommand: &str, silent: &StandIn) -> Meshim {
    let meshim = Meshim::does(subcommand);
    match subcommand {
        "probe" => meshim.with([&silent.url(), "--timeout=1h"]),
        "quit" => meshim.with(["--quit-url", &silent.url()]),
        "drain" => meshim.with(["--admin-url", &silent.url(), "--drain-max=1h"]),
        _ => meshim.with(["--admin-url", &silent.url(), "--request-timeout=1h"]),
    }
}

#[test]
fn a_stop_signal_ends_whatever_asks_a_server_also_as_pid_one() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP] {
        for subcommand in ["check", "doctor", "probe", "quit", "drain"] {
            let silent = StandIn::new();
            silent.says_otherwise(Reply::Silence);
            let run = asking(subcommand, &silent).being_pid_one().spawn();
            poll(|| (silent.all_requests() > 0).then_some(())).expect("it asks");
            run.signal(signal);
            let ended = run.wait();
            assert_eq!(ended.code, Some(128 + signal as i32), "{subcommand} {signal}: {ended:#?}");
            ended.expect_stderr(&[&format!("ended by {signal} while ")]);
        }
    }
}

#[test]
fn what_ends_a_look_by_hand_leaves_the_termination_log_to_the_application() {
    for subcommand in ["check", "doctor", "probe", "drain"] {
        let silent = StandIn::new();
        silent.says_otherwise(Reply::Silence);
        let run = asking(subcommand, &silent);
        let log = run.directory().join("termination-log");
        std::fs::write(&log, "the application's").unwrap();
        let run = run.env("MESHIM_TERMINATION_LOG", &log).spawn();
        poll(|| (silent.all_requests() > 0).then_some(())).expect("it asks");
        run.signal(Signal::SIGTERM);
        // Its directory goes with the run.
        run.wait_for_stderr("ended by SIGTERM");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "the application's", "{subcommand}");
        run.wait().expect_code(143);
    }
}

#[test]
fn a_stop_signal_that_came_before_ends_an_install_without_a_copy_also_as_pid_one() {
    let pending = "import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.kill(os.getpid(), signal.SIGTERM)
os.execv(sys.argv[1], sys.argv[1:])";
    let volume = Directory::new();
    let install = Meshim::does("install").with([volume.path()]).being_pid_one();
    let install = install.behind(["/usr/bin/env", "python3", "-c", pending]);
    install.run().expect_code(143).expect_stderr(&["ended by SIGTERM while copying"]);
    assert_eq!(std::fs::read_dir(volume.path()).unwrap().count(), 0);
}

#[test]
fn a_stop_signal_ends_what_prints_and_nobody_reads_also_as_pid_one() {
    for subcommand in ["help", "check", "doctor"] {
        let stuck = Stuck::new();
        let script = format!("exec \"$@\" >>{}", stuck.path().display());
        let run = Meshim::does(subcommand).env("MESHIM_MESH", "none").behind_shell(&script);
        let run = run.being_pid_one().spawn();
        // With nobody to ask, what it waits for is room on stdout.
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", run.pid())).ok();
        poll(|| stat()?.contains("(meshim) S ").then_some(())).expect("it waits");
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(143);
    }
}

#[test]
fn thousands_of_other_signals_change_nothing() {
    let proxy = initializing();
    let run = started(Meshim::starts(["echo", "started"]).being_pid_one(), &proxy);
    for _ in 0..3_000 {
        for signal in [Signal::SIGWINCH, Signal::SIGCHLD, Signal::SIGURG, Signal::SIGCONT] {
            run.signal(signal);
        }
    }
    proxy.wait_for_requests("/ready", proxy.count("/ready") + 3);
    proxy.says("/ready", Reply::live());
    assert_eq!(run.wait().expect_code(0).stdout, "started\n");
}

#[test]
fn a_stop_signal_is_heard_among_thousands_of_others() {
    let proxy = initializing();
    let run = started(Meshim::starts(["true"]), &proxy);
    for _ in 0..3_000 {
        run.signal(Signal::SIGWINCH);
        run.signal(Signal::SIGURG);
    }
    for _ in 0..1_000 {
        // Until it is reaped the id is its own, also when it has ended meanwhile.
        run.signal(Signal::SIGTERM);
    }
    run.wait().expect_code(143);
}

#[test]
fn a_signal_that_was_ignored_from_the_start_stays_ignored() {
    let proxy = initializing();
    let status = ["grep", "SigIgn", "/proc/self/status"];
    let run = started(Meshim::starts(status).behind_shell(r#"trap "" HUP; exec "$@""#), &proxy);
    run.signal(Signal::SIGHUP);
    proxy.wait_for_requests("/ready", proxy.count("/ready") + 2);
    assert!(!run.has_ended());
    proxy.says("/ready", Reply::live());
    let ended = run.wait().expect_code(0);
    // Other signals may be ignored by whoever runs the tests; HUP is the lowest bit.
    let mask =
        ended.stdout.strip_prefix("SigIgn:\t").map(|mask| u64::from_str_radix(mask.trim(), 16));
    assert!(mask.is_some_and(|mask| mask.is_ok_and(|mask| mask & 1 == 1)), "{ended:#?}");
}

#[test]
fn a_stop_signal_while_envoy_is_asked_what_it_waits_for_forbids_the_start() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING")).says("/init_dump", Reply::Silence);
    let options = ["--admin-url", &proxy.url(), "--timeout=200ms", "--on-timeout=start"];
    let run = Meshim::starts(["echo", "started"]).with(options).spawn();
    proxy.wait_for_requests("/init_dump", 1);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.wait().expect_code(143).stdout, "");
}
