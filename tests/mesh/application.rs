//! The application: an HTTP server on one address, and what a client gets from it.

#![expect(
    clippy::disallowed_methods,
    reason = "that rule is for meshim; the application may have threads"
)]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{
    self, AddressFamily, Backlog, Shutdown, SockFlag, SockType, SockaddrStorage, setsockopt,
    sockopt,
};

const ANSWER: &str = "hello from the application";

/// A server; gone when dropped.
#[derive(Debug)]
pub(crate) struct Application {
    listener: TcpListener,
    thread: Option<JoinHandle<()>>,
}

impl Application {
    /// Listens on `address`; `v6only` is what an IPv6 socket says about IPv4.
    pub(crate) fn on(address: SocketAddr, v6only: bool) -> Self {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .expect("sockets are left");
        setsockopt(&socket, sockopt::ReuseAddr, &true).expect("every TCP socket has it");
        if address.is_ipv6() {
            setsockopt(&socket, sockopt::Ipv6V6Only, &v6only).expect("every IPv6 socket has it");
        }
        let bound = socket::bind(socket.as_raw_fd(), &SockaddrStorage::from(address));
        bound.unwrap_or_else(|error| panic!("{address}: {error}"));
        socket::listen(&socket, Backlog::MAXCONN).expect("the port is ours");
        let listener = TcpListener::from(socket);
        let acceptor = listener.try_clone().expect("descriptors are left");
        let thread = std::thread::spawn(move || {
            while let Ok((stream, _)) = acceptor.accept() {
                let _ = answer(stream);
            }
        });
        Self { listener, thread: Some(thread) }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = socket::shutdown(self.listener.as_raw_fd(), Shutdown::Both);
        self.thread
            .take()
            .expect("it is there until now")
            .join()
            .expect("the application never panics");
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let length = ANSWER.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{ANSWER}"
    )
}

/// Does a client that connects to `ip:port` get the application's answer?
pub(crate) fn answers(ip: IpAddr, port: u16) -> bool {
    let asked = || {
        let mut stream = TcpStream::connect_timeout(&(ip, port).into(), Duration::from_secs(10))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(stream, "GET / HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok::<String, std::io::Error>(text)
    };
    asked().is_ok_and(|text| text.ends_with(ANSWER))
}
