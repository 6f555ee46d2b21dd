//! No request lost in a rolling update: fifty clients that are busy without a pause, an application
//! that ends at TERM without finishing anything, and its successor, which is ready before that;
//! through real Envoys and without any proxy.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; a test has clients and a server in threads"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::client::{Answered, Client, Http};
use crate::support::envoy::{self, Bootstrap, Envoy, cluster_to};
use crate::support::meshim::{Meshim, Running};
use crate::support::namespace::inside_within;
use crate::support::process::Process;
use crate::support::shared::{DEADLINE, poll};

/// A server that answers `/250` after 250 ms, and any other path after 20; ends at once on TERM,
/// and says on which port it listens.
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
            path = line.split()[1][1:]
            time.sleep((int(path) if path.isdigit() else 20) / 1000)
            self.wfile.write(b'HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok')
class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 1000
server = Server(('127.0.0.1', int(sys.argv[1])), Handler)
print('port', server.server_address[1], flush=True)
server.serve_forever()
";

/// For two updates, of which each takes 8 s on an empty machine: twice as long as a starved one was
/// seen to need.
const PATIENCE: Duration = DEADLINE.saturating_mul(5);

/// Longer than any drain here: a client that begins a request of 8 s just before the endpoint is
/// removed must not be cut off, however late a busy machine removes it.
const LONGEST: &str = "--drain-max=2m";

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
    let mut client = Client::connect(port, Http::Two).expect("somebody listens");
    // The GOAWAY may come behind the answer.
    let answered = (0..2).map(|_| client.get("/").expect("it is answered"));
    answered.last() != Some(Answered::GoOn)
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("ports are left");
    listener.local_addr().expect("it is bound").port()
}

/// How one client uses its connection.
#[derive(Clone, Copy, Debug)]
struct Manner {
    http: Http,
    path: &'static str,
    /// A connection for each request.
    anew: bool,
}

/// What the clients know and count together.
#[derive(Debug, Default)]
struct World {
    /// The endpoint has been taken out of the load balancing: no new connections.
    removed: AtomicBool,
    begun: AtomicU64,
    answered: AtomicU64,
    lost: AtomicU64,
}

/// Where clients find the old instance and its successor.
#[derive(Clone, Copy, Debug)]
struct Update {
    old: u16,
    new: u16,
}

/// One client, as another sidecar is: goes on until the endpoint is removed and its connection is
/// closed by the server's wish, and then at the successor; or until a request is lost.
fn client(update: Update, manner: Manner, world: &World) {
    let mut last = Ok(());
    while last.is_ok() && !world.removed.load(Ordering::SeqCst) {
        last = connection(update.old, manner, world);
    }
    let moved = last.and_then(|()| {
        connection(update.new, Manner { path: "/100", anew: true, ..manner }, world)
    });
    if moved.is_err() {
        world.lost.fetch_add(1, Ordering::SeqCst);
    }
}

/// Requests on one connection until the server wants it closed; an error is a lost one.
fn connection(port: u16, manner: Manner, world: &World) -> std::io::Result<()> {
    world.begun.fetch_add(1, Ordering::SeqCst);
    let mut client = Client::connect(port, manner.http)?;
    loop {
        let answered = client.get(manner.path)?;
        if answered == Answered::NotBegun {
            return Ok(());
        }
        world.answered.fetch_add(1, Ordering::SeqCst);
        if answered == Answered::AndGo || manner.anew {
            return Ok(());
        }
        world.begun.fetch_add(1, Ordering::SeqCst);
    }
}

/// Fifty clients: five of each language in `https` have requests of 8 s, the others of 0.1 s.
fn fifty(https: &[Http], anew: bool) -> Vec<Manner> {
    let slow = https.iter().flat_map(|http| [(*http, "/8000"); 5]);
    let fast = https.iter().copied().cycle().map(|http| (http, "/100"));
    slow.chain(fast).take(50).map(|(http, path)| Manner { http, path, anew }).collect()
}

