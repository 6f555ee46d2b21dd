//! Beside consul-dataplane.

use nix::sys::signal::Signal;

use super::{quit, serving, started_under};
use crate::support::meshes::Phase;
use crate::support::meshes::consul::Consul;
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;

const QUIT: &str = "/quitquitquit";

/// 20000 comes with the first configuration only.
#[test]
fn consul_is_found_before_its_first_configuration_and_waited_for() {
    inside(|| {
        let mut consul = Consul::start();
        consul.has_a_server();
        // Not only once absence would be the other choice.
        let wait = Meshim::does("wait").with(["--timeout=10s"]).spawn();
        wait.wait_for_stderr("waiting for the proxy mesh=consul");
        let run = Meshim::starts(["true"]).with(["--absent-after=100ms"]).spawn();
        run.wait_for_stderr("waiting for the proxy mesh=consul");
        consul.admin.wait_for_requests("/ready", 20);
        consul.is(Phase::Initializing);
        consul.admin.wait_for_requests("/ready", consul.admin.count("/ready") + 5);
        assert!(!run.has_ended());
        consul.is(Phase::Live);
        started_under("consul", run);
    });
}

/// Named, it is waited for before a server has answered: no port shows it then.
#[test]
fn consul_by_name_is_waited_for_before_its_first_port() {
    inside(|| {
        let mut consul = Consul::start();
        let run = Meshim::starts(["true"]).with(["--mesh=consul"]).spawn();
        run.wait_for_stderr("waiting for the proxy mesh=consul");
        assert!(!run.has_ended());
        consul.has_a_server();
        consul.admin.wait_for_requests("/ready", 5);
        assert!(!run.has_ended());
        consul.is(Phase::Live);
        started_under("consul", run);
        // It says 200 also while nothing is ready.
        assert_eq!(consul.lifecycle.count("/graceful_startup"), 0);
    });
}

/// `/graceful_shutdown` would cost a Job the 30 s of its grace period, and a GET is enough for it.
#[test]
fn consuls_envoy_is_asked_to_end_and_its_lifecycle_server_never_touched() {
    inside(|| {
        let mut consul = Consul::live();
        let job = Meshim::starts(["sh", "-c", "exit 3"]).with(["--quit=always"]).run();
        job.expect_code(3).expect_stderr(&["the proxy was asked to end"]);
        quit().expect_code(0);
        assert_eq!((consul.admin.count(QUIT), consul.lifecycle.all_requests()), (2, 0));
        // Where Envoy's admin API is gone, it is all that is left.
        consul.admin.close();
        Meshim::does("quit").with(["--mesh=consul"]).run().expect_code(0);
        assert_eq!(consul.lifecycle.count("/graceful_shutdown"), 1);
    });
}

#[test]
fn consuls_envoy_is_told_to_drain_as_consul_itself_would() {
    inside(|| {
        let consul = Consul::live();
        let run = serving(&["--drain", "--drain-min=50ms"]);
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(5);
        let told = consul.admin.requests("/drain_listeners");
        let targets: Vec<&str> = told.iter().map(|request| request.target.as_str()).collect();
        assert_eq!(targets, ["/drain_listeners?inboundonly&graceful&skip_exit"]);
        assert_eq!(consul.lifecycle.all_requests(), 0);
    });
}
