//! Draining: against a scripted proxy, which shows when what is asked, and against a real Envoy.
//! Each test has namespaces of its own: the listening sockets in there are the application's, or
//! the stand-in's, whose port is given.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::directory::Directory;
use crate::support::envoy::{self, Bootstrap, Envoy, cluster_to};
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
        format!("http.in.downstream_rq_active: {requests}\nhttp.in.downstream_rq_total: 9\n"),
    )
}

fn server_info(metadata: &serde_json::Value) -> Reply {
    let options = json!({ "drain_time": "45s", "drain_strategy": "Immediate" });
    let info = json!({
        "version": "0/1.40.0/Clean", "state": "LIVE", "command_line_options": options,
        "node": { "metadata": metadata },
    });
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

/// The same without any mesh.
fn draining_alone(options: &[&str]) -> Running {
    let run =
        Meshim::starts(TERM_SAYER).with(["--mesh=none", "--drain"]).with(options.to_vec()).spawn();
    run.wait_for_stdout("ready");
    run
}

/// Stops it, and holds that it has served for `least` after that.
fn served_for(run: Running, least: Duration) -> crate::support::process::Ended {
    let asked = Instant::now();
    run.signal(Signal::SIGTERM);
    let ended = run.wait().expect_code(5);
    assert!(asked.elapsed() >= least, "{:?}: {ended:?}", asked.elapsed());
    ended
}

#[test]
fn the_stop_signal_waits_until_the_last_request_has_ended() {
    inside(|| {
        let proxy = proxy(3);
        let run = draining(&proxy, &["--drain-min=50ms", "--drain-max=20s"]);
        assert_eq!(proxy.count(DRAIN), 0);
        run.signal(Signal::SIGTERM);
        proxy.wait_for_requests("/stats", 10);
        let asked = proxy.requests(DRAIN);
        assert_eq!(
            asked.iter().map(|request| request.method.as_str()).collect::<Vec<_>>(),
            ["POST"]
        );
        assert!(!run.has_ended());
        proxy.says("/stats", busy(0));
        let ended = run.wait().expect_code(5);
        let ended = ended.expect_stderr(&["draining min=50ms max=20s", "no request is in flight"]);
        assert_eq!(ended.stdout, "ready\nterm\n");
    });
}

#[test]
fn other_signals_go_through_while_draining() {
    inside(|| {
        let proxy = proxy(3);
        let script = "trap 'echo hup' HUP; trap 'echo term; exit 5' TERM; echo ready; while :; do \
                      sleep 0.02; done";
        let run = Meshim::starts(["sh", "-c", script])
            .with(["--admin-url", &proxy.url(), "--drain"])
            .spawn();
        run.wait_for_stdout("ready");
        run.signal(Signal::SIGTERM);
        proxy.wait_for_requests(DRAIN, 1);
        run.signal(Signal::SIGHUP);
        run.wait_for_stdout("hup");
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(5);
    });
}

#[test]
fn a_second_term_cuts_the_drain_short_with_a_proxy_and_without() {
    inside(|| {
        let options = ["--drain-min=1h", "--drain-max=2h", "--grace=3h"];
        let proxy = proxy(3);
        let run = draining(&proxy, &options);
        run.signal(Signal::SIGTERM);
        proxy.wait_for_requests(DRAIN, 1);
        run.signal(Signal::SIGTERM);
        assert_eq!(run.wait().expect_code(5).stdout, "ready\nterm\n");
        let run = draining_alone(&options);
        run.signal(Signal::SIGTERM);
        run.wait_for_stderr("draining min=1h");
        run.signal(Signal::SIGTERM);
        assert_eq!(run.wait().expect_code(5).stdout, "ready\nterm\n");
    });
}

#[test]
fn what_never_ends_is_cut_at_the_longest_time() {
    inside(|| {
        let proxy = proxy(3);
        let run = draining(&proxy, &["--drain-min=0", "--drain-max=300ms"]);
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(5).expect_stderr(&["out of time", "3 requests in the proxy"]);
    });
}

#[test]
fn an_application_that_dies_while_draining_is_over_with_its_own_code() {
    inside(|| {
        let proxy = proxy(3);
        let command = ["sh", "-c", "trap 'exit 9' HUP; echo ready; while :; do sleep 0.02; done"];
        let run = Meshim::starts(command).with(["--admin-url", &proxy.url(), "--drain"]).spawn();
        run.wait_for_stdout("ready");
        run.signal(Signal::SIGTERM);
        proxy.wait_for_requests(DRAIN, 1);
        run.signal(Signal::SIGHUP);
        run.wait().expect_code(9);
    });
}

#[test]
fn the_shortest_time_is_kept_without_any_mesh_with_linkerd_and_with_kuma() {
    inside(|| {
        let started = ["--absent-after=10ms", "--drain", "--drain-min=700ms"];
        let run = Meshim::starts(TERM_SAYER).with(started).spawn();
        run.wait_for_stdout("ready");
        served_for(run, Duration::from_millis(700));
        for mesh in ["none", "linkerd", "kuma"] {
            let proxy = StandIn::new();
            proxy.says("/ready", Reply::plain(200, "ready\n"));
            let ready = format!("{}/ready", proxy.url());
            let given = [&format!("--mesh={mesh}"), "--drain", "--drain-min=700ms"];
            let run = Meshim::starts(TERM_SAYER).with(given.map(str::to_owned));
            let run = if mesh == "none" { run } else { run.with(["--ready-url", &ready]) };
            let run = run.spawn();
            run.wait_for_stdout("ready");
            let ended = served_for(run, Duration::from_millis(700));
            ended.expect_stderr(&["no connection to the application is open"]);
            assert_eq!(proxy.count(DRAIN), 0, "{mesh}");
        }
    });
}

#[test]
fn the_shortest_time_is_kept_when_the_proxy_vanishes_and_when_it_is_gone_already() {
    inside(|| {
        let mut proxy = proxy(3);
        let run = draining(&proxy, &["--drain-min=900ms"]);
        let asked = Instant::now();
        run.signal(Signal::SIGTERM);
        run.wait_for_stderr("draining min=900ms");
        proxy.close();
        run.wait().expect_code(5).expect_stderr(&["drained: the proxy is gone, and"]);
        assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
        let mut gone = self::proxy(3);
        let run = draining(&gone, &["--drain-min=700ms"]);
        gone.close();
        let ended = served_for(run, Duration::from_millis(700));
        ended.expect_stderr(&["no proxy left that could turn clients away; serving on"]);
    });
}

#[test]
fn a_proxy_that_turns_draining_by_itself_is_not_told_again_and_the_shortest_time_is_kept() {
    inside(|| {
        let proxy = proxy(0);
        let run = draining(&proxy, &["--drain-min=700ms"]);
        proxy.says("/ready", Reply::not_ready("DRAINING"));
        served_for(run, Duration::from_millis(700));
        assert_eq!(proxy.count(DRAIN), 0);
    });
}

#[test]
fn an_admin_api_that_stops_answering_leaves_the_kernel_to_decide() {
    inside(|| {
        let proxy = proxy(1);
        let run = draining(&proxy, &["--drain-min=100ms", "--drain-max=20s"]);
        for path in ["/stats", "/clusters"] {
            proxy.says(path, Reply::Garbage);
        }
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(5).expect_stderr(&["no connection to the application is open"]);
    });
}

#[test]
fn an_admin_api_that_forbids_draining_is_told_with_its_remedy_and_fails_no_hook() {
    inside(|| {
        let proxy = proxy(0);
        proxy.says(DRAIN, Reply::envoy(403, "Forbidden"));
        let run = draining(&proxy, &["--drain-min=50ms"]);
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(5).expect_stderr(&["allow_paths", "new requests may still come"]);
        Meshim::does("drain")
            .with(["--admin-url", &proxy.url(), "--drain-min=0"])
            .run()
            .expect_code(0)
            .expect_stderr(&["cannot be told to turn its clients away", "allow_paths"]);
    });
}

#[test]
fn a_plan_that_does_not_fit_the_proxy_is_a_warning_at_the_start_with_both_remedies() {
    inside(|| {
        let proxy = proxy(1);
        let metadata = json!({
            "ISTIO_VERSION": "1.24.0",
            "PROXY_CONFIG": { "terminationDrainDuration": "1s" },
            "LABELS": { "secret": "label" },
        });
        proxy.says("/server_info", server_info(&metadata));
        let run = draining(&proxy, &[]);
        let said = run.wait_for_stderr("does not fit");
        let annotation = r#"proxy.istio.io/config: '{"terminationDrainDuration": "19s"}'"#;
        assert!(said.contains(annotation), "{said}");
        assert!(said.contains("EXIT_ON_ZERO_ACTIVE_CONNECTIONS"), "{said}");
        run.signal(Signal::SIGTERM);
        let ended = run.wait().expect_code(5);
        let ended = ended.expect_stderr(&["draining min=800ms max=800ms", "out of time"]);
        // Once more by the check after the start, since loopback is the only interface here.
        assert!(proxy.count("/server_info") <= 2);
        assert!(!ended.stderr.contains("label"), "{}", ended.stderr);
    });
}

#[test]
fn who_is_idle_when_the_time_is_over_is_not_out_of_time() {
    inside(|| {
        // The default of --drain-min yields to --grace.
        for options in [&["--drain-min=300ms", "--drain-max=300ms"][..], &["--grace=2200ms"]] {
            let run = draining_alone(options);
            run.signal(Signal::SIGTERM);
            let ended = run.wait().expect_code(5);
            let ended = ended.expect_stderr(&["drained: no connection to the application is open"]);
            assert!(!ended.stderr.contains("warning"), "{ended:?}");
        }
    });
}

#[test]
fn a_proxy_that_ends_with_its_last_connection_is_told_at_the_start() {
    inside(|| {
        let proxy = proxy(0);
        let metadata = json!({ "ISTIO_VERSION": "1.24.0", "EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true",
            "PROXY_CONFIG": { "terminationDrainDuration": "25s" } });
        proxy.says("/server_info", server_info(&metadata));
        let run = draining(&proxy, &["--drain-min=6s"]);
        let said = run.wait_for_stderr("EXIT_ON_ZERO_ACTIVE_CONNECTIONS");
        assert!(said.contains("--drain-min 6s is not kept where it is idle"), "{said}");
        run.signal(Signal::SIGTERM);
        run.wait_for_stderr("draining min=6s max=15s");
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(5);
    });
}

#[test]
fn the_hook_returns_when_idle_and_with_0_whatever_came_of_it() {
    inside(|| {
        let proxy = proxy(2);
        let hook = |max: &str| {
            Meshim::does("drain").with(["--admin-url", &proxy.url(), "--drain-min=50ms", max])
        };
        let run = hook("--drain-max=1h").spawn();
        proxy.wait_for_requests("/stats", 10);
        assert!(!run.has_ended());
        proxy.says("/stats", busy(0));
        run.wait().expect_code(0);
        proxy.says("/stats", busy(2));
        hook("--drain-max=100ms").run().expect_code(0).expect_stderr(&["out of time"]);
        for mesh in ["auto", "none", "linkerd", "kuma", "istio"] {
            let mesh = format!("--mesh={mesh}");
            Meshim::does("drain").with([&mesh, "--drain-min=10ms"]).run().expect_code(0);
        }
        Meshim::does("drain")
            .with(["--drain-min=20s", "--drain-max=15s"])
            .run()
            .expect_code(125)
            .expect_stderr(&["--drain-max"]);
    });
}

#[test]
fn the_hook_leaves_the_applications_termination_message_alone() {
    inside(|| {
        let proxy = proxy(2);
        let directory = Directory::new();
        let log = directory.file("termination-log", "the application's");
        let option = format!("--termination-log={}", log.display());
        let hook =
            |options: &[&str]| Meshim::does("drain").with([&option]).with(options.to_vec()).run();
        hook(&["--drain-min=nonsense"]).expect_code(125);
        hook(&["--no-such-option"]).expect_code(125);
        let admin = format!("--admin-url={}", proxy.url());
        hook(&[&admin, "--drain-min=0", "--drain-max=50ms"]).expect_code(0);
        let run = Meshim::does("drain").with([&option, &admin]).spawn();
        proxy.wait_for_requests(DRAIN, 2);
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(143);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "the application's");
    });
}

