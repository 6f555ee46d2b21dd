//! Beside linkerd2-proxy.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{quit, serving, started_under};
use crate::support::meshes::linkerd::Linkerd;
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;

#[test]
fn linkerd_is_found_and_waited_for_until_it_has_its_identity() {
    inside(|| {
        let mut linkerd = Linkerd::start();
        let run = Meshim::starts(["true"]).with(["--absent-after=100ms"]).spawn();
        linkerd.admin.wait_for_requests("/ready", 20);
        assert!(!run.has_ended());
        linkerd.is_certified();
        started_under("linkerd", run);
    });
}

#[test]
fn a_linkerd_proxy_that_withholds_everything_at_first_is_waited_for() {
    inside(|| {
        let mut linkerd = Linkerd::start();
        linkerd.withholds();
        let run = Meshim::starts(["true"]).with(["--absent-after=100ms"]).spawn();
        linkerd.admin.wait_for_requests("/ready", 50);
        assert!(!run.has_ended());
        linkerd.waits_for_identity();
        linkerd.admin.wait_for_requests("/ready", linkerd.admin.count("/ready") + 2);
        linkerd.is_certified();
        started_under("linkerd", run);
        linkerd.withholds();
        let ended = Meshim::starts(["true"]).with(["--timeout=300ms"]).run().expect_code(124);
        ended
            .expect_stderr(&["/ready: 404 without a body", "until its inbound policy has arrived"]);
    });
}

/// Told to end before it had an identity, it closes 4191 alone, and hangs.
#[test]
fn a_linkerd_proxy_that_hangs_is_no_pod_without_a_mesh() {
    inside(|| {
        let mut linkerd = Linkerd::start();
        linkerd.is_told_to_end();
        let options = ["--absent-after=100ms", "--timeout=300ms"];
        let ended = Meshim::starts(["true"]).with(options).run().expect_code(124);
        ended.expect_stderr(&["the linkerd proxy was not ready", "4191/ready: connection refused"]);
    });
}

#[test]
fn linkerd_is_asked_to_end_only_where_its_endpoint_is_on() {
    inside(|| {
        let mut linkerd = Linkerd::start();
        linkerd.is_certified();
        quit().expect_code(1).expect_stderr(&["enableShutdownEndpoint"]);
        let job = || Meshim::starts(["sh", "-c", "exit 3"]).with(["--quit=always"]).run();
        job().expect_code(3).expect_stderr(&["enableShutdownEndpoint"]);
        assert_eq!(linkerd.admin.count("/shutdown"), 0);
        linkerd.allows_shutdown();
        job().expect_code(3).expect_stderr(&["the proxy was asked to end", "200"]);
        let asked = linkerd.admin.requests("/shutdown");
        assert_eq!(asked.iter().map(|asked| asked.method.as_str()).collect::<Vec<_>>(), ["POST"]);
        linkerd.ends();
        quit().expect_code(0);
    });
}

#[test]
fn linkerds_own_counters_say_when_nothing_is_in_flight() {
    inside(|| {
        let mut linkerd = Linkerd::start();
        linkerd.is_certified();
        linkerd.counts(2);
        let run = serving(&["--drain", "--drain-min=50ms", "--drain-max=20s"]);
        run.signal(Signal::SIGTERM);
        linkerd.admin.wait_for_requests("/metrics", 2);
        assert!(!run.has_ended());
        linkerd.counts(0);
        run.wait().expect_code(5).expect_stderr(&["drained: no request is in flight"]);
    });
}

/// A classic sidecar closes all its ports at the common SIGTERM.
#[test]
fn beside_a_classic_linkerd_sidecar_the_shortest_time_is_kept_and_the_remedy_told() {
    inside(|| {
        let mut linkerd = Linkerd::start();
        linkerd.is_certified();
        let run = serving(&["--drain", "--drain-min=700ms"]);
        run.wait_for_stderr("a classic Linkerd sidecar closes all its ports at SIGTERM");
        let told = Instant::now();
        run.signal(Signal::SIGTERM);
        linkerd.is_told_to_end();
        run.wait().expect_code(5);
        assert!(told.elapsed() >= Duration::from_millis(700), "{:?}", told.elapsed());
    });
}
