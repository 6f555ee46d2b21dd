//! Linkerd's `4191/metrics`: how many inbound requests are in flight, as an [`Activity`].
//!
//! Owns which series count; must never ask anybody. The difference of the two followed the truth
//! within one look beside a real linkerd2-proxy, with HTTP/2 streams that were quiet, too.

use std::time::Duration;

use crate::core::envoy::activity::Activity;
use crate::core::envoy::lines::Lines;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;
use crate::core::metrics::sample::Sample;

/// Longer than any line that is wanted, whose labels name a route and its policies.
const MOST_LINE: usize = 8 * 1024;

/// The port of the proxy's own server, which answers this page, too.
const ADMIN_PORT: &str = "4191";

/// Reads it line by line: 80 KB beside a few clients, megabytes beside many.
#[derive(Debug)]
pub struct InFlightPage {
    lines: Lines,
    count: Count,
}

/// What was counted so far.
#[derive(Debug, Default)]
struct Count {
    requests: u64,
    responses: u64,
    is_linkerds: bool,
}

impl Page for InFlightPage {
    type Content = Activity;
    const QUERY: &'static str = "/metrics";
    const MOST_BYTES: usize = 32 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(1);

    fn begin() -> Self {
        Self { lines: Lines::new(MOST_LINE), count: Count::default() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let count = &mut self.count;
        self.lines.feed(bytes, &mut |line| count.take(line));
        Ok(())
    }

    fn end(self) -> Result<Activity, Unread> {
        let Self { lines, mut count } = self;
        lines.finish(&mut |line| count.take(line));
        if !count.is_linkerds {
            return Err(Unread::Garbage("there is no request_total in it".to_owned()));
        }
        Ok(Activity {
            requests: count.requests.saturating_sub(count.responses),
            connections: 0,
            begun: Some(count.requests),
        })
    }
}

impl Count {
    /// Counts an inbound series of the application's: `name{direction="inbound",…} 3`.
    fn take(&mut self, line: &str) {
        self.is_linkerds |= line.starts_with("# TYPE request_total ");
        let Some(sample) = Sample::read(line) else { return };
        let sum = match sample.name {
            "request_total" => &mut self.requests,
            "response_total" => &mut self.responses,
            _ => return,
        };
        let is_inbound = sample.label("direction") == Some("inbound");
        if is_inbound && sample.label("target_port") != Some(ADMIN_PORT) {
            *sum = sum.saturating_add(sample.count());
        }
    }
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
        assert_eq!(whole::<InFlightPage>(RECORDED.as_bytes()), Ok(expected));
        // However it is cut into pieces.
        for at in 0..RECORDED.len() {
            let mut page = InFlightPage::begin();
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
        let activity = whole::<InFlightPage>(text.as_bytes()).unwrap();
        assert_eq!((activity.requests, activity.begun), (0, Some(3)));
        let fresh = whole::<InFlightPage>(b"# TYPE request_total counter\n").unwrap();
        assert_eq!((fresh.requests, fresh.begun), (0, Some(0)));
    }

    #[test]
    fn what_is_not_linkerds_says_nothing() {
        for body in ["", "ready\n", "request_total 3", "{}", "}{ 3", "\u{0}{\"inbound\"}"] {
            assert!(whole::<InFlightPage>(body.as_bytes()).is_err(), "{body}");
        }
        let odd = "# TYPE request_total counter\n\
                   request_total{name=\"direction=\\\"inbound\\\"\"} 3\n\
                   request_total{direction=\"inbound\"} many\n\
                   request_total}direction=\"inbound\"{ 3\n";
        assert_eq!(whole::<InFlightPage>(odd.as_bytes()).unwrap().requests, 0);
    }
}
