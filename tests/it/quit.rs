//! Asking the proxy to end: on every exit path, as each answer deserves, and never with another
//! exit code.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::envoy::{self, Bootstrap, Envoy};
use crate::support::istio;
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::process::Process;
use crate::support::reply::{Gate, Reply};
use crate::support::shared::poll;
use crate::support::standin::StandIn;

const QUIT: &str = "/quitquitquit";
const HALF_A_BODY: &[u8] = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 3\r\n\r\nO";

fn proxy() -> StandIn {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live()).says(QUIT, Reply::envoy(200, "OK\n"));
    proxy
}

fn running(proxy: &StandIn, script: &str) -> Meshim {
    Meshim::starts(["sh", "-c", script]).with(["--admin-url", &proxy.url(), "--quit=always"])
}

#[test]
fn the_proxy_is_asked_after_the_application_whatever_its_code() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137)] {
        let proxy = proxy();
        running(&proxy, script)
            .run()
            .expect_code(code)
            .expect_stderr(&["the proxy was asked to end", "200"]);
        let asked: Vec<String> =
            proxy.requests(QUIT).into_iter().map(|request| request.method).collect();
        assert_eq!(asked, ["POST"], "{script}");
    }
}

#[test]
fn on_success_and_never_mean_what_they_say() {
    for (quit, code, asked) in [("on-success", 0, 1), ("on-success", 3, 0), ("never", 0, 0)] {
        let proxy = proxy();
        let run = Meshim::starts(["sh", "-c", &format!("exit {code}")]).with([
            "--admin-url",
            &proxy.url(),
            "--supervise",
        ]);
        run.env("MESHIM_QUIT", quit).run().expect_code(code);
        assert_eq!(proxy.count(QUIT), asked, "{quit} {code}");
    }
}

#[test]
fn every_exit_path_before_the_start_asks_it_too() {
    let proxy = proxy();
    let options =
        || Meshim::starts(["/no/such"]).with(["--admin-url", &proxy.url(), "--quit=always"]);
    options().run().expect_code(127);
    assert_eq!(proxy.count(QUIT), 1);
    Meshim::starts(["/etc/passwd"])
        .with(["--admin-url", &proxy.url(), "--quit=always"])
        .run()
        .expect_code(126);
    assert_eq!(proxy.count(QUIT), 2);
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    running(&proxy, "echo never").with(["--timeout=50ms"]).run().expect_code(124);
    assert_eq!(proxy.count(QUIT), 3);
    let run = running(&proxy, "echo never").spawn();
    run.wait_for_stderr("waiting for the proxy");
    proxy.wait_for_requests("/ready", proxy.count("/ready") + 2);
    run.signal(Signal::SIGTERM);
    let ended = run.wait().expect_code(143);
    // After a stop signal Kubernetes ends the proxy, too.
    assert_eq!((proxy.count(QUIT), ended.stdout.as_str()), (3, ""));
    Meshim::starts(["/no/such"])
        .with(["--admin-url", &proxy.url(), "--quit=on-success"])
        .run()
        .expect_code(127);
    assert_eq!(proxy.count(QUIT), 3);
}

#[test]
fn each_answer_is_told_apart_and_none_changes_the_exit_code() {
    let table = [
        (Reply::envoy(403, ""), "403, it takes this from its own loopback"),
        (Reply::envoy(404, ""), "enableShutdownEndpoint"),
        (Reply::envoy(405, ""), "405, this endpoint takes no POST"),
        (Reply::Garbage, "no usable HTTP answer"),
        (Reply::Recorded(HALF_A_BODY), "200"),
        (Reply::plain(200, "OK").closing(), "200"),
    ];
    for (reply, said) in table {
        let proxy = proxy();
        proxy.says(QUIT, reply);
        running(&proxy, "exit 3").run().expect_code(3).expect_stderr(&[said]);
        assert_eq!(proxy.count(QUIT), 1, "{said}");
    }
}

