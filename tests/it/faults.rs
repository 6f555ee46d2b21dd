//! Proxies, and servers that are none, which misbehave: each gets its own words, nothing hangs, and
//! the wait goes on.

use crate::support::meshim::{Meshim, Running};
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

/// What `/ready` answers, how a look at it is told, and the advice at the end.
fn table() -> Vec<(Reply, &'static str, &'static str)> {
    let elsewhere = Reply::plain(301, "").header("location", "http://127.0.0.1:1/");
    let nginx = Reply::plain(404, "<html>").header("server", "nginx/1.27");
    let page = Reply::plain(200, "<html>hello</html>");
    let forged = Reply::envoy(503, "INITIALIZING\x1b[2J\r\nerror: forged");
    vec![
        (Reply::Silence, "no answer in time", "starved of CPU, or hung?"),
        (Reply::HalfHead, "no answer in time", "starved of CPU, or hung?"),
        (Reply::Garbage, "no usable HTTP answer: invalid HTTP", "is the port another server's?"),
        (Reply::HalfHeadThenClose, "no usable HTTP answer", "hangs up or speaks no HTTP/1.1"),
        (Reply::Hangup, "no usable HTTP answer", "hangs up or speaks no HTTP/1.1"),
        (elsewhere, "301 from a server that is not the proxy", "belongs to somebody else's server"),
        (
            nginx,
            "404 from a server that calls itself `nginx/1.27`",
            "belongs to somebody else's server",
        ),
        (page, "200 from a server that is not the proxy", "check --mesh and the URLs"),
        (
            Reply::envoy(403, "Forbidden"),
            "403, this path is locked",
            "admin allow_paths, or set --ready-url",
        ),
        (Reply::envoy(500, ""), ": 500 (", "look at its log"),
        (forged, "503 INITIALIZING [2J", "look at its log"),
        (Reply::not_ready("DRAINING"), "503 DRAINING", "is this pod being ended"),
        (
            Reply::not_ready("INITIALIZING").closing(),
            "503 INITIALIZING",
            "is its xDS server reachable",
        ),
    ]
}

fn waiting_for(proxy: &StandIn, timeout: &str) -> Running {
    let options = ["--admin-url", &proxy.url(), "--request-timeout=250ms", "--log=debug", timeout];
    Meshim::starts(["echo", "started"]).with(options).spawn()
}

#[test]
fn every_fault_ends_in_124_with_what_was_seen_and_what_to_do() {
    let runs = table().into_iter().map(|(reply, seen, advice)| {
        let proxy = StandIn::new();
        proxy.says("/ready", reply);
        (waiting_for(&proxy, "--timeout=1s"), proxy, seen, advice)
    });
    for (run, proxy, seen, advice) in runs.collect::<Vec<_>>() {
        let ended = run.wait().expect_code(124);
        let sentence = ended.stderr.lines().last().unwrap();
        for part in ["error: the envoy proxy was not ready within", &proxy.url(), seen, advice] {
            assert!(
                sentence.contains(part),
                "`{part}` is not in the last line of:\n{}",
                ended.stderr
            );
        }
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn whoever_has_not_answered_is_not_asked_what_it_waits_for() {
    for (reply, asked) in [(Reply::Silence, 0), (Reply::not_ready("INITIALIZING"), 1)] {
        let proxy = StandIn::new();
        proxy.says("/ready", reply);
        waiting_for(&proxy, "--timeout=400ms").wait().expect_code(124);
        assert_eq!(proxy.count("/init_dump"), asked);
    }
}

#[test]
fn after_every_fault_a_ready_proxy_is_still_seen() {
    let runs = table().into_iter().map(|(reply, ..)| {
        let proxy = StandIn::new();
        proxy.says("/ready", reply);
        (waiting_for(&proxy, "--timeout=0"), proxy)
    });
    for (run, proxy) in runs.collect::<Vec<_>>() {
        proxy.wait_for_requests("/ready", 2);
        proxy.says("/ready", Reply::live());
        assert_eq!(run.wait().expect_code(0).stdout, "started\n");
    }
}

#[test]
fn nobody_there_is_told_apart_from_a_proxy_that_says_no() {
    let proxy = StandIn::late();
    let ended = waiting_for(&proxy, "--timeout=100ms").wait().expect_code(124);
    ended.expect_stderr(&[
        "connection refused",
        "nobody listens there: is the envoy sidecar injected and running?",
    ]);
}

#[test]
fn a_body_without_an_end_is_judged_by_its_beginning_in_bounded_memory() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::Endless);
    let run = waiting_for(&proxy, "--timeout=0");
    run.wait_for_stderr("200 from a server that is not the proxy");
    proxy.wait_for_requests("/ready", 2);
    let peak = run.peak_memory_kib();
    assert!(peak < 10 * 1024, "{peak} KiB");
    proxy.says("/ready", Reply::live());
    run.wait().expect_code(0);
}

