//! Waiting for one proxy whose address is given.

use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

#[test]
fn the_application_starts_once_a_late_proxy_is_ready() {
    let mut proxy = StandIn::late();
    proxy.says("/ready", Reply::not_ready("PRE_INITIALIZING"));
    let run = Meshim::starts(["echo", "hello"]).with(["--admin-url", &proxy.url()]).spawn();
    run.wait_for_stderr("waiting for the proxy mesh=envoy");
    proxy.open();
    proxy.wait_for_requests("/ready", 3);
    assert!(!run.has_ended());
    proxy.says("/ready", Reply::live());
    let ended = run.wait().expect_code(0).expect_stderr(&["the proxy is ready"]);
    assert_eq!(ended.stdout, "hello\n");
}

#[test]
fn a_proxy_that_is_not_ready_in_time_is_124() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let ended = Meshim::starts(["echo", "never"]).with(["--admin-url", &proxy.url(), "--timeout=300ms"]).run();
    let ended = ended.expect_code(124).expect_stderr(&["503 INITIALIZING", "is its xDS server reachable"]);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_proxy_on_its_real_port_is_found() {
    inside(|| {
        let proxy = StandIn::on_port(9901);
        proxy.says("/ready", Reply::live());
        Meshim::starts(["true"]).run().expect_code(0).expect_stderr(&["mesh=envoy"]);
    });
}

#[test]
fn a_stop_signal_ends_the_wait_also_as_pid_one() {
    let proxy = StandIn::late();
    let run = Meshim::starts(["true"]).with(["--admin-url", &proxy.url()]).being_pid_one().spawn();
    run.wait_for_stderr("waiting for the proxy");
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.wait().expect_code(143).expect_stderr(&["ended by SIGTERM"]);
}
