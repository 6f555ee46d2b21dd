//! Beside kuma-dp, with either kind of admin API.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{quit, serving, started_under};
use crate::support::meshes::Phase;
use crate::support::meshes::kuma::{KumaTcp, KumaUnix};
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;

const QUIT: &str = "/quitquitquit";

/// No port shows kuma-dp until kuma-cp has answered.
#[test]
fn kuma_is_waited_for_from_before_its_first_port_until_envoys_own_word() {
    inside(|| {
        let mut kuma = KumaUnix::start();
        let run = Meshim::starts(["true"]).with(["--mesh=kuma"]).spawn();
        run.wait_for_stderr("waiting for the proxy mesh=kuma");
        kuma.has_its_bootstrap();
        let mut looks = 0;
        let mut more_looks = |kuma: &KumaUnix| {
            looks += 5;
            kuma.reporter.wait_for_requests("/ready", looks);
            looks = kuma.reporter.count("/ready");
            assert!(!run.has_ended());
        };
        more_looks(&kuma);
        kuma.starts_envoy();
        more_looks(&kuma);
        kuma.is(Phase::PreInitializing);
        more_looks(&kuma);
        kuma.is(Phase::Initializing);
        more_looks(&kuma);
        kuma.is(Phase::Live);
        started_under("kuma", run);
    });
}

#[test]
fn kuma_is_found_by_its_reporter_alone() {
    inside(|| {
        let mut kuma = KumaUnix::start();
        kuma.has_its_bootstrap();
        let run = Meshim::starts(["true"]).with(["--absent-after=100ms"]).spawn();
        kuma.reporter.wait_for_requests("/ready", 20);
        assert!(!run.has_ended());
        kuma.is(Phase::Live);
        started_under("kuma", run);
    });
}

/// Up to 2.13 kuma-dp says READY before it has even started Envoy.
#[test]
fn kumas_agent_is_not_its_envoy() {
    inside(|| {
        let mut kuma = KumaTcp::start();
        kuma.has_its_bootstrap();
        let run = Meshim::starts(["true"]).spawn();
        kuma.reporter.wait_for_requests("/ready", 20);
        assert!(!run.has_ended());
        kuma.is(Phase::PreInitializing);
        kuma.admin.wait_for_requests("/ready", 10);
        kuma.is(Phase::Initializing);
        kuma.admin.wait_for_requests("/ready", 20);
        assert!(!run.has_ended());
        kuma.is(Phase::Live);
        started_under("kuma", run);
        kuma.is(Phase::Initializing);
        let ended = Meshim::starts(["true"]).with(["--timeout=300ms"]).run().expect_code(124);
        ended.expect_stderr(&["9902/ready: 200 READY, which the proxy's agent says"]);
    });
}

#[test]
fn kuma_whose_admin_api_is_a_unix_socket_cannot_be_ended_and_that_is_said_at_the_start() {
    inside(|| {
        let kuma = KumaUnix::live();
        let run = serving(&["--quit=always"]);
        run.wait_for_stderr("--quit: the kuma proxy cannot be ended from this container");
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(5);
        quit().expect_code(1).expect_stderr(&["from Kuma 2.14 on its admin API is a Unix socket"]);
        assert_eq!(kuma.reporter.count(QUIT), 0);
    });
}

#[test]
fn kuma_with_an_admin_port_is_ended_after_a_job() {
    inside(|| {
        let kuma = KumaTcp::live();
        let job = Meshim::starts(["sh", "-c", "exit 3"]).with(["--quit=always"]).run();
        job.expect_code(3).expect_stderr(&["the proxy was asked to end", "9901/quitquitquit: 200"]);
        quit().expect_code(0);
        assert_eq!((kuma.admin.count(QUIT), kuma.reporter.count(QUIT)), (2, 0));
    });
}

/// kuma-dp drains by itself: what is left is to go on serving.
#[test]
fn beside_kuma_the_shortest_time_is_kept_and_nobody_is_told_to_drain() {
    inside(|| {
        let kuma = KumaUnix::live();
        let run = serving(&["--drain", "--drain-min=700ms"]);
        let told = Instant::now();
        run.signal(Signal::SIGTERM);
        kuma.is_told_to_end();
        run.wait().expect_code(5).expect_stderr(&["no connection to the application is open"]);
        assert!(told.elapsed() >= Duration::from_millis(700), "{:?}", told.elapsed());
        assert_eq!(kuma.reporter.count("/drain_listeners"), 0);
    });
}

/// TERMINATING is its word that it has its SIGTERM: what is left of it may be ended.
#[test]
fn a_kuma_proxy_that_is_terminating_is_let_go_after_the_application() {
    inside(|| {
        let kuma = KumaTcp::live();
        let run = serving(&["--quit=always"]);
        kuma.is_told_to_end();
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(5);
        assert_eq!(kuma.admin.count(QUIT), 1);
    });
}
