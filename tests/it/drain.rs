//! Draining: against a scripted proxy, which shows when what is asked, and against a real Envoy.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::envoy::{Bootstrap, Envoy, cluster_to};
use crate::support::meshim::{Meshim, Running};
use crate::support::namespace::inside;
use crate::support::reply::Reply;
use crate::support::shared::poll;
use crate::support::standin::StandIn;

const DRAIN: &str = "/drain_listeners?inboundonly&graceful&skip_exit";
const TERM_SAYER: [&str; 3] =
    ["sh", "-c", "trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.02; done"];

fn busy(requests: u64) -> Reply {
    Reply::envoy(
        200,
        format!(
            "http.in.downstream_rq_active: {requests}\nhttp.in.downstream_rq_total: \
             9\nserver.state: 0\n"
        ),
    )
}

fn server_info(metadata: &serde_json::Value) -> Reply {
    let options = json!({ "drain_time": "45s", "drain_strategy": "Immediate" });
    let info = json!({ "version": "0/1.40.0/Clean", "state": "LIVE", "command_line_options": options,
        "node": { "metadata": metadata } });
    Reply::envoy(200, info.to_string())
}

/// A proxy that is ready, drains, and has `requests` in flight.
fn proxy(requests: u64) -> StandIn {
    let proxy = StandIn::new();
    proxy
        .says("/ready", Reply::live())
        .says(DRAIN, Reply::envoy(200, "OK\n"))
        .says("/stats", busy(requests));
    proxy.says("/server_info", server_info(&json!({})));
    proxy
}

fn draining(proxy: &StandIn, options: &[&str]) -> Running {
    let run = Meshim::starts(TERM_SAYER)
        .with(["--admin-url", &proxy.url(), "--drain"])
        .with(options.to_vec())
        .spawn();
    run.wait_for_stdout("ready");
    run
}

#[test]
fn the_stop_signal_waits_until_the_last_request_has_ended() {
    let proxy = proxy(3);
    let run = draining(&proxy, &["--drain-min=50ms", "--drain-max=20s"]);
    assert_eq!(proxy.count(DRAIN), 0);
    run.signal(Signal::SIGTERM);
    proxy.wait_for_requests("/stats", 10);
    assert_eq!(
        proxy.requests(DRAIN).iter().map(|request| request.method.as_str()).collect::<Vec<_>>(),
        ["POST"]
    );
    assert!(!run.has_ended());
    proxy.says("/stats", busy(0));
    let ended = run
        .wait()
        .expect_code(5)
        .expect_stderr(&["draining min=50ms max=20s", "no request is in flight"]);
    assert_eq!(ended.stdout, "ready\nterm\n");
}

#[test]
fn other_signals_go_through_while_draining() {
    let proxy = proxy(3);
    let script = "trap 'echo hup' HUP; trap 'echo term; exit 5' TERM; echo ready; while :; do \
                  sleep 0.02; done";
    let run =
        Meshim::starts(["sh", "-c", script]).with(["--admin-url", &proxy.url(), "--drain"]).spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    proxy.wait_for_requests(DRAIN, 1);
    run.signal(Signal::SIGHUP);
    run.wait_for_stdout("hup");
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(5);
}

#[test]
fn a_second_term_cuts_the_drain_short() {
    let proxy = proxy(3);
    let run = draining(&proxy, &["--drain-min=1h", "--drain-max=2h", "--grace=3h"]);
    run.signal(Signal::SIGTERM);
    proxy.wait_for_requests("/stats", 1);
    run.signal(Signal::SIGTERM);
    assert_eq!(run.wait().expect_code(5).stdout, "ready\nterm\n");
}

#[test]
fn what_never_ends_is_cut_at_the_longest_time() {
    let proxy = proxy(3);
    let run = draining(&proxy, &["--drain-min=0", "--drain-max=300ms"]);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(5).expect_stderr(&["draining is out of time", "left=3"]);
}

#[test]
fn an_application_that_dies_while_draining_is_over_with_its_own_code() {
    let proxy = proxy(3);
    let command = ["sh", "-c", "trap 'exit 9' HUP; echo ready; while :; do sleep 0.02; done"];
    let run = Meshim::starts(command).with(["--admin-url", &proxy.url(), "--drain"]).spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    proxy.wait_for_requests(DRAIN, 1);
    run.signal(Signal::SIGHUP);
    run.wait().expect_code(9);
}