#[test]
fn a_proxy_that_ends_without_an_answer_is_told_from_a_server_that_hangs_up() {
    for reply in [Reply::Hangup, Reply::HalfHeadThenClose] {
        let (mut ending, gate) = (proxy(), Gate::default());
        ending.says(QUIT, reply.clone().held(&gate));
        let run = running(&ending, "exit 3").spawn();
        ending.wait_for_requests(QUIT, 1);
        ending.close();
        run.wait().expect_code(3).expect_stderr(&["was asked to end", "cut the connection and is"]);
        // A server that goes on listening has not been told anything, and is asked again.
        let server = proxy();
        server.script(QUIT, [reply.clone(), reply, Reply::envoy(404, "")]);
        let ended = running(&server, "exit 3").run().expect_code(3);
        ended.expect_stderr(&["the proxy will not end: ", "404, there is no such endpoint"]);
        assert_eq!(server.count(QUIT), 3);
    }
}

#[test]
fn a_proxy_that_is_busy_is_asked_again() {
    let proxy = proxy();
    proxy.script(QUIT, [Reply::envoy(503, ""), Reply::envoy(503, ""), Reply::envoy(200, "OK\n")]);
    running(&proxy, "exit 0").run().expect_code(0).expect_stderr(&["was asked to end"]);
    assert_eq!(proxy.count(QUIT), 3);
}

#[test]
fn a_proxy_that_hangs_is_given_up_and_a_second_stop_signal_ends_it_sooner() {
    let proxy = proxy();
    proxy.says(QUIT, Reply::Silence);
    let began = Instant::now();
    let given_up = running(&proxy, "exit 4").spawn();
    let run = running(&proxy, "exit 6").spawn();
    // One that says nothing at all: what is asked before counts, too.
    let silent = StandIn::new();
    silent.says(QUIT, Reply::Silence).says("/server_info", Reply::Silence);
    let by_hand = Meshim::does("quit").with(["--mesh=envoy", "--admin-url", &silent.url()]).spawn();
    silent.wait_for_requests("/server_info", 1);
    let asked = Instant::now();
    proxy.wait_for_requests(QUIT, 2);
    run.signal(Signal::SIGTERM);
    run.signal(Signal::SIGINT);
    run.wait().expect_code(6);
    given_up.wait().expect_code(4).expect_stderr(&["no answer in time (until the last try)"]);
    assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
    by_hand.wait().expect_code(1);
    assert!(asked.elapsed() < Duration::from_millis(11_500), "{:?}", asked.elapsed());
}

#[test]
fn a_want_of_descriptors_that_passes_keeps_nobody_from_being_asked() {
    inside(|| {
        let [agent, ready, admin] = [15020, 15021, 15000].map(StandIn::on_port);
        agent.says(QUIT, Reply::plain(200, ""));
        ready.says("/healthz/ready", Reply::plain(200, ""));
        admin.says("/ready", Reply::live()).says("/server_info", istio::server_info("1.24.0"));
        // Standard streams and signals take four descriptors. With each further one something later
        // is refused: the list of sockets, what waiting takes, connecting.
        for mesh in ["auto", "istio"] {
            let (mut refused, mut limit) = (Vec::new(), 4);
            loop {
                let run = Meshim::does("quit").with(["--log=debug", "--mesh", mesh]);
                let run = run.behind_shell(&format!("ulimit -Sn {limit}; exec \"$@\"")).spawn();
                let wanting = |line: &str| {
                    let what =
                        ["not yet", "posted"].into_iter().find(|what| line.contains(what))?;
                    line.contains("Too many open files").then_some(what)
                };
                let seen = || run.stderr().lines().find_map(wanting);
                let seen = poll(|| seen().map(Some).or_else(|| run.has_ended().then_some(None)));
                let Some(what) = seen.expect("it goes on") else { break };
                refused.push(what);
                let pid = run.pid().to_string();
                let raise = ["--pid", &pid, "--nofile=64:"];
                Process::spawn(Command::new("prlimit").args(raise)).wait().expect_code(0);
                run.wait().expect_code(0).expect_stderr(&["the proxy was asked to end: http"]);
                limit += 1;
            }
            assert!(refused.contains(&"not yet") && refused.contains(&"posted"), "{refused:?}");
        }
    });
}