#[test]
fn the_hook_keeps_to_its_longest_time_beside_a_proxy_that_hangs() {
    inside(|| {
        let proxy = StandIn::new();
        for path in ["/ready", DRAIN, "/server_info", "/stats", "/clusters"] {
            proxy.says(path, Reply::Silence);
        }
        let hook = Meshim::does("drain").with(["--admin-url", &proxy.url(), "--drain-max=300ms"]);
        let began = Instant::now();
        hook.run().expect_code(0);
        // It overran by up to 2 s; a busy machine needs some of this to start a process.
        assert!(began.elapsed() < Duration::from_millis(1_200), "{:?}", began.elapsed());
    });
}

/// A real Envoy with an inbound listener to `port`, and where that listens.
fn envoy_before(port: u16) -> (Envoy, u16) {
    let inbound = super::load::free_port();
    let bootstrap = Bootstrap::with_admin("127.0.0.1", 0).cluster(cluster_to("app", port));
    let listener = super::load::inbound_listener(inbound);
    (started(&bootstrap.listener(listener), inbound), inbound)
}

/// A real Envoy that listens on this port.
fn started(bootstrap: &Bootstrap, port: u16) -> Envoy {
    let envoy = Envoy::start_with(bootstrap, &["--drain-strategy", "immediate"]);
    let _ = envoy.admin_url();
    // Its workers listen a moment later.
    poll(|| TcpStream::connect(("127.0.0.1", port)).ok()).expect("Envoy listens");
    envoy
}

