//! Waiting for one proxy whose address is given: what ends the wait, and what the proxy sees of it.

#![expect(
    clippy::disallowed_methods,
    reason = "that rule is for meshim; a test has a server in a thread"
)]

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::support::directory::Directory;
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

#[test]
fn the_application_starts_when_the_proxy_becomes_ready() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let run = Meshim::starts(["echo", "started"]).with(["--admin-url", &proxy.url()]).spawn();
    proxy.wait_for_requests("/ready", 1);
    proxy.says("/ready", Reply::live());
    assert_eq!(run.wait().expect_code(0).stdout, "started\n");
}

#[test]
fn the_application_starts_once_a_late_proxy_is_ready() {
    for mut proxy in [StandIn::late(), StandIn::late_v6()] {
        proxy.says("/ready", Reply::not_ready("PRE_INITIALIZING"));
        let run = Meshim::starts(["echo", "hello"])
            .with(["--admin-url", &proxy.url(), "--log=debug"])
            .spawn();
        run.wait_for_stderr("connection refused");
        proxy.open();
        proxy.wait_for_requests("/ready", 3);
        assert!(!run.has_ended());
        proxy.says("/ready", Reply::live());
        let ended = run
            .wait()
            .expect_code(0)
            .expect_stderr(&["waiting for the proxy mesh=envoy", "the proxy is ready"]);
        assert_eq!(ended.stdout, "hello\n");
    }
}

#[test]
fn an_admin_api_on_a_unix_socket_is_waited_for_until_the_file_is_there() {
    let directory = Directory::new();
    let mut proxy = StandIn::late_unix(&directory.join("admin.sock"));
    proxy.says("/ready", Reply::live());
    let run = Meshim::does("wait").with(["--admin-url", &proxy.url(), "--log=debug"]).spawn();
    run.wait_for_stderr("the socket file does not exist");
    proxy.open();
    run.wait().expect_code(0);
    proxy.close();
    let ended = Meshim::does("wait")
        .with(["--admin-url", &proxy.url(), "--timeout=50ms"])
        .run()
        .expect_code(1);
    ended.expect_stderr(&["a Unix socket must be on a volume that both containers mount"]);
}

#[test]
fn not_ready_in_time_is_124_and_for_wait_alone_1() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let options = ["--admin-url", &proxy.url(), "--timeout=200ms"];
    let ended = Meshim::starts(["echo", "never"]).with(options).run().expect_code(124);
    assert_eq!(ended.stdout, "");
    ended.expect_stderr(&["503 INITIALIZING", "is its xDS server reachable"]);
    Meshim::does("wait").with(options).run().expect_code(1).expect_stderr(&["503 INITIALIZING"]);
}

#[test]
fn on_timeout_start_starts_with_a_warning() {
    let proxy = StandIn::late();
    let options = ["--admin-url", &proxy.url(), "--timeout=100ms", "--on-timeout=start"];
    let ended = Meshim::starts(["echo", "started"]).with(options).run().expect_code(0);
    assert_eq!(ended.stdout, "started\n");
    ended
        .expect_stderr(&["warning: the envoy proxy was not ready within", "starting all the same"]);
}

#[test]
fn a_timeout_of_zero_waits_for_ever() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let run = Meshim::starts(["true"])
        .env("MESHIM_ADMIN_URL", proxy.url())
        .env("MESHIM_TIMEOUT", "0")
        .spawn();
    run.wait_for_stderr("waiting for the proxy, for ever mesh=envoy");
    proxy.wait_for_requests("/ready", 20);
    assert!(!run.has_ended());
    proxy.says("/ready", Reply::live());
    run.wait().expect_code(0);
}

#[test]
fn absence_starts_the_application_and_a_proxy_that_has_shown_up_does_not() {
    // In a network of its own: whether this machine's answers at any address is not the question.
    inside(|| {
        let mut proxy = StandIn::late();
        proxy.says("/ready", Reply::not_ready("INITIALIZING"));
        let url = proxy.url();
        let options = ["--admin-url", &url, "--absent-after=100ms", "--timeout=400ms"];
        let absent = Meshim::starts(["echo", "started"]).with(options).run().expect_code(0);
        assert_eq!(absent.expect_stderr(&["no proxy has shown up within"]).stdout, "started\n");
        proxy.open();
        Meshim::starts(["true"]).with(options).run().expect_code(124);
    });
}