#[test]
fn orphans_are_reaped_while_the_proxy_is_asked() {
    let (proxy, gate) = (proxy(), Gate::default());
    proxy.says(QUIT, Reply::envoy(200, "OK\n").held(&gate));
    let run = running(&proxy, "sleep 0.3 >&- 2>&- & exit 4").spawn();
    proxy.wait_for_requests(QUIT, 1);
    let children = format!("/proc/{0}/task/{0}/children", run.pid());
    let none_left =
        poll(|| std::fs::read_to_string(&children).ok()?.trim().is_empty().then_some(()));
    none_left.expect("the orphan is adopted, ends and is reaped");
    gate.open();
    run.wait().expect_code(4);
}

#[test]
fn several_urls_are_all_asked_also_from_the_variable() {
    let (proxy, other) = (proxy(), proxy());
    let urls = format!("{0}{QUIT},{1}{QUIT}", proxy.url(), other.url());
    running(&proxy, "exit 0").env("MESHIM_QUIT_URL", &urls).run().expect_code(0);
    assert_eq!((proxy.count(QUIT), other.count(QUIT)), (1, 1));
    Meshim::does("quit").with(["--quit-url", &urls]).run().expect_code(0);
    assert_eq!((proxy.count(QUIT), other.count(QUIT)), (2, 2));
}

#[test]
fn a_native_sidecar_is_not_asked() {
    let proxy = proxy();
    let status = r#"{"initContainers":["istio-init","istio-proxy"],"containers":null}"#;
    let metadata =
        json!({ "ISTIO_VERSION": "1.28.0", "ANNOTATIONS": { "sidecar.istio.io/status": status } });
    let info =
        json!({ "version": "0/1.36.0/x", "state": "LIVE", "node": { "metadata": metadata } });
    proxy.says("/server_info", Reply::envoy(200, info.to_string()));
    running(&proxy, "exit 0").run().expect_code(0).expect_stderr(&["native sidecar"]);
    let url = format!("{}{QUIT}", proxy.url());
    running(&proxy, "exit 0").with(["--quit-url", &url]).run().expect_code(0);
    Meshim::does("quit")
        .with(["--admin-url", &proxy.url()])
        .run()
        .expect_code(0)
        .expect_stderr(&["native sidecar"]);
    Meshim::starts(["/no/such"])
        .with(["--admin-url", &proxy.url(), "--quit=always"])
        .run()
        .expect_code(127);
    assert_eq!(proxy.count(QUIT), 0);
}

#[test]
fn the_subcommand_says_no_when_nobody_agrees() {
    let proxy = proxy();
    proxy.says(QUIT, Reply::envoy(404, ""));
    let quit = || Meshim::does("quit").with(["--admin-url", &proxy.url()]);
    quit().run().expect_code(1).expect_stderr(&["the proxy will not end"]);
    proxy.says(QUIT, Reply::Silence);
    let run = quit().spawn();
    proxy.wait_for_requests(QUIT, 2);
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
    Meshim::does("quit")
        .with(["--quit-url=http://10.0.0.1/q"])
        .run()
        .expect_code(125)
        .expect_stderr(&["--allow-remote"]);
}

#[test]
fn a_server_that_speaks_another_protocol_has_agreed_to_nothing() {
    // An SSH server speaks first; a TLS server answers plain text with an alert.
    for words in [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x16"] {
        let server = TcpListener::bind("127.0.0.1:0").expect("ports are left");
        let url = format!("http://{}{QUIT}", server.local_addr().expect("it is bound"));
        let run = Meshim::does("quit").with(["--quit-url", &url]).spawn();
        let (mut stream, _) = server.accept().expect("somebody asks");
        stream.write_all(words).expect("it listens");
        let _ = stream.read(&mut [0; 512]);
        drop(stream);
        run.wait()
            .expect_code(1)
            .expect_stderr(&["the proxy will not end", "no usable HTTP answer"]);
    }
}

#[test]
fn nobody_to_ask_is_no_error_and_known_at_once() {
    inside(|| {
        let began = Instant::now();
        let said = "there is no proxy in this pod that could be asked to end";
        for mesh in ["none", "auto"] {
            let option = format!("--mesh={mesh}");
            Meshim::does("quit").with([&option]).run().expect_code(0).expect_stderr(&[said]);
        }
        Meshim::does("quit")
            .with(["--mesh=istio"])
            .run()
            .expect_code(0)
            .expect_stderr(&["nobody listens at http://localhost:15020/quitquitquit or http"]);
        // The switch-off of a platform team must not crash a container that quits.
        Meshim::starts(["sh", "-c", "exit 3"])
            .with(["--quit=always"])
            .env("MESHIM_MESH", "none")
            .run()
            .expect_code(3)
            .expect_stderr(&[said]);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    });
}