#[test]
fn a_real_envoy_is_drained_twice_at_the_same_time_and_goes_on_serving() {
    let _ = envoy::binary();
    inside(|| {
        let application = super::load::Application::start();
        let (envoy, inbound) = envoy_before(application.port());
        let url = envoy.admin_url();
        let options = ["--admin-url", &url, "--drain-min=700ms", "--drain-max=20s"];
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
        let answer = super::load::get_once(inbound);
        assert!(answer.contains("200 OK"), "draining must not close the listener: {answer}");
    });
}

#[test]
fn an_envoy_that_is_killed_in_the_middle_of_a_drain_does_not_cut_the_shortest_time() {
    let _ = envoy::binary();
    inside(|| {
        let application = super::load::Application::start();
        let (envoy, _) = envoy_before(application.port());
        let options = ["--admin-url", &envoy.admin_url(), "--drain", "--drain-min=900ms"];
        let run = Meshim::starts(TERM_SAYER).with(options).spawn();
        run.wait_for_stdout("ready");
        let asked = Instant::now();
        run.signal(Signal::SIGTERM);
        run.wait_for_stderr("draining min=");
        nix::sys::signal::kill(envoy.pid(), Signal::SIGKILL).unwrap();
        run.wait().expect_code(5).expect_stderr(&["the proxy is gone"]);
        assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
    });
}

