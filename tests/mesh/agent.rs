//! What pilot-agent does on 15020, as far as the application's container can tell (istio:
//! `status/server.go`, `status/ready/probe.go`): `/healthz/ready` asks Envoy's statistics,
//! `/quitquitquit` is for POST from loopback.
//!
//! It runs as a process of its own, since the rules are about its user: this test binary again, as
//! [`agent_main`].

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use crate::support::process::Process;

/// Set in the process that is the agent; holds the address of Envoy's admin API.
const AGENT: &str = "MESHIM_TEST_AGENT";

/// A running agent, as this user.
pub(crate) fn start(admin: SocketAddr, uid: u32) -> Process {
    let id = uid.to_string();
    // The binary may be where only its owner can go: a shell opens it first.
    let become_it = r#"exec 9<"$1"
        exec setpriv --reuid "$2" --regid "$2" --clear-groups \
            /proc/self/fd/9 "$3" agent::agent_main --nocapture"#;
    let mut shell = Command::new("/bin/sh");
    let own = std::env::current_exe().expect("/proc is there");
    shell
        .args(["-c", become_it, "sh"])
        .arg(own)
        .args([&id, "--exact"])
        .env(AGENT, admin.to_string());
    let process = Process::spawn(&mut shell);
    process.wait_for_stdout("the agent listens");
    process
}

#[test]
fn agent_main() {
    let Some(admin) = std::env::var_os(AGENT) else { return };
    let admin: SocketAddr =
        admin.to_str().expect("it is an address").parse().expect("it is an address");
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 15020))
        .expect("15020 is free in a pod of our own");
    println!("the agent listens");
    for stream in listener.incoming().flatten() {
        let _ = serve(&stream, admin);
    }
}

fn serve(mut stream: &TcpStream, admin: SocketAddr) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let local = stream.peer_addr()?.ip().to_canonical().is_loopback();
    let (status, body) = match (path, method) {
        ("/healthz/ready", _) if is_ready(admin) => (200, ""),
        ("/healthz/ready", _) => (503, ""),
        ("/quitquitquit", _) if !local => (403, "Only requests from localhost are allowed\n"),
        ("/quitquitquit", "POST") => (200, "OK"),
        ("/quitquitquit", _) => (405, "Method Not Allowed\n"),
        _ => (404, "404 page not found\n"),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Both kinds of configuration accepted once, LIVE, workers started.
fn is_ready(admin: SocketAddr) -> bool {
    let stats = stats(admin).unwrap_or_default();
    let value = |name: &str| {
        stats
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse::<u64>().ok())
    };
    value("cluster_manager.cds.update_success").is_some_and(|count| count > 0)
        && value("server.state") == Some(0)
        && value("listener_manager.workers_started") == Some(1)
}

/// What Envoy's `/stats` says, chunk marks and all.
pub(crate) fn stats(admin: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(admin)?;
    write!(stream, "GET /stats?usedonly HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}