#[test]
fn a_server_info_without_an_end_is_given_up_in_bounded_memory() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live()).says("/server_info", Reply::Endless);
    let url = format!("{}/server_info", proxy.url());
    let run = Meshim::starts(["true"])
        .with(["--ready-url", &url, "--request-timeout=20s", "--log=debug"])
        .spawn();
    run.wait_for_stderr("its answer is longer than 4096 KiB");
    proxy.wait_for_requests("/server_info", 2);
    let peak = run.peak_memory_kib();
    assert!(peak < 10 * 1024, "{peak} KiB");
    proxy.says("/server_info", Reply::envoy(200, r#"{"state":"LIVE"}"#));
    run.wait().expect_code(0);
}

#[test]
fn a_header_without_an_end_is_given_up_in_bounded_memory() {
    let proxy = StandIn::new();
    let long = "x".repeat(8 * 1024 * 1024);
    proxy.script("/ready", [Reply::envoy(200, "LIVE").header("x-long", &long), Reply::live()]);
    let run = Meshim::starts(["true"]).with(["--admin-url", &proxy.url(), "--log=debug"]).spawn();
    run.wait()
        .expect_code(0)
        .expect_stderr(&["no usable HTTP answer: its head is longer than 16 KiB"]);
}

#[test]
fn a_server_info_of_two_megabytes_is_read() {
    let proxy = StandIn::new();
    let extension =
        r#"{"name":"envoy.filters.http.router","category":"envoy.filters.http","type_urls":["x"]}"#;
    let extensions = vec![extension; 2 * 1024 * 1024 / extension.len()].join(",");
    let body =
        format!(r#"{{"version":"x","node":{{"extensions":[{extensions}]}},"state":"LIVE"}}"#);
    proxy.says("/ready", Reply::live()).says("/server_info", Reply::envoy(200, body));
    let url = format!("{}/server_info", proxy.url());
    Meshim::starts(["true"]).with(["--ready-url", &url]).run().expect_code(0);
    assert_eq!(proxy.count("/server_info"), 1);
}

#[test]
fn a_broken_server_info_is_no_readiness() {
    let proxy = StandIn::new();
    proxy
        .says("/ready", Reply::live())
        .says("/server_info", Reply::envoy(200, r#"{"state":"LIVE","node":{"#));
    let url = format!("{}/server_info", proxy.url());
    let ended = Meshim::starts(["true"])
        .with(["--ready-url", &url, "--timeout=300ms"])
        .run()
        .expect_code(124);
    ended.expect_stderr(&["the body is JSON that ends at byte 24"]);
}

#[test]
fn a_proxy_that_dies_while_we_wait_is_waited_for_again() {
    let (mut admin, mut agent) = (StandIn::new(), StandIn::new());
    admin.says("/ready", Reply::live());
    agent.says("/healthz/ready", Reply::plain(503, ""));
    let ready = format!("{}/healthz/ready", agent.url());
    let options =
        ["--mesh=istio", "--admin-url", &admin.url(), "--ready-url", &ready, "--log=debug"];
    let run = Meshim::starts(["echo", "started"]).with(options).spawn();
    agent.wait_for_requests("/healthz/ready", 2);
    admin.close();
    agent.close();
    run.wait_for_stderr("connection refused");
    admin.says("/ready", Reply::not_ready("PRE_INITIALIZING"));
    admin.open();
    run.wait_for_stderr("503 PRE_INITIALIZING");
    agent.says("/healthz/ready", Reply::plain(200, ""));
    agent.open();
    assert!(!run.has_ended());
    admin.says("/ready", Reply::live());
    assert_eq!(run.wait().expect_code(0).stdout, "started\n");
}