/// A plain TCP listener on this port of 127.0.0.1, for the cluster `app`.
fn tcp_listener(port: u16) -> serde_json::Value {
    let proxy = json!({ "name": "tcp", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "inbound_tcp", "cluster": "app" } });
    json!({ "name": "tcp", "traffic_direction": "INBOUND",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "filter_chains": [{ "filters": [proxy] }] })
}

#[test]
fn a_tcp_exchange_beside_an_http_manager_keeps_a_real_envoys_drain_going() {
    let _ = envoy::binary();
    inside(|| {
        let application = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (http, tcp) = (super::load::free_port(), super::load::free_port());
        let port = application.local_addr().unwrap().port();
        let bootstrap = Bootstrap::with_admin("127.0.0.1", 0)
            .cluster(cluster_to("app", port))
            .listener(super::load::inbound_listener(http))
            .listener(tcp_listener(tcp));
        let envoy = started(&bootstrap, http);
        let mut client = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
        client.write_all(b"question").unwrap();
        let (mut server, _) = application.accept().unwrap();
        server.read_exact(&mut [0; 8]).unwrap();
        // Answered, so that the kernel alone would call it idle after the quiet time: but it is
        // still open, and nobody knows what follows on it.
        server.write_all(b"wait").unwrap();
        client.read_exact(&mut [0; 4]).unwrap();
        let options = ["--drain-min=50ms", "--drain-quiet=100ms", "--drain-max=20s", "--log=debug"];
        let hook =
            Meshim::does("drain").with(["--admin-url", &envoy.admin_url()]).with(options).spawn();
        hook.wait_for_stderr("at_work=0");
        let asked = || {
            let (_, said) = envoy.asks("GET", "/stats?filter=http.admin.downstream_rq_total");
            said.trim().rsplit(' ').next().and_then(|count| count.parse::<u64>().ok())
        };
        let so_far = asked().expect("Envoy counts");
        // Our own questions are counted, too.
        let looked = poll(|| asked().filter(|now| *now > so_far + 40));
        assert!(looked.is_some() && !hook.has_ended(), "{}", hook.stderr());
        server.write_all(b"answer").unwrap();
        drop((server, client));
        hook.wait().expect_code(0).expect_stderr(&["no request is in flight"]);
    });
}

#[test]
fn grace_counts_from_the_first_stop_signal_draining_included() {
    inside(|| {
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
    });
}

#[test]
fn our_own_connection_to_an_admin_api_elsewhere_is_no_request_in_flight() {
    inside(|| {
        let proxy = proxy(0);
        proxy.says("/stats", Reply::envoy(404, ""));
        let options = ["--admin-url", &proxy.url(), "--drain-min=0", "--drain-max=20s"];
        let ended = Meshim::does("drain").with(options).run().expect_code(0);
        ended.expect_stderr(&["no connection to the application is open"]);
    });
}