/// In the file system of a container that mounts the volume, and not for its user.
#[test]
fn an_admin_socket_that_may_not_be_connected_to_is_a_proxy_and_named() {
    inside(|| {
        let directory = Directory::new();
        let path = directory.join("admin.sock");
        let proxy = StandIn::late_unix(&path).opened();
        proxy.says("/ready", Reply::live());
        let closed = std::fs::Permissions::from_mode(0o0);
        std::fs::set_permissions(&path, closed).expect("it is ours");
        let ended = Meshim::starts(["true"])
            .behind(["unshare", "-U", "--map-user=5"])
            .with(["--admin-url", &proxy.url(), "--absent-after=100ms", "--timeout=400ms"])
            .run()
            .expect_code(124);
        ended.expect_stderr(&["Permission denied", "this user may not connect to it"]);
    });
}

#[test]
fn a_server_that_goes_on_answering_where_it_no_longer_listens_is_left() {
    let old = std::net::TcpListener::bind("127.0.0.1:0").expect("ports are left");
    let address = old.local_addr().expect("it is bound");
    let run = Meshim::starts(["true"]).with(["--admin-url", &format!("http://{address}")]).spawn();
    let (mut kept, _) = old.accept().expect("meshim connects");
    drop(old);
    let answering = std::thread::spawn(move || {
        let mut room = [0; 1024];
        while matches!(kept.read(&mut room), Ok(1..)) {
            let answer =
                "HTTP/1.1 503 No\r\nserver: envoy\r\ncontent-length: 12\r\n\r\nINITIALIZING";
            let _ = kept.write_all(answer.as_bytes());
        }
    });
    let new = StandIn::late_at(address).opened();
    new.says("/ready", Reply::live());
    run.wait().expect_code(0);
    answering.join().expect("it ends with its connection");
}

/// The kernel may choose the very port that is asked for a connection's own.
#[test]
fn a_connection_to_itself_is_nobody() {
    inside(|| {
        std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40001").expect("ours");
        for _ in 0..10 {
            for target in ["tcp://127.0.0.1:40000", "tcp://127.0.0.1:40001"] {
                let ended = Meshim::does("probe").with([target]).run().expect_code(1);
                ended.expect_stderr(&["nobody listens there"]);
            }
        }
        for options in [
            ["--mesh=none", "--wait-for=tcp://127.0.0.1:40000"],
            ["--mesh=envoy", "--admin-url=http://127.0.0.1:40001"],
        ] {
            let ended =
                Meshim::does("wait").with(options).with(["--timeout=1600ms"]).run().expect_code(1);
            ended.expect_stderr(&["connection refused"]);
        }
    });
}

#[test]
fn what_wait_for_names_is_waited_for_beside_the_proxy_and_without_one() {
    let (proxy, other) = (StandIn::new(), StandIn::new());
    let mut database = StandIn::late();
    proxy.says("/ready", Reply::live());
    other.says("/up", Reply::plain(503, "not yet"));
    let named = [
        format!("--wait-for={}/up", other.url()),
        format!("--wait-for={}", database.url().replace("http:", "tcp:")),
    ];
    let beside = ["--mesh=envoy".to_owned(), format!("--admin-url={}", proxy.url())];
    let run = Meshim::starts(["echo", "started"]).with(beside.clone()).with(named.clone()).spawn();
    run.wait_for_stderr("the proxy is ready");
    other.wait_for_requests("/up", 5);
    other.says("/up", Reply::plain(302, ""));
    run.wait_for_stderr("ready, as --wait-for asks url=http");
    assert!(!run.has_ended());
    database.open();
    assert_eq!(run.wait().expect_code(0).stdout, "started\n");
    let run = Meshim::starts(["echo", "started"]).with(["--mesh=none"]).with(named.clone()).run();
    assert_eq!(run.expect_code(0).stdout, "started\n");
    database.close();
    for options in [vec!["--mesh=none".to_owned()], beside.to_vec()] {
        let late = Meshim::starts(["true"]).with(options).with(named.clone());
        let ended = late.with(["--timeout=300ms"]).run().expect_code(124);
        ended.expect_stderr(&[
            "error: tcp://127.0.0.1:",
            "was not ready within",
            "which --wait-for names: connection refused: is that sidecar running?",
        ]);
    }
    let both = ["--wait-for=unix:/nowhere/a.sock:/up", "--mesh=none", "--timeout=300ms"];
    Meshim::starts(["true"]).with(both).with(named.clone()).run().expect_code(124).expect_stderr(
        &[
            " were not ready within",
            "unix:/nowhere/a.sock:/up, which --wait-for names: the socket file does not exist",
        ],
    );
    let started = Meshim::starts(["echo", "started"]).with(["--mesh=none"]).with(named);
    let ended = started.with(["--timeout=200ms", "--on-timeout=start"]).run().expect_code(0);
    assert_eq!(ended.stdout, "started\n");
    let remote = Meshim::starts(["true"]).with(["--wait-for=http://10.0.0.1:80/"]).run();
    remote.expect_code(125).expect_stderr(&["--wait-for: `http://10.0.0.1:80/` leads out of this"]);
}

