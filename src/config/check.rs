//! What to judge, and where the application is meant to listen: settings of `meshim check`.
//!
//! Owns the form of `--listen`; must never ask whether such an address exists.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::reader::{Reader, Wrong};
use super::report::OutputFormat;
use crate::cli::{CheckArgs, ListenArgs};
use crate::core::proxy::Given;

/// Settings of `meshim check`.
#[derive(Clone, Debug)]
pub struct CheckSettings {
    /// What the user said about the proxy; the rest is learnt from what listens in the pod.
    pub given: Given,
    /// What the injection said, for `auto`: is there a sidecar?
    pub injected: Option<bool>,
    /// How long one look at the proxy may take.
    pub request_timeout: Duration,
    /// Where the application is meant to listen.
    pub listen: Vec<SocketAddr>,
    /// In which form the findings are told.
    pub form: OutputFormat,
}

impl Reader<'_> {
    pub(super) fn check(&mut self, args: &CheckArgs) -> Result<CheckSettings, Wrong> {
        let remote = self.remote(args.proxy.allow_remote.as_ref());
        let given = self.proxy(&args.proxy, remote);
        let injected = self.injected();
        let request_timeout = self.request_timeout(&args.proxy);
        let listen = self.listen(&args.listen);
        let form = self.form("output", args.output.as_ref());
        remote?;
        Ok(CheckSettings {
            given: given?,
            injected: injected?,
            request_timeout: request_timeout?,
            listen: listen?,
            form: form?,
        })
    }

    pub(super) fn listen(&mut self, args: &ListenArgs) -> Result<Vec<SocketAddr>, Wrong> {
        self.list("listen", &args.listen, parse_address)
    }
}

/// `0.0.0.0:8080`, `[::]:8080`. What other programs take (`:8080`, `localhost:8080`, `8080`) is
/// refused with the two things it could mean, since they are what this check tells apart.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 {
            Err(format!(
                "`{text}` has port 0, which is a different port at every start; name the real one"
            ))
        } else {
            Ok(address)
        };
    }
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    let (host, after) = text.rsplit_once(':').unwrap_or(("", text));
    Err(match (host, port(after)) {
        _ if text.parse::<IpAddr>().is_ok() => {
            format!("`{text}` has no port; write it behind a colon, as 0.0.0.0:8080")
        }
        ("localhost", Some(port)) => {
            format!("`{text}` names no address; write 127.0.0.1:{port} or [::1]:{port}")
        }
        ("" | "*", Some(port)) => {
            format!("`{text}` names no address; write 0.0.0.0:{port} or [::]:{port}")
        }
        _ => format!("`{text}` is no address and port; write 0.0.0.0:8080, [::]:8080 or the like"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:1", "[fd00::5]:65535"] {
            assert_eq!(parse_address(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_other_programs_take_is_refused_with_what_it_could_mean() {
        let table = [
            (":8080", "write 0.0.0.0:8080 or [::]:8080"),
            ("*:8080", "write 0.0.0.0:8080 or [::]:8080"),
            ("8080", "write 0.0.0.0:8080 or [::]:8080"),
            ("localhost:8080", "write 127.0.0.1:8080 or [::1]:8080"),
            ("0.0.0.0", "has no port"),
            ("::1", "has no port"),
            ("0.0.0.0:0", "different port at every start"),
            ("0.0.0.0:65536", "no address and port"),
            ("", "no address and port"),
            ("web:8080", "no address and port"),
        ];
        for (text, part) in table {
            let error = parse_address(text).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
