//! Servers that are no proxy, ports without an answer, and what else says whether a pod is in a
//! mesh.

use std::net::{Ipv4Addr, Ipv6Addr};

use nix::sys::signal::Signal;

use crate::support::meshim::Meshim;
use crate::support::namespace::{give_loopback, inside};
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

#[test]
fn a_stranger_that_never_says_no_does_not_hide_a_sidecar_that_comes_later() {
    inside(|| {
        let stranger = StandIn::on_port(9901);
        // As a real Envoy of a neighbour: until Istio shows up, nothing tells it from a mesh's.
        stranger.says("/ready", Reply::not_ready("INITIALIZING"));
        let run = Meshim::starts(["true"]).spawn();
        run.wait_for_stderr("waiting for the proxy mesh=envoy");
        let (agent, admin) = (StandIn::on_port(15021), StandIn::on_port(15000));
        agent.says("/healthz/ready", Reply::envoy(200, ""));
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
        let (agent, admin) = (StandIn::on_port(15021), StandIn::on_port(15000));
        agent.says("/healthz/ready", Reply::envoy(200, ""));
        admin.says("/ready", Reply::live());
        run.wait()
            .expect_code(0)
            .expect_stderr(&["404 from a server that calls itself `gunicorn`", "mesh=istio"]);
        assert!(stranger.count("/ready") < 5, "asked again once a second");
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

/// A bare 200 on one port is no proxy, whatever the port.
#[test]
fn a_neighbour_that_answers_everything_with_200_is_not_the_proxy() {
    inside(|| {
        let neighbour = StandIn::on_port(9902);
        neighbour.says("/ready", Reply::plain(200, "ok"));
        let run = Meshim::starts(["true"]).spawn();
        run.wait_for_stderr("that is not the kuma proxy");
        assert!(!run.has_ended());
        let (_agent, admin, ready) =
            (StandIn::on_port(15020), StandIn::on_port(15000), StandIn::on_port(15021));
        admin.says("/ready", Reply::live());
        ready.says("/healthz/ready", Reply::envoy(200, ""));
        run.wait().expect_code(0).expect_stderr(&["the proxy is ready mesh=istio"]);
    });
}

#[test]
fn a_neighbour_does_not_keep_a_pod_without_a_mesh_from_starting() {
    inside(|| {
        for (port, reply) in [
            (9901, Reply::plain(403, "Forbidden")),
            (9902, Reply::plain(503, "starting")),
            (9902, Reply::Garbage),
            (9901, Reply::Hangup),
        ] {
            let neighbour = StandIn::on_port(port);
            neighbour.says("/ready", reply);
            let ended =
                Meshim::starts(["true"]).with(["--absent-after=1500ms"]).run().expect_code(0);
            ended.expect_stderr(&["no proxy has shown up within 1.5"]);
        }
    });
}

#[test]
fn the_agents_port_alone_means_that_somebody_is_there() {
    inside(|| {
        let agent = StandIn::on_port(15020);
        for options in [&["--timeout=1300ms"][..], &["--timeout=1300ms", "--mesh=istio"]] {
            let run = Meshim::starts(["true"]).with(options.to_vec());
            let ended = run.with(["--absent-after=300ms"]).run().expect_code(124);
            ended.expect_stderr(&[
                "15021/healthz/ready: connection refused",
                "pilot-agent runs, and Envoy does not: look at istio-proxy's log",
            ]);
        }
        assert_eq!(agent.connections(), 0);
    });
}

#[test]
fn an_agent_whose_envoy_keeps_ending_is_remembered() {
    inside(|| {
        let mut agent = StandIn::on_port(15020);
        let options = ["--mesh=istio", "--timeout=3s", "--log=debug"];
        let run = Meshim::starts(["true"]).with(options).spawn();
        run.wait_for_stderr("pilot-agent runs");
        agent.close();
        run.wait().expect_code(124).expect_stderr(&[
            "pilot-agent was running and is gone, as where Envoy keeps ending",
            "istio-proxy",
        ]);
    });
}

/// All sockets are this user's here, and meshim sees them as 5678's.
#[test]
fn a_port_that_the_meshs_own_user_owns_is_the_meshs_whatever_it_answers() {
    inside(|| {
        let reporter = StandIn::on_port(9902);
        reporter.says("/ready", Reply::plain(404, ""));
        let as_kuma = ["unshare", "-U", "--map-user=5678"];
        let options = ["--absent-after=100ms", "--timeout=400ms", "--check=off"];
        let ended = Meshim::starts(["true"]).behind(as_kuma).with(options).run().expect_code(124);
        ended.expect_stderr(&["the kuma proxy was not ready", "404"]);
    });
}

/// Kuma's 9901 on the pod's address speaks mTLS with the control plane.
#[test]
fn an_admin_port_that_loopback_does_not_reach_is_none() {
    inside(|| {
        let pod = Ipv4Addr::new(10, 1, 2, 3);
        give_loopback(pod);
        let listener = StandIn::late_at((pod, 9901).into()).opened();
        let ended = Meshim::starts(["true"]).with(["--absent-after=200ms"]).run().expect_code(0);
        ended.expect_stderr(&["no proxy has shown up"]);
        assert_eq!(listener.connections(), 0);
    });
}

/// This host answers at 192.0.2.1, as it does where iptables redirect what goes out.
#[test]
fn a_pod_whose_traffic_is_redirected_is_waited_for_though_nobody_listens() {
    inside(|| {
        let absent = ["--absent-after=200ms", "--timeout=700ms"];
        Meshim::starts(["true"]).with(absent).run().expect_code(0);
        give_loopback(Ipv4Addr::new(192, 0, 2, 1));
        let ended = Meshim::starts(["true"]).with(absent).run().expect_code(124);
        ended.expect_stderr(&[
            "this pod's traffic is redirected to a proxy: waiting on",
            "its traffic is redirected to one (a connection to an address that nobody has was",
        ]);
        // Whoever knows better is not asked to prove it.
        Meshim::starts(["true"]).with(absent).with(["--mesh=istio"]).run().expect_code(0);
        Meshim::starts(["true"]).env("MESHIM_INJECTED", "").run().expect_code(0);
    });
}

/// In a pod that has no IPv4, its mesh's rules are those of ip6tables.
#[test]
fn a_pod_of_ipv6_alone_is_asked_by_ipv6() {
    inside(|| {
        let absent = ["--absent-after=200ms", "--timeout=700ms"];
        Meshim::starts(["true"]).with(absent).run().expect_code(0);
        give_loopback(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        let ended = Meshim::starts(["true"]).with(absent).run().expect_code(124);
        ended.expect_stderr(&["this pod's traffic is redirected to a proxy: waiting on"]);
    });
}

#[test]
fn the_injectors_annotation_says_for_certain_whether_there_is_a_sidecar() {
    inside(|| {
        let injected = |value: &str| Meshim::starts(["true"]).env("MESHIM_INJECTED", value);
        let ended = injected("").run().expect_code(0);
        ended.expect_stderr(&["MESHIM_INJECTED is empty, so this pod has no sidecar"]);
        let options = ["--absent-after=100ms", "--timeout=400ms"];
        let ended =
            injected("{\"containers\":[\"istio-proxy\"]}").with(options).run().expect_code(124);
        let ended = ended.expect_stderr(&["although MESHIM_INJECTED says that it has a sidecar"]);
        assert!(!ended.stderr.contains("--absent-after"), "{ended:#?}");
        for hand_written in ["false", "0"] {
            let ended = injected(hand_written).run().expect_code(125);
            ended.expect_stderr(&["MESHIM_INJECTED: `", "MESHIM_MESH=none"]);
        }
        let ended = injected("").with(["--mesh=istio", "--timeout=200ms"]).run().expect_code(124);
        ended.expect_stderr(&["MESHIM_INJECTED is not heard, since the mesh is named"]);
        injected("x").with(["--mesh=none"]).run().expect_code(0);
    });
}

#[test]
fn an_admin_url_moves_the_admin_api_and_leaves_the_mesh() {
    inside(|| {
        let (admin, agent, ready) =
            (StandIn::on_port(15000), StandIn::on_port(15020), StandIn::on_port(15021));
        admin.says("/ready", Reply::live());
        ready.says("/healthz/ready", Reply::envoy(503, ""));
        let run = Meshim::starts(["true"])
            .with(["--admin-url=http://127.0.0.1:15000", "--quit=always"])
            .spawn();
        run.wait_for_stderr("waiting for the proxy mesh=istio");
        ready.wait_for_requests("/healthz/ready", 2);
        assert!(!run.has_ended());
        ready.says("/healthz/ready", Reply::envoy(200, ""));
        agent.says("/quitquitquit", Reply::plain(200, "OK"));
        run.wait().expect_code(0).expect_stderr(&["the proxy is ready mesh=istio"]);
        assert_eq!(agent.count("/quitquitquit"), 1);
        // Its reserved user is refused there, too.
        let ended = Meshim::starts(["true"])
            .behind(["unshare", "-U", "--map-user=1337"])
            .with(["--admin-url=http://127.0.0.1:15000"])
            .run()
            .expect_code(125);
        ended.expect_stderr(&["user id 1337", "bypasses the mesh"]);
    });
}

#[test]
fn a_stop_signal_ends_the_search_at_once() {
    inside(|| {
        let run = Meshim::starts(["true"]).with(["--absent-after=30s"]).spawn();
        run.wait_for_stderr("waiting for a proxy to show up");
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(143).expect_stderr(&["for a proxy: no mesh's proxy listens"]);
    });
}

/// They change something: a port alone is not enough for them.
#[test]
fn quit_and_drain_send_nothing_to_a_stranger_on_a_proxys_port() {
    inside(|| {
        let stranger = StandIn::on_port(9901);
        stranger.says("/ready", Reply::plain(200, "ok"));
        stranger.says("/quitquitquit", Reply::plain(200, ""));
        stranger.says("/drain_listeners", Reply::plain(200, ""));
        let ended = Meshim::does("quit").run().expect_code(0);
        ended.expect_stderr(&["that is not the envoy proxy"]);
        Meshim::does("drain").with(["--drain-min=0", "--drain-max=100ms"]).run().expect_code(0);
        let options = ["--quit=always", "--absent-after=100ms"];
        Meshim::starts(["true"]).with(options).run().expect_code(0);
        let missing = Meshim::starts(["/no/such/command"]).with(options);
        missing.run().expect_code(127);
        assert_eq!((stranger.count("/quitquitquit"), stranger.count("/drain_listeners")), (0, 0));
        // The same port, and a real Envoy's word.
        stranger.says("/ready", Reply::live());
        Meshim::does("quit").run().expect_code(0);
        assert_eq!(stranger.count("/quitquitquit"), 1);
    });
}

#[test]
fn an_admin_url_moves_the_admin_api_for_quit_too() {
    inside(|| {
        let (admin, agent) = (StandIn::on_port(15000), StandIn::on_port(15020));
        admin.says("/ready", Reply::live());
        agent.says("/quitquitquit", Reply::plain(200, "OK"));
        let ended = Meshim::does("quit").with(["--admin-url=http://127.0.0.1:15000"]).run();
        ended.expect_code(0);
        assert_eq!((agent.count("/quitquitquit"), admin.count("/quitquitquit")), (1, 0));
    });
}
