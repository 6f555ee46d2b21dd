//! Linkerd's `4191/metrics`: how many inbound requests are in flight, as an [`Activity`].
//!
//! Owns which series count; must never ask anybody. The difference of the two followed the truth
//! within one look beside a real linkerd2-proxy, with HTTP/2 streams that were quiet, too.

use std::time::Duration;

use crate::core::envoy::activity::Activity;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;

/// Longer than any line that is wanted, whose labels name a route and its policies; what is longer
/// is passed over.
const MOST_LINE: usize = 8 * 1024;

/// Reads it line by line: 80 KB beside a few clients, megabytes beside many.
#[derive(Debug, Default)]
pub struct LinkerdMetrics {
    /// The line that is not complete yet.
    line: Vec<u8>,
    requests: u64,
    responses: u64,
    is_linkerds: bool,
}

impl Page for LinkerdMetrics {
    type Content = Activity;
    const QUERY: &'static str = "/metrics";
    const MOST_BYTES: usize = 32 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(1);

    fn begin() -> Self {
        Self::default()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                byte if self.line.len() < MOST_LINE => self.line.push(*byte),
                _ => {}
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<Activity, Unread> {
        self.end_line();
        if !self.is_linkerds {
            return Err(Unread::Garbage("there is no request_total in it".to_owned()));
        }
        Ok(Activity {
            requests: self.requests.saturating_sub(self.responses),
            connections: 0,
            begun: Some(self.requests),
        })
    }
}

impl LinkerdMetrics {
    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        self.is_linkerds |= line.starts_with("# TYPE request_total ");
        if let Some((name, value)) = inbound(&line) {
            let sum = match name {
                "request_total" => Some(&mut self.requests),
                "response_total" => Some(&mut self.responses),
                _ => None,
            };
            if let Some(sum) = sum {
                *sum = sum.saturating_add(value);
            }
        }
        self.line.clear();
    }
}

/// Name and value of an inbound series of the application's: `name{direction="inbound",…} 3`. What
/// the proxy's own server on 4191 answers, this page among it, is none.
fn inbound(line: &str) -> Option<(&str, u64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once('}')?;
    let is_inbound = has(labels, "direction=\"inbound\"");
    let is_own = has(labels, "target_port=\"4191\"");
    (is_inbound && !is_own).then_some((name, value.trim().parse().ok()?))
}

/// A label's value may have commas, but no unescaped quotation mark: a name follows the start or a
/// comma.
fn has(labels: &str, label: &str) -> bool {
    labels.match_indices(label).any(|(at, _)| at == 0 || labels[..at].ends_with(','))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    /// As a real linkerd2-proxy wrote it, with most labels left out of all but the first line.
    const RECORDED: &str = concat!(
        "# HELP request_total Total count of HTTP requests.\n",
        "# TYPE request_total counter\n",
        "request_total{direction=\"inbound\",target_addr=\"0.0.0.0:4191\",target_ip=\"0.0.0.0\",",
        "target_port=\"4191\",tls=\"no_identity\",no_tls_reason=\"no_tls_from_remote\",",
        "srv_group=\"\",srv_kind=\"default\",srv_name=\"all-unauthenticated\",srv_port=\"4191\",",
        "route_group=\"\",route_kind=\"default\",route_name=\"default\",authz_group=\"\",",
        "authz_kind=\"default\",authz_name=\"all-unauthenticated\"} 3\n",
        "request_total{direction=\"inbound\",target_port=\"8080\",tls=\"true\"} 40\n",
        "request_total{direction=\"inbound\",target_port=\"9090\",tls=\"true\"} 2\n",
        "request_total{direction=\"outbound\",target_port=\"8080\"} 700\n",
        "# TYPE response_latency_ms histogram\n",
        "response_latency_ms_bucket{direction=\"inbound\",target_port=\"8080\",le=\"1\"} 9\n",
        "# TYPE response_total counter\n",
        "response_total{direction=\"inbound\",target_port=\"8080\",status_code=\"200\"} 30\n",
        "response_total{direction=\"inbound\",target_port=\"8080\",status_code=\"503\"} 7\n",
        "response_total{direction=\"inbound\",target_port=\"4191\",status_code=\"200\"} 2\n",
        "response_total{direction=\"outbound\",target_port=\"8080\"} 1\n",
    );

    #[test]
    fn requests_without_a_response_are_in_flight() {
        let expected = Activity { requests: 5, connections: 0, begun: Some(42) };
        assert_eq!(whole::<LinkerdMetrics>(RECORDED.as_bytes()), Ok(expected));
        // However it is cut into pieces.
        for at in 0..RECORDED.len() {
            let mut page = LinkerdMetrics::begin();
            page.take(&RECORDED.as_bytes()[..at]).unwrap();
            page.take(&RECORDED.as_bytes()[at..]).unwrap();
            assert_eq!(page.end(), Ok(expected), "{at}");
        }
    }

    #[test]
    fn a_proxy_that_has_answered_all_has_nothing_in_flight() {
        let text = "# TYPE request_total counter\n\
                    request_total{direction=\"inbound\",target_port=\"80\"} 3\n\
                    response_total{direction=\"inbound\",target_port=\"80\"} 4";
        let activity = whole::<LinkerdMetrics>(text.as_bytes()).unwrap();
        assert_eq!((activity.requests, activity.begun), (0, Some(3)));
        let fresh = whole::<LinkerdMetrics>(b"# TYPE request_total counter\n").unwrap();
        assert_eq!((fresh.requests, fresh.begun), (0, Some(0)));
    }

    #[test]
    fn what_is_not_linkerds_says_nothing() {
        for body in ["", "ready\n", "request_total 3", "{}", "}{ 3", "\u{0}{\"inbound\"}"] {
            assert!(whole::<LinkerdMetrics>(body.as_bytes()).is_err(), "{body}");
        }
        let odd = "# TYPE request_total counter\n\
                   request_total{name=\"direction=\\\"inbound\\\"\"} 3\n\
                   request_total{direction=\"inbound\"} many\n\
                   request_total}direction=\"inbound\"{ 3\n";
        assert_eq!(whole::<LinkerdMetrics>(odd.as_bytes()).unwrap().requests, 0);
    }
}