#[test]
fn a_proxy_that_vanishes_ends_the_drain_at_once() {
    let mut proxy = proxy(3);
    let run = draining(&proxy, &["--drain-min=1h", "--drain-max=2h", "--grace=3h"]);
    run.signal(Signal::SIGTERM);
    proxy.wait_for_requests("/stats", 1);
    proxy.close();
    run.wait().expect_code(5).expect_stderr(&["the proxy is gone"]);
    let mut gone = self::proxy(3);
    let run = draining(&gone, &["--drain-min=1h", "--drain-max=2h", "--grace=3h"]);
    gone.close();
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(5).expect_stderr(&["no proxy left to drain"]);
}

#[test]
fn a_proxy_that_turns_draining_by_itself_is_not_told_again_nor_given_the_shortest_time() {
    let proxy = proxy(0);
    let run = draining(&proxy, &["--drain-min=1h", "--drain-max=2h", "--grace=3h"]);
    proxy.says("/ready", Reply::not_ready("DRAINING"));
    proxy.says("/stats", Reply::envoy(200, "http.in.downstream_rq_active: 0\nserver.state: 1\n"));
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(5);
    assert_eq!(proxy.count(DRAIN), 0);
}

#[test]
fn an_admin_api_that_stops_answering_leaves_the_sockets_to_look_at() {
    let proxy = proxy(1);
    let run = draining(&proxy, &["--drain-min=100ms", "--drain-max=20s", "--log=debug"]);
    for path in ["/stats", "/clusters"] {
        proxy.says(path, Reply::Garbage);
    }
    run.signal(Signal::SIGTERM);
    run.wait_for_stderr("source=Sockets");
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(5);
}

#[test]
fn an_admin_api_that_forbids_draining_is_told_with_its_remedy() {
    let proxy = proxy(0);
    proxy.says(DRAIN, Reply::envoy(403, "Forbidden"));
    let run = draining(&proxy, &["--drain-min=50ms"]);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(5).expect_stderr(&["allow_paths", "new requests may still come"]);
    Meshim::does("drain")
        .with(["--admin-url", &proxy.url(), "--drain-min=0"])
        .run()
        .expect_code(1)
        .expect_stderr(&["cannot be told to drain", "allow_paths"]);
}

