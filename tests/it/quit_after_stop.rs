//! Ending the proxy of a pod that is told to stop: the kubelet tells the proxy, too, so that mostly
//! nothing is sent. Istio's three ports are stand-ins.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::meshim::{Meshim, Running};
use crate::support::namespace::inside;
use crate::support::reply::Reply;
use crate::support::sidecar::{IDLE, QUIT, Sidecar};

/// Envoy's answer to the question what is in flight.
const IN_FLIGHT: &str = "http.inbound_0.0.0.0_8080;.downstream_rq_active: 1\n";

/// An application that takes TERM for `exit CODE`, once it is up.
fn running(options: &[&str], code: i32) -> Running {
    let script = format!("trap 'exit {code}' TERM; echo up; while :; do sleep 0.01; done");
    let run = Meshim::starts(["sh", "-c", &script])
        .with(["--mesh=istio", "--supervise"])
        .with(options.iter().copied())
        .spawn();
    run.wait_for_stdout("up");
    run
}

#[test]
fn envoy_itself_is_asked_once_nothing_is_in_flight_and_the_agent_never() {
    inside(|| {
        let mut istio = Sidecar::serving();
        let busy = Reply::envoy(200, IN_FLIGHT);
        let idle = Reply::envoy(200, IDLE);
        istio.envoy.script("/stats", [busy.clone(), busy.clone(), busy, idle]);
        let run = running(&["--quit=always"], 3);
        istio.is_told_to_end();
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(3).expect_stderr(&["was asked to end: http://localhost:15000"]);
        assert_eq!(istio.asked(), (0, 1));
        let looks = istio.envoy.requests("/stats");
        let asked = &istio.envoy.requests(QUIT)[0];
        assert_eq!((looks.len(), asked.method.as_str()), (5, "POST"), "two idle looks");
        assert!(looks.iter().all(|look| look.at < asked.at));
    });
}

#[test]
fn an_agent_that_gets_its_signal_a_moment_later_is_waited_for() {
    inside(|| {
        let mut istio = Sidecar::serving();
        let run = running(&["--quit=always"], 3);
        let looks = istio.agent.count("/");
        run.signal(Signal::SIGTERM);
        // Its application has ended, and it looks whether the agent is ending.
        istio.agent.wait_for_requests("/", looks + 1);
        istio.is_told_to_end();
        run.wait().expect_code(3);
        assert_eq!(istio.asked(), (0, 1));
    });
}

#[test]
fn where_this_container_alone_is_stopped_nothing_is_sent() {
    inside(|| {
        let istio = Sidecar::serving();
        let began = Instant::now();
        let run = running(&["--quit=always"], 3);
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(3).expect_stderr(&["this container alone was told to stop"]);
        assert_eq!(istio.asked(), (0, 0));
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        // A URL of the user's own is asked in any case.
        let run = running(&["--quit=always", "--quit-url=http://127.0.0.1:15000/quitquitquit"], 3);
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(3);
        assert_eq!(istio.asked(), (0, 1));
    });
}

#[test]
fn grace_bounds_the_watching_and_a_second_the_asking() {
    inside(|| {
        let mut istio = Sidecar::serving();
        istio.is_told_to_end();
        istio.ready.says("/healthz/ready", Reply::envoy(200, ""));
        istio.envoy.says("/stats", Reply::envoy(200, IN_FLIGHT));
        let run = running(&["--quit=always", "--grace=2s"], 3);
        istio.ready.says("/healthz/ready", Reply::envoy(503, ""));
        let began = Instant::now();
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(3).expect_stderr(&["still has work in flight", "requests=1"]);
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(5), "{took:?}");
        assert_eq!(istio.asked(), (0, 0));
        istio.envoy.says(QUIT, Reply::Silence);
        let url = "--quit-url=http://127.0.0.1:15000/quitquitquit";
        istio.ready.says("/healthz/ready", Reply::envoy(200, ""));
        let run = running(&["--quit=always", url, "--grace=30s"], 3);
        let began = Instant::now();
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(3).expect_stderr(&["no answer in time"]);
        assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    });
}

#[test]
fn on_stop_and_on_success_mean_what_they_say() {
    inside(|| {
        let mut istio = Sidecar::serving();
        let exits = |quit: &str, code: i32| {
            Meshim::starts(["sh", "-c", &format!("exit {code}")])
                .with(["--mesh=istio", quit])
                .run()
                .expect_code(code);
        };
        exits("--quit=on-stop", 0);
        exits("--quit=on-stop", 3);
        exits("--quit=on-success", 3);
        assert_eq!(istio.asked(), (0, 0));
        let stopped = |istio: &mut Sidecar, quit: &str, script: &str| {
            istio.agent.open();
            istio.ready.says("/healthz/ready", Reply::envoy(200, ""));
            let run = Meshim::starts(["sh", "-c", script]).with(["--mesh=istio", quit]).spawn();
            run.wait_for_stdout("up");
            istio.is_told_to_end();
            run.signal(Signal::SIGTERM);
            run.wait();
            istio.asked().1
        };
        let failing = "trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done";
        // Ended by the signal that was forwarded, and as a JVM says the same.
        let killed = "echo up; exec sleep 60";
        let as_a_jvm = "trap 'exit 143' TERM; echo up; while :; do sleep 0.01; done";
        assert_eq!(stopped(&mut istio, "--quit=on-success", failing), 0);
        assert_eq!(stopped(&mut istio, "--quit=on-success", killed), 1);
        assert_eq!(stopped(&mut istio, "--quit=on-success", as_a_jvm), 2);
        assert_eq!(stopped(&mut istio, "--quit=on-stop", failing), 3);
        assert_eq!(istio.asked().0, 0);
    });
}

#[test]
fn a_proxy_that_is_ending_already_is_a_success_at_once() {
    inside(|| {
        let mut istio = Sidecar::serving();
        istio.is_told_to_end();
        let began = Instant::now();
        Meshim::does("quit")
            .with(["--mesh=istio"])
            .run()
            .expect_code(0)
            .expect_stderr(&["the istio proxy is ending already"]);
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(istio.asked(), (0, 0));
    });
}
