//! `--mesh auto`: every mesh is found by what listens on its real ports, in a network namespace of
//! the test's own.

use std::net::{Ipv4Addr, Ipv6Addr};

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

/// An answer of a real proxy.
macro_rules! recorded {
    ($file:literal) => {
        Reply::recorded(include_bytes!(concat!("../fixtures/meshes/", $file, ".http")))
    };
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
fn linkerd_is_found() {
    inside(|| {
        let _others = listening(&[4140, 4143]);
        let admin = StandIn::on_port(4191);
        admin.script("/ready", [recorded!("linkerd-not-ready"), recorded!("linkerd-ready")]);
        starts_under("linkerd");
        assert_eq!(admin.count("/ready"), 2);
    });
}

/// `defaultInboundPolicy: deny`: each path is 404 until the policy controller has answered.
#[test]
fn a_linkerd_proxy_that_withholds_everything_at_first_is_waited_for() {
    inside(|| {
        let _others = listening(&[4140, 4143]);
        let admin = StandIn::on_port(4191);
        admin.says("/ready", recorded!("linkerd-policy-deny"));
        let run = Meshim::starts(["true"]).with(["--absent-after=100ms"]).spawn();
        admin.wait_for_requests("/ready", 50);
        assert!(!run.has_ended());
        admin.script("/ready", [recorded!("linkerd-not-ready"), recorded!("linkerd-ready")]);
        run.wait().expect_code(0).expect_stderr(&["the proxy is ready mesh=linkerd"]);
        let ended = |seconds: &str| {
            admin.says("/ready", recorded!("linkerd-policy-deny"));
            Meshim::starts(["true"]).with([seconds]).run()
        };
        ended("--timeout=300ms")
            .expect_code(124)
            .expect_stderr(&["/ready: 404 without a body", "until its inbound policy has arrived"]);
    });
}

/// Told to end before it had an identity, it closes 4191 alone.
#[test]
fn a_linkerd_proxy_that_hangs_is_no_pod_without_a_mesh() {
    inside(|| {
        let _others = listening(&[4140, 4143]);
        let options = ["--absent-after=100ms", "--timeout=300ms"];
        let ended = Meshim::starts(["true"]).with(options).run().expect_code(124);
        ended.expect_stderr(&["the linkerd proxy was not ready", "4191/ready: connection refused"]);
    });
}

/// 20000 comes with the first configuration only.
#[test]
fn consul_is_found_before_its_first_configuration() {
    inside(|| {
        let _lifecycle = listening(&[20600]);
        let admin = StandIn::on_port(19000);
        admin.says("/ready", recorded!("envoy-pre-initializing"));
        let run = Meshim::starts(["true"]).with(["--absent-after=100ms"]).spawn();
        run.wait_for_stderr("waiting for the proxy mesh=consul");
        admin.wait_for_requests("/ready", 20);
        assert!(!run.has_ended());
        let _public = listening(&[20000]);
        admin.script("/ready", [recorded!("envoy-initializing"), recorded!("envoy-live")]);
        run.wait().expect_code(0).expect_stderr(&["the proxy is ready mesh=consul"]);
    });
}

#[test]
fn kuma_is_found_and_envoys_own_word_counts() {
    inside(|| {
        let reporter = StandIn::on_port(9902);
        let said = [
            recorded!("kuma-tcp-not-ready"),
            recorded!("kuma-unix-envoy-not-ready"),
            recorded!("kuma-unix-pre-initializing"),
            recorded!("kuma-unix-initializing"),
            recorded!("kuma-unix-live"),
        ];
        reporter.script("/ready", said);
        starts_under("kuma");
        assert_eq!(reporter.count("/ready"), 5);
    });
}

/// Up to 2.13 the agent says READY before it has even started Envoy.
#[test]
fn kumas_agent_is_not_its_envoy() {
    inside(|| {
        let reporter = StandIn::on_port(9902);
        reporter.says("/ready", recorded!("kuma-tcp-ready"));
        let mut admin = StandIn::late_at((Ipv4Addr::LOCALHOST, 9901).into());
        admin.says("/ready", recorded!("envoy-initializing"));
        let run = Meshim::starts(["echo", "started"]).spawn();
        reporter.wait_for_requests("/ready", 20);
        assert!(!run.has_ended());
        admin.open();
        admin.wait_for_requests("/ready", 20);
        assert!(!run.has_ended());
        admin.says("/ready", recorded!("envoy-live"));
        run.wait().expect_code(0).expect_stderr(&["the proxy is ready mesh=kuma"]);
        admin.says("/ready", recorded!("envoy-initializing"));
        let ended = Meshim::starts(["true"]).with(["--timeout=300ms"]).run().expect_code(124);
        ended.expect_stderr(&["9902/ready: 200 READY, which the proxy's agent says"]);
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