#[test]
fn an_agent_that_has_said_no_for_a_second_is_asked_at_most_twice_a_second() {
    let (admin, agent) = (StandIn::new(), StandIn::new());
    admin.says("/ready", Reply::live());
    agent.says("/healthz/ready", Reply::envoy(503, ""));
    let ready = format!("{}/healthz/ready", agent.url());
    let options = ["--mesh=istio", "--admin-url", &admin.url(), "--ready-url", &ready];
    let run = Meshim::starts(["true"]).with(options).with(["--timeout=3s"]).spawn();
    run.wait()
        .expect_code(124)
        .expect_stderr(&["Envoy is LIVE but its readiness endpoint says no"]);
    let times: Vec<_> = agent.requests("/healthz/ready").iter().map(|request| request.at).collect();
    let is_eager = |at: &&std::time::Instant| **at - times[0] < Duration::from_secs(1);
    let eager = times.iter().filter(is_eager).count();
    assert!(eager > 20, "{eager} in the first second");
    assert!(times.len() - eager <= 6, "{} in the next two", times.len() - eager);
}

#[test]
fn an_endpoint_is_looked_at_over_one_connection() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let run = Meshim::starts(["true"]).with(["--admin-url", &proxy.url()]).spawn();
    proxy.wait_for_requests("/ready", 30);
    proxy.says("/ready", Reply::live());
    run.wait().expect_code(0);
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn a_proxy_that_closes_each_connection_is_followed_over_new_ones() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING").closing());
    let run = Meshim::starts(["true"]).with(["--admin-url", &proxy.url()]).spawn();
    proxy.wait_for_requests("/ready", 10);
    proxy.says("/ready", Reply::live().closing());
    run.wait().expect_code(0);
    assert_eq!(proxy.connections(), proxy.count("/ready"));
}

#[test]
fn server_info_is_asked_for_once_however_long_the_wait_is() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    proxy.says("/server_info", Reply::envoy(200, r#"{"state":"LIVE"}"#));
    let run = Meshim::starts(["true"])
        .with(["--ready-url", &format!("{}/server_info", proxy.url())])
        .spawn();
    proxy.wait_for_requests("/ready", 30);
    assert_eq!(proxy.count("/server_info"), 0);
    proxy.says("/ready", Reply::live());
    run.wait().expect_code(0);
    assert_eq!(proxy.count("/server_info"), 1);
}

#[test]
fn the_agent_is_asked_at_most_twice_a_second_while_the_admin_api_does_not_say_live() {
    let (admin, agent) = (StandIn::new(), StandIn::new());
    admin.says("/ready", Reply::envoy(403, "Forbidden"));
    agent.says("/healthz/ready", Reply::plain(503, ""));
    let ready = format!("{}/healthz/ready", agent.url());
    let options = ["--mesh=istio", "--admin-url", &admin.url(), "--ready-url", &ready];
    let run = Meshim::starts(["true"]).with(options).spawn();
    agent.wait_for_requests("/healthz/ready", 4);
    agent.says("/healthz/ready", Reply::plain(200, ""));
    run.wait().expect_code(0);
    let times: Vec<_> = agent.requests("/healthz/ready").iter().map(|request| request.at).collect();
    for pair in times.windows(2) {
        // A request that came late may be followed by one in time.
        assert!(pair[1] - pair[0] > Duration::from_millis(400), "{times:?}");
    }
    // A new connection about once a second.
    assert!(admin.connections() <= 4 && agent.connections() <= 4);
}

#[test]
fn the_agent_is_left_alone_while_envoy_initializes_and_asked_at_once_when_it_is_live() {
    let (admin, agent) = (StandIn::new(), StandIn::new());
    admin.says("/ready", Reply::not_ready("PRE_INITIALIZING"));
    agent.script("/healthz/ready", [Reply::plain(503, ""), Reply::plain(200, "")]);
    let ready = format!("{}/healthz/ready", agent.url());
    let options = ["--mesh=istio", "--admin-url", &admin.url(), "--ready-url", &ready];
    let run = Meshim::starts(["true"]).with(options).spawn();
    admin.wait_for_requests("/ready", 30);
    assert_eq!(agent.count("/healthz/ready"), 1, "once, to know whether it is there");
    admin.says("/ready", Reply::live());
    run.wait().expect_code(0);
    assert_eq!(agent.count("/healthz/ready"), 2);
}

#[test]
fn an_empty_variable_is_unset_for_a_subcommand_too() {
    let empty = |meshim: Meshim| {
        ["MESHIM_TIMEOUT", "MESHIM_LOG"].iter().fold(meshim, |meshim, name| meshim.env(*name, ""))
    };
    empty(Meshim::starts(["true"])).with(["--mesh=none"]).run().expect_code(0);
    empty(Meshim::does("wait")).with(["--mesh=none"]).run().expect_code(0);
    let told = empty(Meshim::does("wait"))
        .with(["--mesh=no"])
        .env("MESHIM_ABSENT_AFTER", "3")
        .run()
        .expect_code(125);
    told.expect_stderr(&["--mesh: `no`", "MESHIM_ABSENT_AFTER"]);
}

/// A ready Istio proxy that never says how it forwards, which `--listen` is judged by.
fn ready_and_silent_about_its_clusters() -> (StandIn, Meshim) {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live()).says("/healthz/ready", Reply::envoy(200, ""));
    proxy.says("/config_dump", Reply::Silence);
    let ready = format!("{}/healthz/ready", proxy.url());
    let options = ["--mesh=istio", "--admin-url", &proxy.url(), "--ready-url", &ready];
    let run = Meshim::starts(["echo", "started"])
        .with(options)
        .with(["--listen=0.0.0.0:8080", "--request-timeout=60s"]);
    (proxy, run)
}

