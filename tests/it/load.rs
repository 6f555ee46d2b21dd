//! No request lost: fifty clients through a real Envoy to an application that is stopped under
//! load.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; a test has clients and a server in threads"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::envoy::{self, Bootstrap, Envoy, cluster_to};
use crate::support::meshim::{Meshim, Running};
use crate::support::process::Process;
use crate::support::shared::poll;

/// A server that answers after 20 ms, ends at once on TERM, and says on which port it listens.
const SERVER: &str = "
import signal, sys, threading, time, os, socket, socketserver
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    def handle(self):
        while True:
            line = self.rfile.readline()
            if not line: return
            while self.rfile.readline() not in (b'\\r\\n', b''): pass
            time.sleep(0.02)
            self.wfile.write(b'HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok')
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1000
server = Server(('127.0.0.1', int(sys.argv[1])), Handler)
print('port', server.server_address[1], flush=True)
server.serve_forever()
";

/// The server alone, without meshim.
#[derive(Debug)]
pub(crate) struct Application {
    _process: Process,
    port: u16,
}

impl Application {
    pub(crate) fn start() -> Self {
        let process =
            Process::spawn(std::process::Command::new("python3").args(["-c", SERVER, "0"]));
        let port = port_in(&process.wait_for_stdout("port "));
        Self { _process: process, port }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

fn port_in(line: &str) -> u16 {
    line.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("the server says its port")
}

/// An inbound HTTP listener on this port of 127.0.0.1, for the cluster `app`. It retries nothing.
pub(crate) fn inbound_listener(port: u16) -> Value {
    let router = json!({ "name": "router", "typed_config": { "@type": envoy::ROUTER } });
    let to_it = json!({ "cluster": "app", "timeout": "0s" });
    let route = json!({ "match": { "prefix": "/" }, "route": to_it });
    let hosts = json!([{ "name": "all", "domains": ["*"], "routes": [route] }]);
    let manager = json!({ "name": "http", "typed_config": {
        "@type": envoy::HTTP_MANAGER,
        "stat_prefix": "inbound_test", "codec_type": "AUTO", "http_filters": [router],
        "route_config": { "virtual_hosts": hosts } } });
    json!({ "name": "inbound", "traffic_direction": "INBOUND",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "filter_chains": [{ "filters": [manager] }] })
}

/// One request on a connection of its own; the whole answer.
pub(crate) fn get_once(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .expect("it is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is answered");
    answer
}

/// One HTTP/2 request on a connection of its own; does the server answer it with a GOAWAY?
pub(crate) fn is_sent_away_over_http2(port: u16) -> bool {
    const GOAWAY: u8 = 7;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    stream.set_read_timeout(Some(Duration::from_secs(2))).expect("every socket has it");
    // An empty SETTINGS; HEADERS on stream 1, complete: GET, http, /, and the authority `a` (RFC
    // 9113, RFC 7541).
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let headers = [0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a'];
    let request = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings, &headers].concat();
    stream.write_all(&request).expect("it is open");
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).is_err() {
            return false;
        }
        if head[3] == GOAWAY {
            return true;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut body = vec![0; usize::try_from(length).expect("24 bits")];
        stream.read_exact(&mut body).expect("a frame comes whole");
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("ports are left");
    listener.local_addr().expect("it is bound").port()
}

/// What the clients know and count together.
#[derive(Debug, Default)]
struct World {
    /// The endpoint has been taken out of the load balancing: no new connections.
    removed: AtomicBool,
    answered: AtomicU64,
    lost: AtomicU64,
}

/// One client with a keep-alive connection, as another sidecar is: goes on until the endpoint is
/// removed and its connection is closed by the proxy's wish, or until a request is lost.
fn client(port: u16, world: &World) {
    while !world.removed.load(Ordering::SeqCst) {
        let connected = TcpStream::connect(("127.0.0.1", port)).ok();
        if connected.and_then(|stream| requests(stream, world)).is_none() {
            world.lost.fetch_add(1, Ordering::SeqCst);
            return;
        }
    }
}

/// Requests until an answer asks to close the connection; `None` where one was lost.
fn requests(stream: TcpStream, world: &World) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.set_nodelay(true).ok()?;
    let mut stream = BufReader::new(stream);
    loop {
        let close = request(&mut stream)?;
        world.answered.fetch_add(1, Ordering::SeqCst);
        if close {
            return Some(());
        }
    }
}

/// One request; `None` where it was lost, else: did the answer ask to close the connection?
fn request(stream: &mut BufReader<TcpStream>) -> Option<bool> {
    stream.get_mut().write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").ok()?;
    let (mut line, mut close, mut length) = (String::new(), false, 0);
    stream.read_line(&mut line).ok()?;
    if !line.starts_with("HTTP/1.1 200") {
        return None;
    }
    loop {
        line.clear();
        stream.read_line(&mut line).ok()?;
        let header = line.trim().to_ascii_lowercase();
        close |= header == "connection: close";
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
        if header.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(close)
}

/// Stops a supervised server under load; how many requests were answered and lost.
fn stopped_under_load(options: &[&str]) -> (u64, u64) {
    let (port, inbound) = (free_port(), free_port());
    let bootstrap = Bootstrap::with_admin("127.0.0.1", 0).cluster(cluster_to("app", port));
    let envoy = Envoy::start_with(
        &bootstrap.listener(inbound_listener(inbound)),
        &["--drain-strategy", "immediate"],
    );
    let url = envoy.admin_url();
    let port = port.to_string();
    let run: Running = Meshim::starts(["python3", "-c", SERVER, &port])
        .with(["--admin-url", &url])
        .with(options.to_vec())
        .spawn();
    run.wait_for_stdout("port ");
    poll(|| TcpStream::connect(("127.0.0.1", inbound)).ok()).expect("Envoy's workers listen");
    let world = Arc::new(World::default());
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let world = Arc::clone(&world);
            std::thread::spawn(move || client(inbound, &world))
        })
        .collect();
    wait_until(&world, 1_000);
    run.signal(Signal::SIGTERM);
    // The endpoint is removed some time after the signal, as Kubernetes does it: 500 more requests
    // have ended by then.
    wait_until(&world, world.answered.load(Ordering::SeqCst) + 500);
    world.removed.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("a client never panics");
    }
    run.wait().expect_code(0);
    (world.answered.load(Ordering::SeqCst), world.lost.load(Ordering::SeqCst))
}

/// Until so many have been answered, or every client has lost its request and gone home.
fn wait_until(world: &World, answered: u64) {
    let until = Instant::now() + Duration::from_secs(30);
    while world.answered.load(Ordering::SeqCst) < answered && world.lost.load(Ordering::SeqCst) < 50
    {
        assert!(Instant::now() < until, "{world:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn no_request_is_lost_with_draining_and_some_are_without() {
    let (answered, lost) = stopped_under_load(&["--drain", "--drain-min=2s", "--drain-max=20s"]);
    println!("with draining: {answered} answered, {lost} lost");
    let (without, lost_without) = stopped_under_load(&["--supervise"]);
    println!("without draining: {without} answered, {lost_without} lost");
    assert_eq!(lost, 0);
    assert!(lost_without > 0);
}
