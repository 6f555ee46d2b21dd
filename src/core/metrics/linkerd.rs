//! What Linkerd's proxy tells about itself (`4191/metrics`).
//!
//! Owns the names of its metrics (linkerd2-proxy); must never judge.

use std::time::Duration;

use crate::core::envoy::lines::Lines;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;
use crate::core::metrics::sample::Sample;

/// A histogram's line with all of its labels is under 2 KB.
const MOST_LINE: usize = 8 * 1024;

/// The proxy's own admin server, which answers this very request.
const ADMIN_PORT: &str = "4191";

/// What the proxy told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linkerd {
    /// The page is of Linkerd's proxy.
    pub is_linkerd: bool,
    /// When the proxy was started, in seconds since 1970.
    pub started: Option<u64>,
    /// When its certificate expires, in seconds since 1970.
    pub certificate_expires: Option<u64>,
    /// Requests to the application that its policies refused.
    pub denied: u64,
    /// Requests to the application that came without mesh TLS.
    pub plaintext: u64,
    /// The proxy's memory, in bytes.
    pub memory: Option<u64>,
}

/// Reads the page.
#[derive(Debug)]
pub struct LinkerdPage {
    lines: Lines,
    linkerd: Linkerd,
}

impl Page for LinkerdPage {
    type Content = Linkerd;
    const QUERY: &'static str = "/metrics";
    const MOST_BYTES: usize = 16 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self { lines: Lines::new(MOST_LINE), linkerd: Linkerd::default() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let linkerd = &mut self.linkerd;
        self.lines.feed(bytes, &mut |line| linkerd.take(line));
        Ok(())
    }

    fn end(self) -> Result<Linkerd, Unread> {
        let Self { lines, mut linkerd } = self;
        lines.finish(&mut |line| linkerd.take(line));
        if linkerd.is_linkerd {
            Ok(linkerd)
        } else {
            Err(Unread::Garbage("these are not the metrics of Linkerd's proxy".to_owned()))
        }
    }
}

impl Linkerd {
    fn take(&mut self, line: &str) {
        let Some(sample) = Sample::read(line) else { return };
        let is_applications = sample.label("target_port").is_none_or(|port| port != ADMIN_PORT);
        let add = |total: &mut u64| *total = total.saturating_add(sample.count());
        match sample.name {
            "process_start_time_seconds" => self.started = Some(sample.count()),
            "process_resident_memory_bytes" => self.memory = Some(sample.count()),
            // The older and the newer name.
            "identity_cert_expiration_timestamp_seconds"
            | "control_identity_cert_expiration_timestamp_seconds" => {
                self.certificate_expires = Some(sample.count()).filter(|time| *time > 0);
            }
            "inbound_http_authz_deny_total" | "inbound_tcp_authz_deny_total" if is_applications => {
                add(&mut self.denied);
            }
            "request_total" => {
                self.is_linkerd = true;
                let is_inbound = sample.label("direction") == Some("inbound");
                let has_tls = sample.label("tls") == Some("true");
                if is_inbound && is_applications && !has_tls {
                    add(&mut self.plaintext);
                }
            }
            name => {
                self.is_linkerd |= name.starts_with("proxy_") || name.starts_with("inbound_");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    #[test]
    fn what_the_application_got_is_told_from_the_proxys_own() {
        // The first two lines are of a real linkerd2-proxy, shortened.
        let text = r#"request_total{direction="inbound",target_port="4191",tls="no_identity"} 3
inbound_http_authz_deny_total{target_port="4191"} 4
request_total{direction="inbound",target_port="8080",tls="no_identity"} 5
request_total{direction="inbound",target_port="8080",tls="true"} 6
request_total{direction="outbound",target_port="80",tls="no_identity"} 7
inbound_http_authz_deny_total{target_port="8080"} 8
process_start_time_seconds 1795535376
identity_cert_expiration_timestamp_seconds 1795539999
"#;
        let linkerd = whole::<LinkerdPage>(text.as_bytes()).unwrap();
        let expected = Linkerd {
            is_linkerd: true,
            started: Some(1_795_535_376),
            certificate_expires: Some(1_795_539_999),
            denied: 8,
            plaintext: 5,
            memory: None,
        };
        assert_eq!(linkerd, expected);
        assert!(whole::<LinkerdPage>(b"up 1\n").is_err());
    }
}
