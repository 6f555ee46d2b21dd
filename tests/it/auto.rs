//! `--mesh auto`: every mesh is found by what listens on its real ports, in a network namespace of
//! the test's own.

use std::net::Ipv6Addr;

use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

/// Somebody listens on each of these ports, and has no page that anybody could want.
fn listening(ports: &[u16]) -> Vec<StandIn> {
    ports.iter().map(|port| StandIn::on_port(*port)).collect()
}

/// The application starts, and meshim has found this mesh.
fn starts_under(mesh: &str) {
    let ended = Meshim::starts(["echo", "started"]).with(["--timeout=10s"]).run().expect_code(0);
    let ended = ended.expect_stderr(&[&format!("mesh={mesh} "), "the proxy is ready"]);
    assert_eq!(ended.stdout, "started\n");
}

#[test]
fn istio_is_found_and_its_agent_has_the_last_word() {
    inside(|| {
        let _others = listening(&[15001, 15006, 15020, 15090]);
        let (admin, agent) = (StandIn::on_port(15000), StandIn::on_port(15021));
        admin.says("/ready", Reply::live());
        agent.script("/healthz/ready", [Reply::plain(503, ""), Reply::plain(200, "")]);
        starts_under("istio");
        assert_eq!((admin.count("/ready"), agent.count("/healthz/ready")), (1, 2));
    });
}

#[test]
fn linkerd_is_found() {
    inside(|| {
        let _others = listening(&[4140, 4143, 4190]);
        let admin = StandIn::on_port(4191);
        admin.script("/ready", [Reply::plain(503, "not ready\n"), Reply::plain(200, "ready\n")]);
        starts_under("linkerd");
        assert_eq!(admin.count("/ready"), 2);
    });
}

#[test]
fn consul_is_found() {
    inside(|| {
        let _others = listening(&[20000, 20600]);
        let admin = StandIn::on_port(19000);
        admin.script("/ready", [Reply::not_ready("INITIALIZING"), Reply::live()]);
        starts_under("consul");
    });
}

#[test]
fn kuma_is_found_by_its_readiness_reporter() {
    inside(|| {
        let _others = listening(&[15001, 15006]);
        let reporter = StandIn::on_port(9902);
        reporter.script("/ready", [Reply::plain(503, "NOT_READY"), Reply::plain(200, "READY")]);
        starts_under("kuma");
        assert_eq!(reporter.count("/ready"), 2);
    });
}

#[test]
fn kuma_before_2_14_is_found_by_its_admin_api() {
    inside(|| {
        let _others = listening(&[15001, 15006]);
        let admin = StandIn::on_port(9901);
        admin.script("/ready", [Reply::not_ready("INITIALIZING"), Reply::live()]);
        starts_under("kuma");
        assert_eq!(admin.count("/ready"), 2);
    });
}

#[test]
fn app_mesh_is_found_and_its_traffic_port_is_left_alone() {
    inside(|| {
        let traffic = StandIn::on_port(15000);
        let _egress = listening(&[15001]);
        let admin = StandIn::on_port(9901);
        admin.script("/ready", [Reply::not_ready("INITIALIZING"), Reply::live()]);
        starts_under("appmesh");
        assert_eq!(traffic.connections(), 0);
    });
}

#[test]
fn osm_is_found() {
    inside(|| {
        let _others = listening(&[15001, 15003, 15010, 15901]);
        let admin = StandIn::on_port(15000);
        admin.script("/ready", [Reply::not_ready("INITIALIZING"), Reply::live()]);
        starts_under("osm");
    });
}

#[test]
fn a_plain_envoy_is_found_also_where_only_ipv6_loopback_has_it() {
    inside(|| {
        let admin = StandIn::late_at((Ipv6Addr::LOCALHOST, 9901).into()).opened();
        admin.script("/ready", [Reply::not_ready("INITIALIZING"), Reply::live()]);
        starts_under("envoy");
        drop(admin);
        let admin = StandIn::on_port(9901);
        admin.says("/ready", Reply::live());
        starts_under("envoy");
    });
}

