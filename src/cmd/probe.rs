//! `meshim probe`: one look at a server, judged as the kubelet judges its own probes.
//!
//! Owns that judgement: a redirect counts as yes (the kubelet counts 200-399: `pkg/probe/http`).
//! Must never follow one, or write to the termination log.

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::ending::stopped;
use super::runtime::until_stopped;
use crate::config::{ProbeSettings, ProbeTarget};
use crate::core::answer::Fault;
use crate::core::duration::Spoken;
use crate::core::exit::{Exit, Failure};
use crate::io::http::client::Client;
use crate::io::signals::StopSignals;

/// 0 where the server answers well, else 1 with the reason on stderr. Never in the termination log:
/// that one is for the container's own end.
///
/// # Errors
/// The kernel refuses what the look needs.
pub fn probe(settings: &ProbeSettings, mut stop: StopSignals) -> Result<Exit, Failure> {
    Ok(match until_stopped(&mut stop, look(settings))? {
        Err(signal) => stopped(signal, "looking at the server"),
        Ok(None) => Exit::Yes,
        Ok(Some(why)) => {
            tracing::error!(event = "failed", exit_code = Exit::No.code(), "{why}");
            Exit::No
        }
    })
}

/// Why the answer is no; `None` is yes.
async fn look(settings: &ProbeSettings) -> Option<String> {
    let until = Instant::now() + settings.timeout;
    let (name, fault) = match &settings.target {
        ProbeTarget::Http(endpoint) => {
            let name = endpoint.to_string();
            match Client::new(endpoint.address.clone()).get(&endpoint.path, until).await {
                Ok(answer) if (200..400).contains(&answer.status) => return None,
                Ok(answer) => {
                    return Some(format!("{name}: status {}, not 200 to 399", answer.status));
                }
                Err(fault) => (name, fault),
            }
        }
        ProbeTarget::Tcp(address) => {
            let name = address.to_string().replace("http://", "tcp://");
            match timeout_at(until, TcpStream::connect(&address.socket_addresses()[..])).await {
                // Where the port is one of those for outgoing connections, the kernel may connect
                // us to ourselves: nobody listens there.
                Ok(Ok(stream)) if stream.local_addr().ok() == stream.peer_addr().ok() => {
                    (name, Fault::Refused)
                }
                Ok(Ok(_)) => return None,
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    (name, Fault::Refused)
                }
                Ok(Err(error)) => (name, Fault::Unreachable(error.to_string())),
                Err(_) => (name, Fault::Silent),
            }
        }
    };
    let hint = match fault {
        Fault::Refused => ": nobody listens there".to_owned(),
        Fault::Silent => format!(" ({}); --timeout gives it more", Spoken(settings.timeout)),
        _ => String::new(),
    };
    Some(format!("{name}: {fault}{hint}"))
}
