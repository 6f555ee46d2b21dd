//! `--mesh auto`: every mesh is found by what listens on its real ports, in a network namespace of
//! the test's own.

use std::net::Ipv6Addr;

use crate::support::meshes::recorded;
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
        agent.script("/healthz/ready", [Reply::envoy(503, ""), Reply::envoy(200, "")]);
        starts_under("istio");
        assert_eq!((admin.count("/ready"), agent.count("/healthz/ready")), (1, 2));
    });
}

#[test]
fn kuma_before_2_14_is_found_by_its_admin_api() {
    inside(|| {
        let _others = listening(&[15001, 15006]);
        let admin = StandIn::on_port(9901);
        admin.script("/ready", [recorded!("envoy-initializing"), recorded!("envoy-live")]);
        starts_under("kuma");
        assert_eq!(admin.count("/ready"), 2);
    });
}

#[test]
fn retired_meshes_are_waited_for_by_name() {
    inside(|| {
        let traffic = StandIn::on_port(15000);
        let admin = StandIn::on_port(9901);
        admin.says("/ready", Reply::live());
        let run = Meshim::starts(["true"]).with(["--mesh=appmesh"]).run().expect_code(0);
        run.expect_stderr(&["the proxy is ready mesh=appmesh"]);
        assert_eq!(traffic.connections(), 0);
        traffic.says("/ready", Reply::live());
        let run = Meshim::starts(["true"]).with(["--mesh=osm"]).run().expect_code(0);
        run.expect_stderr(&["the proxy is ready mesh=osm"]);
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
        assert!(!ended.stderr.contains("waiting"), "{ended:#?}");
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