/// Stops the old instance, a supervised server, under load; how many requests were answered and
/// lost.
fn stopped_under_load(run: Running, update: Update, manners: Vec<Manner>) -> (u64, u64) {
    let (world, all) = (Arc::new(World::default()), manners.len());
    let clients = manners.into_iter().map(|manner| {
        let world = Arc::clone(&world);
        std::thread::spawn(move || client(update, manner, &world))
    });
    let clients: Vec<_> = clients.collect();
    // Each has begun its first request, and the short ones have gone round ten times.
    let begun = || world.begun.load(Ordering::SeqCst);
    poll(|| usize::try_from(begun()).is_ok_and(|begun| begun >= all).then_some(())).expect("all");
    wait_until(&world, 400);
    run.signal(Signal::SIGTERM);
    // The endpoint is removed some time after the signal, as Kubernetes does it: 300 more requests
    // have ended by then.
    wait_until(&world, world.answered.load(Ordering::SeqCst) + 300);
    world.removed.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("a client never panics");
    }
    run.wait().expect_code(0);
    (world.answered.load(Ordering::SeqCst), world.lost.load(Ordering::SeqCst))
}

/// Until so many have been answered, or nobody with short requests is left.
fn wait_until(world: &World, answered: u64) {
    let until = Instant::now() + DEADLINE * 2;
    while world.answered.load(Ordering::SeqCst) < answered && world.lost.load(Ordering::SeqCst) < 40
    {
        assert!(Instant::now() < until, "{world:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A supervised server on this port.
fn server(port: u16, options: &[&str]) -> Running {
    let port = port.to_string();
    let run = Meshim::starts(["python3", "-c", SERVER, &port]).with(options.to_vec()).spawn();
    run.wait_for_stdout("port ");
    run
}

fn behind_envoy(options: &[&str]) -> (u64, u64) {
    let (port, inbound) = (free_port(), free_port());
    let bootstrap = Bootstrap::with_admin("127.0.0.1", 0).cluster(cluster_to("app", port));
    let envoy = Envoy::start_with(
        &bootstrap.listener(inbound_listener(inbound)),
        &["--drain-strategy", "immediate"],
    );
    let run = server(port, &[&["--admin-url", &envoy.admin_url()], options].concat());
    let (app, new) = (Application::start(), free_port());
    let successor = Bootstrap::with_admin("127.0.0.1", 0).cluster(cluster_to("app", app.port()));
    let _successor = Envoy::start_with(&successor.listener(inbound_listener(new)), &[]);
    for port in [inbound, new] {
        poll(|| TcpStream::connect(("127.0.0.1", port)).ok()).expect("Envoy's workers listen");
    }
    let update = Update { old: inbound, new };
    stopped_under_load(run, update, fifty(&[Http::One, Http::Two], false))
}

#[test]
fn no_request_is_lost_behind_an_envoy_with_draining_and_some_are_without() {
    let _ = envoy::binary();
    inside_within(PATIENCE, || {
        let (answered, lost) = behind_envoy(&["--drain", "--drain-min=1s", LONGEST]);
        println!("behind an Envoy, with draining: {answered} answered, {lost} lost");
        let (without, lost_without) = behind_envoy(&["--supervise"]);
        println!("behind an Envoy, without draining: {without} answered, {lost_without} lost");
        assert_eq!(lost, 0);
        assert!(lost_without > 0);
    });
}

fn without_proxy(options: &[&str], anew: bool) -> (u64, u64) {
    let port = free_port();
    let run = server(port, &[&["--mesh=none"], options].concat());
    let successor = Application::start();
    let update = Update { old: port, new: successor.port() };
    stopped_under_load(run, update, fifty(&[Http::One], anew))
}

#[test]
fn without_a_proxy_no_request_is_lost_of_clients_that_connect_anew() {
    inside_within(PATIENCE, || {
        let drain = ["--drain", "--drain-min=1s", LONGEST];
        let (answered, lost) = without_proxy(&drain, true);
        println!("connecting anew, with draining: {answered} answered, {lost} lost");
        let (without, lost_without) = without_proxy(&["--supervise"], true);
        println!("connecting anew, without draining: {without} answered, {lost_without} lost");
        assert_eq!(lost, 0);
        assert!(lost_without > 0);
    });
}

/// Nobody tells them to go: each may lose the one request that is under way in the end.
#[test]
fn without_a_proxy_a_busy_keep_alive_client_loses_one_request_at_most() {
    inside_within(PATIENCE, || {
        let drain = ["--drain", "--drain-min=1s", "--drain-max=4s"];
        let (answered, lost) = without_proxy(&drain, false);
        println!("busy without a pause, with draining: {answered} answered, {lost} lost");
        let (without, lost_without) = without_proxy(&["--supervise"], false);
        println!("busy without a pause, without: {without} answered, {lost_without} lost");
        assert!(lost <= 50, "{lost}");
        assert!(answered > without);
    });
}
