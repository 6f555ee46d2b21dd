//! What to look at once, and for how long: settings of `meshim probe`.
//!
//! Owns the form of a target; must never look at it.

use std::time::Duration;

use super::proxy::{Remote, parse_url};
use super::reader::{Reader, Wrong};
use crate::cli::ProbeArgs;
use crate::core::endpoint::{Address, Endpoint};

/// How long the look may take: the kubelet's own default for a probe.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Settings of `meshim probe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// At what.
    pub target: ProbeTarget,
    /// How long the look may take.
    pub timeout: Duration,
}

/// What a probe looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeTarget {
    /// An HTTP resource: its status decides.
    Http(Endpoint),
    /// A port: whether it takes connections decides.
    Tcp(Address),
}

impl Reader<'_> {
    pub(super) fn probe(&mut self, args: &ProbeArgs) -> Result<ProbeSettings, Wrong> {
        let remote = self.remote(args.allow_remote.as_ref());
        let target = self.positional("target", &args.target, |text| parse_target(text, remote));
        let timeout = self.look_time("probe_timeout", args.probe_timeout.as_ref(), TIMEOUT);
        remote?;
        Ok(ProbeSettings { target: target?, timeout: timeout? })
    }
}

/// What may be looked at once, or waited for.
pub(super) fn parse_target(text: &str, remote: Remote) -> Result<ProbeTarget, String> {
    let Some(authority) = text.strip_prefix("tcp://") else {
        return match parse_url(text, remote) {
            Ok(endpoint) => Ok(ProbeTarget::Http(endpoint)),
            Err(error) if text.starts_with("https://") => {
                Err(format!("{error}, or tcp:// and see whether the port takes connections"))
            }
            Err(error) if text.starts_with("http://") || text.starts_with("unix:") => Err(error),
            Err(_) => Err(format!(
                "`{text}` is no target; write http://127.0.0.1:8080/healthz or tcp://127.0.0.1:8080"
            )),
        };
    };
    let as_http = parse_url(&format!("http://{authority}"), remote);
    // Told in the words that were typed.
    let endpoint = as_http.map_err(|error| error.replace("`http://", "`tcp://"))?;
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port && endpoint.path == "/" {
        Ok(ProbeTarget::Tcp(endpoint.address))
    } else {
        Err(format!("`{text}` is no port; write tcp://127.0.0.1:8080"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_targets_are_read() {
        let http = |text: &str| Ok(ProbeTarget::Http(text.parse().unwrap()));
        let tcp = |text: &str| Ok(ProbeTarget::Tcp(text.parse::<Endpoint>().unwrap().address));
        let table = [
            ("http://127.0.0.1:8080/healthz", http("http://127.0.0.1:8080/healthz")),
            ("unix:/a.sock:/healthz", http("unix:/a.sock:/healthz")),
            ("tcp://127.0.0.1:8080", tcp("http://127.0.0.1:8080")),
            ("tcp://localhost:8080", tcp("http://localhost:8080")),
            ("tcp://[::1]:8080", tcp("http://[::1]:8080")),
        ];
        for (text, expected) in table {
            assert_eq!(parse_target(text, Ok(false)), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused_with_one() {
        let table = [
            ("127.0.0.1:8080", "write http://127.0.0.1:8080/healthz or tcp://127.0.0.1:8080"),
            (
                "grpc://127.0.0.1:8080",
                "write http://127.0.0.1:8080/healthz or tcp://127.0.0.1:8080",
            ),
            ("tcp://127.0.0.1", "write tcp://127.0.0.1:8080"),
            ("tcp://127.0.0.1:8080/x", "write tcp://127.0.0.1:8080"),
            ("tcp://10.0.0.1:80", "leads out of this pod"),
            ("tcp://127.0.0.1:0", "`tcp://127.0.0.1:0` has no usable port"),
            ("https://127.0.0.1:1/", "plain http://, or tcp:// and see whether the port takes"),
            ("http://0.0.0.0:8080/", "is where a server listens, and no address to ask; write"),
            ("tcp://[::]:8080", "`tcp://[::]:8080` is where a server listens"),
            ("http://10.0.0.1:80/", "--allow-remote"),
            ("", "is no target"),
        ];
        for (text, part) in table {
            let error = parse_target(text, Ok(false)).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(parse_target("tcp://10.0.0.1:80", Ok(true)).is_ok());
        assert!(parse_target("tcp://0.0.0.0:80", Ok(true)).is_ok());
    }
}