#[test]
fn a_stop_signal_is_heard_while_the_proxy_is_asked_how_it_forwards() {
    let (proxy, run) = ready_and_silent_about_its_clusters();
    let run = run.spawn();
    proxy.wait_for_requests("/config_dump", 1);
    run.signal(Signal::SIGTERM);
    let ended = run.wait().expect_code(143);
    let why = "ended by SIGTERM while the proxy was asked how it forwards, for --listen";
    assert_eq!(ended.expect_stderr(&[why]).stdout, "");
}

#[test]
fn the_timeout_bounds_what_comes_between_ready_and_the_start_too() {
    let (_proxy, run) = ready_and_silent_about_its_clusters();
    let ended = run.with(["--timeout=400ms"]).run().expect_code(124);
    ended.expect_stderr(&["the proxy is ready", "did not say within", "--listen"]);
    let (_proxy, run) = ready_and_silent_about_its_clusters();
    let ended = run.with(["--timeout=400ms", "--on-timeout=start"]).run().expect_code(0);
    assert_eq!(ended.stdout, "started\n");
}

#[test]
fn configuration_that_envoy_has_rejected_is_named_with_its_reason() {
    let (admin, agent) = (StandIn::new(), StandIn::new());
    admin.says("/ready", Reply::live());
    agent.says("/healthz/ready", Reply::envoy(503, ""));
    let listeners = r#"{"configs":[{
        "@type":"type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener",
        "name":"virtualInbound","error_state":{
            "failed_configuration":{"name":"virtualInbound"},
            "last_update_attempt":"2026-11-24T17:00:00Z","details":"script load error: x"}}]}"#;
    admin.says("/config_dump", Reply::envoy(200, listeners));
    let ready = format!("{}/healthz/ready", agent.url());
    let options = ["--mesh=istio", "--admin-url", &admin.url(), "--ready-url", &ready];
    let run = || Meshim::starts(["true"]).with(options).with(["--timeout=300ms"]).run();
    run().expect_code(124).expect_stderr(&[
        "Envoy is LIVE and has rejected configuration from istiod",
        "virtualInbound: script load error: x",
    ]);
    // Where it keeps the reason to itself, its counters tell.
    admin.says("/config_dump", Reply::envoy(200, r#"{"configs":[]}"#));
    admin.says("/stats", Reply::envoy(200, "listener_manager.lds.update_rejected: 3\n"));
    run().expect_code(124).expect_stderr(&["from istiod (lds.update_rejected: 3)"]);
}
