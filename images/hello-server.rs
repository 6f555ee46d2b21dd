//! The application of the images and manifests: a server, or a job, that knows nothing of meshes.
//!
//! `hello-server [ADDR:PORT]` answers every request, `/healthz` too, until SIGTERM; 0.0.0.0:8080
//! without an address. `hello-server --fetch ADDR:PORT` asks once and ends, as a Job does: with 0
//! after an answer, else with 1.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are meshim's; the application may have threads"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        [] => serve("0.0.0.0:8080"),
        ["--fetch", address] => fetch(address),
        [address] => serve(address),
        _ => Err(std::io::Error::other("usage: hello-server [ADDR:PORT] | --fetch ADDR:PORT")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "hello-server: {text}");
}

/// Serves until SIGTERM; the request at hand is finished first.
fn serve(address: &str) -> std::io::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let listener = TcpListener::bind(address)?;
    let own = listener.local_addr()?;
    let mut signals = signal_hook::iterator::Signals::new([15])?;
    let seen = Arc::clone(&stop);
    std::thread::spawn(move || {
        // As PID 1 nothing ends a program that does not ask for it.
        if signals.forever().next().is_some() {
            seen.store(true, Ordering::SeqCst);
            let _ = TcpStream::connect(own);
        }
    });
    say(&format!("listening on {own} as process {}", std::process::id()));
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let _ = stream.and_then(answer);
    }
    say("got SIGTERM, all requests are answered");
    Ok(())
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    let body = "hello from the application\n";
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn fetch(address: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    say(&format!("got {}", answer.lines().next().unwrap_or("nothing")));
    Ok(())
}