#[test]
fn in_an_ambient_mesh_there_is_nothing_to_wait_for() {
    inside(|| {
        let _ztunnel = listening(&[15001, 15006, 15008, 15053]);
        let ended = Meshim::starts(["echo", "started"]).run().expect_code(0);
        assert_eq!(ended.expect_stderr(&["this pod is in an ambient mesh"]).stdout, "started\n");
    });
}

#[test]
fn without_any_proxy_the_pod_is_waited_for_unless_absence_is_allowed() {
    inside(|| {
        let ended = Meshim::starts(["true"]).with(["--timeout=200ms"]).run().expect_code(124);
        ended.expect_stderr(&[
            "no mesh's proxy listens in this pod: is a sidecar injected",
            "--absent-after",
        ]);
        let ended = Meshim::starts(["true"]).with(["--absent-after=100ms"]).run().expect_code(0);
        ended.expect_stderr(&["no proxy has shown up within"]);
        let ended = Meshim::starts(["true"]).with(["--mesh=none"]).run().expect_code(0);
        assert_eq!(ended.stderr, "");
    });
}

#[test]
fn a_sidecar_that_starts_after_us_is_found_when_it_listens() {
    inside(|| {
        let run = Meshim::starts(["true"]).with(["--absent-after=30s"]).spawn();
        // Long after the first look, which shows nothing.
        let (admin, agent) = (StandIn::on_port(15000), StandIn::on_port(15021));
        admin.says("/ready", Reply::not_ready("PRE_INITIALIZING"));
        run.wait_for_stderr("mesh=istio");
        admin.wait_for_requests("/ready", 3);
        agent.says("/healthz/ready", Reply::plain(200, ""));
        admin.says("/ready", Reply::live());
        run.wait().expect_code(0);
    });
}

#[test]
fn a_stranger_that_never_says_no_does_not_hide_a_sidecar_that_comes_later() {
    inside(|| {
        let stranger = StandIn::on_port(9901);
        stranger.says("/ready", Reply::plain(503, "starting"));
        let run = Meshim::starts(["true"]).spawn();
        run.wait_for_stderr("waiting for the proxy mesh=envoy");
        let (agent, admin) = (StandIn::on_port(15021), StandIn::on_port(15000));
        agent.says("/healthz/ready", Reply::plain(200, ""));
        admin.says("/ready", Reply::live());
        run.wait().expect_code(0).expect_stderr(&["the proxy is ready mesh=istio"]);
    });
}

#[test]
fn somebody_elses_server_on_9901_is_passed_over_and_the_sidecar_found_later() {
    inside(|| {
        let stranger = StandIn::on_port(9901);
        stranger.says("/ready", Reply::plain(404, "").header("server", "gunicorn"));
        let run = Meshim::starts(["true"]).spawn();
        run.wait_for_stderr("that is not the envoy proxy, looking for another");
        // The agent first: 9901 and 15000 without it would be taken for App Mesh for a moment.
        let (agent, admin) = (StandIn::on_port(15021), StandIn::on_port(15000));
        agent.says("/healthz/ready", Reply::plain(200, ""));
        admin.says("/ready", Reply::live());
        run.wait()
            .expect_code(0)
            .expect_stderr(&["404 from a server that calls itself `gunicorn`", "mesh=istio"]);
        assert_eq!(stranger.count("/ready"), 1);
    });
}

#[test]
fn a_stranger_alone_is_named_when_the_time_is_over() {
    inside(|| {
        let stranger = StandIn::on_port(9901);
        stranger.says("/ready", Reply::plain(200, "<html>"));
        let ended = Meshim::starts(["true"]).with(["--timeout=300ms"]).run().expect_code(124);
        ended.expect_stderr(&[
            "the envoy proxy's port was tried and answered 200 from a server that is not the proxy",
        ]);
    });
}
