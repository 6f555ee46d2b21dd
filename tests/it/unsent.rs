//! A Job's last bytes, through a real Envoy that is asked to end as soon as the Job has.

#![expect(
    clippy::disallowed_methods,
    reason = "a slow receiver is one that sleeps, beside the Job that it receives from"
)]

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket,
    sockopt,
};
use serde_json::{Value, json};

use super::load::free_port;
use crate::support::envoy::{self, Bootstrap, Envoy, cluster_to};
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::process::Process;

/// What the Job sends: more than the kernel and Envoy have room for.
const BYTES: usize = 12_000_000;

const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";

/// Sends it, closes, and does not wait for an answer.
const JOB: &str = "
import socket, sys
receiver = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
receiver.sendall(bytes(12000000))
receiver.close()
";

/// Takes 8 MB a second from one connection; how much of it came before its end.
fn slow_receiver() -> (u16, JoinHandle<usize>) {
    let listener = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
        .expect("sockets are left");
    // Before it listens: what is accepted inherits it.
    setsockopt(&listener, sockopt::RcvBuf, &65_536).expect("every socket has it");
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let SocketAddr::V4(any) = any else { unreachable!("it is") };
    bind(listener.as_raw_fd(), &SockaddrIn::from(any)).expect("ports are left");
    listen(&listener, Backlog::MAXCONN).expect("it is bound");
    let listener = TcpListener::from(listener);
    let port = listener.local_addr().expect("it is bound").port();
    let receiving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let (mut buffer, mut received) = (vec![0; 40_000], 0);
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            received += length;
            std::thread::sleep(Duration::from_millis(5));
        }
        received
    });
    (port, receiving)
}

fn forwarder(port: u16) -> Value {
    json!({
        "name": "outbound",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.tcp_proxy",
            "typed_config": {
                "@type": format!("{EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy"),
                "stat_prefix": "outbound",
                "cluster": "receiver",
            },
        }] }],
    })
}

#[test]
fn a_jobs_last_bytes_arrive_before_the_proxy_is_asked_to_end() {
    envoy::binary();
    // A network namespace of its own: in another one somebody else's bytes would be waited for.
    inside(|| {
        let through_envoy = |run: &dyn Fn(&Envoy, &str)| {
            let (sink, receiving) = slow_receiver();
            let port = free_port();
            let bootstrap = Bootstrap::with_admin("127.0.0.1", 0)
                .cluster(cluster_to("receiver", sink))
                .listener(forwarder(port));
            let envoy = Envoy::start(&bootstrap);
            run(&envoy, &port.to_string());
            let received = receiving.join().expect("it says why");
            crate::support::shared::poll(|| envoy.has_ended().then_some(())).expect("it was asked");
            received
        };
        let whole = through_envoy(&|envoy, port| {
            let run = Meshim::starts(["python3", "-c", JOB, port])
                .with(["--admin-url", &envoy.admin_url(), "--quit=always"])
                .run();
            run.expect_code(0).expect_stderr(&["everything that was on its way has been sent"]);
        });
        assert_eq!(whole, BYTES);
        // What happens where nobody waits: the receiver sees a clean end, and less.
        let cut = through_envoy(&|envoy, port| {
            Meshim::does("wait").with(["--admin-url", &envoy.admin_url()]).run().expect_code(0);
            let mut job = std::process::Command::new("python3");
            Process::spawn(job.args(["-c", JOB, port])).wait().expect_code(0);
            assert_eq!(envoy.asks("POST", "/quitquitquit").0, 200);
        });
        assert!(cut < BYTES, "{cut}");
    });
}
