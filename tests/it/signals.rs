//! Signals while waiting: the four stop signals end the wait, all others change nothing, however
//! many.

use nix::sys::signal::Signal;

use crate::support::meshim::{Meshim, Running};
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

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
fn a_stop_signal_ends_a_look_that_nobody_answers() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::Silence);
    let run = started(Meshim::does("wait").with(["--request-timeout=1h", "--timeout=0"]), &proxy);
    proxy.wait_for_requests("/ready", 1);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143).expect_stderr(&["no look has been answered yet"]);
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
fn a_stop_signal_while_envoy_is_asked_what_it_waits_for_is_not_lost_where_a_timeout_starts_the_application()
 {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING")).says("/init_dump", Reply::Silence);
    let options = ["--admin-url", &proxy.url(), "--timeout=200ms", "--on-timeout=start"];
    let run = Meshim::starts(["echo", "started"]).with(options).spawn();
    proxy.wait_for_requests("/init_dump", 1);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.wait().expect_code(143).stdout, "");
}