#[test]
fn a_plan_that_does_not_fit_the_proxy_is_a_warning_at_the_start_with_the_annotation() {
    let proxy = proxy(1);
    proxy.says(
        "/server_info",
        server_info(&json!({ "ISTIO_VERSION": "1.24.0",
        "PROXY_CONFIG": { "terminationDrainDuration": "1s" }, "LABELS": { "secret": "label" } })),
    );
    let run = draining(&proxy, &["--log=debug"]);
    let said = run.wait_for_stderr("does not fit");
    assert!(
        said.contains(r#"proxy.istio.io/config: '{"terminationDrainDuration": "28s"}'"#),
        "{said}"
    );
    run.signal(Signal::SIGTERM);
    let ended =
        run.wait().expect_code(5).expect_stderr(&["draining min=800ms max=800ms", "out of time"]);
    assert_eq!(proxy.count("/server_info"), 1);
    assert!(!ended.stderr.contains("label"), "{}", ended.stderr);
}

#[test]
fn an_application_under_a_proxy_without_an_admin_api_is_stopped_at_once() {
    let proxy = proxy(3);
    let ready = format!("{}/ready", proxy.url());
    let run = Meshim::starts(TERM_SAYER).with(["--ready-url", &ready, "--drain"]).spawn();
    run.wait_for_stderr("--drain has no effect");
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(5);
    assert_eq!(proxy.count(DRAIN), 0);
}

#[test]
fn the_hook_returns_when_idle_and_its_exit_code_tells_yes_from_no() {
    let proxy = proxy(2);
    let run = Meshim::does("drain")
        .with(["--admin-url", &proxy.url(), "--drain-min=50ms", "--drain-max=1h"])
        .spawn();
    proxy.wait_for_requests("/stats", 10);
    assert!(!run.has_ended());
    proxy.says("/stats", busy(0));
    run.wait().expect_code(0);
    let hook =
        |max| Meshim::does("drain").with(["--admin-url", &proxy.url(), "--drain-min=50ms", max]);
    proxy.says("/stats", busy(2));
    hook("--drain-max=100ms").run().expect_code(0).expect_stderr(&["out of time"]);
    let run = hook("--drain-max=1h").spawn();
    proxy.wait_for_requests(DRAIN, 3);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
    Meshim::does("drain")
        .with(["--mesh=linkerd"])
        .run()
        .expect_code(1)
        .expect_stderr(&["no Envoy admin API"]);
    Meshim::does("drain")
        .with(["--drain-min=20s"])
        .run()
        .expect_code(125)
        .expect_stderr(&["--drain-max"]);
}

/// A real Envoy with an inbound listener to `port`, and where that listens.
fn envoy_before(port: u16) -> (Envoy, u16) {
    let inbound = super::load::free_port();
    let bootstrap = Bootstrap::with_admin("127.0.0.1", 0).cluster(cluster_to("app", port));
    let listener = super::load::inbound_listener(inbound);
    let envoy =
        Envoy::start_with(&bootstrap.listener(listener), &["--drain-strategy", "immediate"]);
    let _ = envoy.admin_url();
    // Its workers listen a moment later.
    poll(|| std::net::TcpStream::connect(("127.0.0.1", inbound)).ok()).expect("Envoy listens");
    (envoy, inbound)
}

#[test]
fn a_real_envoy_is_drained_twice_at_the_same_time_and_goes_on_serving() {
    let application = super::load::Application::start();
    let (envoy, inbound) = envoy_before(application.port());
    let url = envoy.admin_url();
    let options = ["--admin-url", &url, "--drain-min=700ms", "--drain-max=10s"];
    assert!(!super::load::is_sent_away_over_http2(inbound));
    let run = Meshim::starts(TERM_SAYER).with(options).with(["--drain"]).spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    run.wait_for_stderr("draining min=");
    let hook = Meshim::does("drain").with(options).spawn();
    hook.wait_for_stderr("draining min=");
    // Served, and told to go.
    let answer = super::load::get_once(inbound);
    assert!(answer.contains("200 OK") && answer.contains("connection: close"), "{answer}");
    assert!(super::load::is_sent_away_over_http2(inbound));
    hook.wait().expect_code(0).expect_stderr(&["no request is in flight"]);
    run.wait().expect_code(5);
    assert!(
        super::load::get_once(inbound).contains("200 OK"),
        "draining must not close the listener"
    );
}

#[test]
fn an_envoy_that_is_killed_in_the_middle_of_a_drain_ends_it() {
    let application = super::load::Application::start();
    let (envoy, _) = envoy_before(application.port());
    let run = Meshim::starts(TERM_SAYER)
        .with([
            "--admin-url",
            &envoy.admin_url(),
            "--drain",
            "--drain-min=1h",
            "--drain-max=2h",
            "--grace=3h",
        ])
        .spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    run.wait_for_stderr("draining min=");
    nix::sys::signal::kill(envoy.pid(), Signal::SIGKILL).unwrap();
    run.wait().expect_code(5).expect_stderr(&["the proxy is gone"]);
}

#[test]
fn grace_counts_from_the_first_stop_signal_draining_included() {
    let proxy = proxy(1);
    let command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.02; done"];
    let options = ["--drain", "--drain-min=0", "--drain-max=400ms", "--grace=800ms"];
    let run = Meshim::starts(command).with(["--admin-url", &proxy.url()]).with(options).spawn();
    run.wait_for_stdout("ready");
    let asked = Instant::now();
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(137);
    let took = asked.elapsed();
    assert!(took >= Duration::from_millis(800), "{took:?}");
}

#[test]
fn our_own_connection_to_an_admin_api_elsewhere_is_no_request_in_flight() {
    inside(|| {
        let proxy = proxy(0);
        proxy.says("/stats", Reply::envoy(404, ""));
        let options = ["--admin-url", &proxy.url(), "--drain-min=0", "--drain-max=20s"];
        let ended = Meshim::does("drain").with(options).run().expect_code(0);
        ended.expect_stderr(&["drained: no connection is open"]);
    });
}
