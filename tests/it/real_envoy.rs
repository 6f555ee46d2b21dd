//! Waiting for a real Envoy, of the version that `MESHIM_TEST_ENVOY` names.

use serde_json::json;

use super::load::{Application, free_port, inbound_listener};
use crate::support::directory::Directory;
use crate::support::envoy::{self, Bootstrap, Envoy, cluster_to};
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::shared::poll;
use crate::support::xds::LateXds;

#[test]
fn an_envoy_whose_control_plane_is_late_is_followed_until_it_is_live() {
    let xds = LateXds::new();
    let envoy = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0).following(xds.port()));
    let run = Meshim::starts(["echo", "started"])
        .with(["--admin-url", &envoy.admin_url(), "--log=debug"])
        .spawn();
    xds.wait_until_asked();
    run.wait_for_stderr("503 PRE_INITIALIZING");
    xds.release_clusters();
    run.wait_for_stderr("503 INITIALIZING");
    assert!(!run.has_ended());
    xds.release_listeners();
    let ended = run.wait().expect_code(0).expect_stderr(&["the proxy is ready mesh=envoy"]);
    assert_eq!(ended.stdout, "started\n");
}

/// Why the port of Istio's authority is watched, and not only the admin API: it is the first to
/// change.
#[test]
fn the_port_of_a_listener_is_closed_until_envoy_is_live_and_that_is_what_is_waited_for() {
    let (xds, application, port) = (LateXds::new(), Application::start(), free_port());
    let bootstrap =
        Bootstrap::with_admin("127.0.0.1", 0).cluster(cluster_to("app", application.port()));
    let envoy = Envoy::start(&bootstrap.listener(inbound_listener(port)).following(xds.port()));
    let ready = format!("http://127.0.0.1:{port}/");
    let run = Meshim::starts(["echo", "started"]).with([
        "--mesh=istio",
        "--admin-url",
        &envoy.admin_url(),
    ]);
    let run = run.with(["--ready-url", &ready, "--log=debug"]).spawn();
    let is_open = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    xds.wait_until_asked();
    run.wait_for_stderr("503 PRE_INITIALIZING");
    assert!(!is_open());
    xds.release_clusters();
    run.wait_for_stderr("503 INITIALIZING");
    assert!(!is_open() && !run.has_ended());
    xds.release_listeners();
    let ended = run.wait().expect_code(0);
    assert_eq!(ended.stdout, "started\n");
    assert!(is_open());
    // Most looks were at the closed port. Envoy counts this request, too.
    let (_, requests) = envoy.asks("GET", "/stats?filter=^http.admin.downstream_rq_total$");
    let number = |text: &str, before: &str| -> u32 {
        let digits = text.rsplit_once(before).expect("it counts").1.split_whitespace().next();
        digits.and_then(|digits| digits.parse().ok()).expect("a number")
    };
    let (looks, requests) = (number(&ended.stderr, "looks="), number(&requests, ": "));
    assert!(looks - requests > requests, "{looks} looks, {requests} requests: {ended:?}");
}

#[test]
fn its_admin_api_is_reached_over_ipv4_ipv6_and_a_unix_socket() {
    let directory = Directory::new();
    let socket = directory.join("admin.sock");
    let v4 = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0));
    let v6 = Envoy::start(&Bootstrap::with_admin("::1", 0));
    let _unix = Envoy::start(&Bootstrap::with_unix_admin(&socket));
    for url in [v4.admin_url(), v6.admin_url(), format!("unix:{}", socket.display())] {
        let ended =
            Meshim::starts(["echo", "started"]).with(["--admin-url", &url]).run().expect_code(0);
        assert_eq!(ended.expect_stderr(&[&url]).stdout, "started\n");
    }
}

#[test]
fn its_server_info_is_honoured_as_the_authority_and_asked_for_once() {
    let directory = Directory::new();
    let access_log = directory.join("access.log");
    let xds = LateXds::new();
    let mut bootstrap = Bootstrap::with_admin("127.0.0.1", 0).following(xds.port());
    bootstrap.0["admin"]["access_log"] = json!([{
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": access_log,
            "log_format": { "text_format_source": { "inline_string": "%REQ(:PATH)%\n" } },
        },
    }]);
    let envoy = Envoy::start(&bootstrap);
    let url = format!("{}/server_info", envoy.admin_url());
    let run = Meshim::starts(["true"]).with(["--ready-url", &url, "--log=debug"]).spawn();
    run.wait_for_stderr("503 PRE_INITIALIZING");
    xds.release_clusters();
    run.wait_for_stderr("503 INITIALIZING");
    xds.release_listeners();
    run.wait().expect_code(0);
    let asked =
        || std::fs::read_to_string(&access_log).ok().filter(|log| log.contains("/server_info"));
    let asked = poll(asked).expect("Envoy writes its access log");
    assert_eq!(asked.matches("/server_info").count(), 1, "{asked}");
    assert!(asked.matches("/ready").count() > 2, "{asked}");
}