#[test]
fn a_closed_endpoint_is_passed_over() {
    inside(|| {
        // Istio with another status port: 15020 is closed.
        let at = |port| -> SocketAddr { ([127, 0, 0, 1], port).into() };
        let envoy = StandIn::late_at(at(15000)).opened();
        envoy.says("/ready", Reply::live()).says(QUIT, Reply::envoy(200, "OK\n"));
        let ready = StandIn::late_at(at(15021)).opened();
        ready.says("/healthz/ready", Reply::plain(200, ""));
        Meshim::does("quit").with(["--mesh=istio"]).run().expect_code(0);
        assert_eq!(envoy.count(QUIT), 1);
        Meshim::starts(["sh", "-c", "exit 3"]).with(["--quit=always"]).run().expect_code(3);
        assert_eq!(envoy.count(QUIT), 2);
    });
}

#[test]
fn nobody_is_asked_who_has_not_shown_to_be_a_proxy() {
    inside(|| {
        // A neighbour on the ports of an Istio proxy, which has an answer to everything.
        let neighbour = [15020, 15021, 15000].map(StandIn::on_port);
        for server in &neighbour {
            for path in ["/", QUIT, "/ready", "/healthz/ready", "/server_info"] {
                server.says(path, Reply::plain(200, "hello"));
            }
        }
        let posts = || neighbour.iter().map(|server| server.count(QUIT)).sum::<usize>();
        Meshim::does("quit").run().expect_code(0).expect_stderr(&["that is not the istio proxy"]);
        // One that hangs refutes nothing, and confirms nothing.
        for server in &neighbour {
            server.says("/ready", Reply::Silence).says("/healthz/ready", Reply::Silence);
        }
        Meshim::does("quit").run().expect_code(0).expect_stderr(&["name the mesh with --mesh"]);
        let options = ["--quit=always", "--timeout=300ms", "--request-timeout=100ms"];
        Meshim::starts(["true"]).with(options).run().expect_code(124);
        let start = ["--on-timeout=start", "--check=off"];
        Meshim::starts(["true"]).with(options).with(start).run().expect_code(0);
        assert_eq!(posts(), 0);
        Meshim::does("quit").with(["--mesh=istio"]).run().expect_code(0);
        assert_eq!(posts(), 1, "the user knows");
    });
}

#[test]
fn istios_agent_is_asked_before_envoy() {
    inside(|| {
        let at = |port| -> SocketAddr { ([127, 0, 0, 1], port).into() };
        let (agent, envoy) =
            (StandIn::late_at(at(15020)).opened(), StandIn::late_at(at(15000)).opened());
        let ready = StandIn::late_at(at(15021)).opened();
        ready.says("/healthz/ready", Reply::plain(200, ""));
        envoy.says("/ready", Reply::live()).says(QUIT, Reply::envoy(200, "OK\n"));
        agent.says(QUIT, Reply::plain(200, "OK"));
        let run = || Meshim::starts(["sh", "-c", "exit 3"]).with(["--quit=always"]).run();
        run().expect_code(3);
        assert_eq!((agent.count(QUIT), envoy.count(QUIT)), (1, 0));
        agent.says(QUIT, Reply::plain(404, ""));
        run().expect_code(3);
        assert_eq!((agent.count(QUIT), envoy.count(QUIT)), (2, 1));
        // Found by its ports alone, although the application is missing and nothing was waited for.
        Meshim::starts(["/no/such"]).with(["--quit=always"]).run().expect_code(127);
        assert_eq!((agent.count(QUIT), envoy.count(QUIT)), (3, 2));
        // The agent's own /drain makes a classic sidecar die at once: nobody may ever send it.
        assert_eq!(agent.count("/drain"), 0);
    });
}

#[test]
fn a_real_envoy_ends() {
    envoy::binary();
    let envoy = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0));
    let url = envoy.admin_url();
    Meshim::starts(["sh", "-c", "exit 3"])
        .with(["--admin-url", &url, "--quit=always"])
        .run()
        .expect_code(3);
    poll(|| envoy.has_ended().then_some(())).expect("Envoy ends");
}
