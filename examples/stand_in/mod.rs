//! What the examples stand on: the meshim that cargo built, and a sidecar of a few lines that says
//! what it is asked.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    dead_code,
    reason = "an example has threads and talks; each uses a part of this"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// A classic sidecar: ready, with requests in flight, and gone once it is asked to end.
#[derive(Clone, Debug)]
pub(crate) struct Sidecar {
    url: String,
    in_flight: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
    is_quiet: bool,
}

impl Sidecar {
    /// Starts it on a free port.
    pub(crate) fn start() -> std::io::Result<Self> {
        Self::begin(false)
    }

    /// The same, without a word.
    pub(crate) fn start_quietly() -> std::io::Result<Self> {
        Self::begin(true)
    }

    fn begin(is_quiet: bool) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sidecar = Self {
            url: format!("http://{}", listener.local_addr()?),
            in_flight: Arc::default(),
            ended: Arc::default(),
            draining: Arc::default(),
            is_quiet,
        };
        let serving = sidecar.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = serving.clone();
                thread::spawn(move || connection.serve(stream));
            }
        });
        Ok(sidecar)
    }

    /// Where its admin API is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// So many requests are in flight from now on.
    pub(crate) fn set_in_flight(&self, requests: u64) {
        self.in_flight.store(requests, Ordering::SeqCst);
    }

    /// Has it been asked to end?
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Has it been asked to drain?
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut writer = stream.try_clone().ok()?;
        let mut lines = BufReader::new(stream).lines();
        loop {
            let request = lines.next()?.ok()?;
            while !lines.next()?.ok()?.is_empty() {}
            let body = self.answer(&request)?;
            // One segment: two would wait for each other (Nagle's algorithm, delayed
            // acknowledgements).
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            writer.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn answer(&self, request: &str) -> Option<String> {
        let path = request.split([' ', '?']).nth(1)?;
        if request.starts_with("POST") && !self.is_quiet {
            println!("sidecar gets {request}");
        }
        Some(match path {
            "/drain_listeners" => {
                self.draining.store(true, Ordering::SeqCst);
                "OK\n".to_owned()
            }
            "/quitquitquit" => {
                self.ended.store(true, Ordering::SeqCst);
                "OK\n".to_owned()
            }
            "/stats" => {
                format!(
                    "http.inbound.downstream_rq_active: {}\nserver.state: 0\n",
                    self.in_flight.load(Ordering::SeqCst)
                )
            }
            "/server_info" => r#"{"version":"0/1.40.0/Clean","state":"LIVE"}"#.to_owned(),
            _ => "LIVE\n".to_owned(),
        })
    }
}

/// The meshim beside this example's directory: `cargo build` makes it, `cargo run --example` as
/// well.
pub(crate) fn meshim() -> PathBuf {
    let own = std::env::current_exe().expect("/proc is there");
    own.ancestors().nth(2).expect("target/debug/examples").join("meshim")
}

/// Starts a command whose standard output is read with [`wait_for`].
pub(crate) fn start(
    command: &mut Command,
) -> std::io::Result<(Child, BufReader<std::process::ChildStdout>)> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().expect("it is piped");
    Ok((child, BufReader::new(stdout)))
}

/// Reads lines until one contains `part`.
pub(crate) fn wait_for(stdout: &mut BufReader<std::process::ChildStdout>, part: &str) {
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert!(stdout.read_line(&mut line).is_ok_and(|count| count > 0), "never said `{part}`");
        print!("application: {line}");
    }
}