#[test]
fn a_locked_admin_api_is_told_apart_from_one_that_is_not_ready() {
    let bootstrap = Bootstrap::with_admin("127.0.0.1", 0).allowing_paths(&["/stats"]);
    let envoy = Envoy::start(&bootstrap);
    if envoy::minor_version() < 37 {
        // allow_paths came with 1.37. An older one refuses it, which shows that there is nothing to
        // test.
        let log = poll(|| Some(envoy.log()).filter(|log| log.contains("allow_paths")));
        assert!(log.is_some(), "{}", envoy.log());
        return;
    }
    let url = envoy.admin_url();
    let ended = Meshim::starts(["true"])
        .with(["--admin-url", &url, "--timeout=300ms"])
        .run()
        .expect_code(124);
    ended.expect_stderr(&[
        "/ready: 403, this path is locked",
        "add this one to its admin allow_paths",
    ]);
    let ready = format!("{url}/stats");
    Meshim::starts(["true"]).with(["--ready-url", &ready]).run().expect_code(0);
}

#[test]
fn an_envoy_that_is_killed_and_started_again_is_waited_for_again() {
    envoy::binary();
    inside(|| {
        let xds = LateXds::new();
        let bootstrap = Bootstrap::with_admin("127.0.0.1", 9901);
        let first = Envoy::start(&bootstrap.clone().following(xds.port()));
        let run = Meshim::starts(["echo", "started"]).with(["--log=debug"]).spawn();
        run.wait_for_stderr("503 PRE_INITIALIZING");
        drop(first);
        run.wait_for_stderr("connection refused");
        assert!(!run.has_ended());
        let _second = Envoy::start(&bootstrap);
        assert_eq!(run.wait().expect_code(0).stdout, "started\n");
    });
}

#[test]
fn a_timeout_says_what_envoy_still_waits_for() {
    let xds = LateXds::new();
    let manager = json!({
        "@type": envoy::HTTP_MANAGER,
        "stat_prefix": "inbound",
        "rds": { "route_config_name": "inbound|8080||", "config_source": envoy::rest_source() },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": envoy::ROUTER },
        }],
    });
    let listener = json!({
        "name": "inbound",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
    });
    let routes = Envoy::start(
        &Bootstrap::with_admin("127.0.0.1", 0).following(xds.port()).listener(listener),
    );
    let listeners = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0).following(xds.port()));
    xds.release_clusters();
    // Of what it has not heard of yet, Envoy's init_dump says nothing.
    let table = [
        (routes, "RDS init inbound|8080||: is its xDS server"),
        (listeners, "its first configuration: is its xDS"),
    ];
    for (envoy, target) in table {
        let initializing = || (envoy.asks("GET", "/ready").1 == "INITIALIZING\n").then_some(());
        assert!(poll(initializing).is_some(), "{}", envoy.log());
        let options = ["--admin-url", &envoy.admin_url(), "--timeout=300ms"];
        let ended = Meshim::does("wait").with(options).run().expect_code(1);
        ended.expect_stderr(&["Envoy is INITIALIZING and waits for ", target]);
    }
}

#[test]
fn an_envoy_that_was_told_to_fail_is_draining() {
    let envoy = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0));
    let url = envoy.admin_url();
    Meshim::does("wait").with(["--admin-url", &url]).run().expect_code(0);
    assert_eq!(envoy.asks("POST", "/healthcheck/fail"), (200, "OK\n".to_owned()));
    assert_eq!(envoy.asks("GET", "/ready"), (503, "DRAINING\n".to_owned()));
    let ended =
        Meshim::does("wait").with(["--admin-url", &url, "--timeout=100ms"]).run().expect_code(1);
    ended.expect_stderr(&["503 DRAINING", "did somebody POST /healthcheck/fail?"]);
}
