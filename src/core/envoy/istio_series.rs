//! The name of one of Istio's own metrics, as Envoy's `/stats` prints it: labels and their values,
//! all joined by dots.
//!
//! Owns how such a name is taken apart; must never judge. Values contain dots and may be empty, so
//! it is split at the labels, whose order is fixed (istio/proxy: `istio_stats.cc`). A client
//! chooses the `Host` header, which becomes the destination: so what stands behind it is looked for
//! from the end.

use crate::core::envoy::json::clean;

const REQUESTS: &str = "istiocustom.istio_requests_total.";
const CONNECTIONS: &str = "istiocustom.istio_tcp_connections_opened_total.";

/// Who counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporter {
    /// This pod's proxy, of what its application asked for.
    Source,
    /// This pod's proxy, of what arrived.
    Destination,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counts {
    /// HTTP requests.
    Requests,
    /// TCP connections.
    Connections,
}

/// One series: its labels, as far as doctor needs them, and its value since the proxy's start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Requests or connections.
    pub counts: Counts,
    /// Who counted.
    pub reporter: Reporter,
    /// The workload that called; `unknown` where it has no proxy.
    pub source_workload: String,
    /// The host that was called: the `Host` header where the mesh does not know it.
    pub host: String,
    /// The service behind it, or `BlackHoleCluster`, `PassthroughCluster`,
    /// `InboundPassthroughCluster`.
    pub service_name: String,
    /// The HTTP status, where there is one.
    pub code: Option<u64>,
    /// Envoy's response flags, as `UH` or `URX,UF`; `-` for none.
    pub flags: String,
    /// Only the side that was called knows: did it come in plaintext?
    pub is_plaintext: bool,
    /// How many.
    pub count: u64,
}

impl Series {
    /// Reads a line of `/stats`: `istiocustom.istio_requests_total.reporter.source…: 58`.
    #[must_use]
    pub fn read(name: &str, count: u64) -> Option<Self> {
        let (counts, labels) = name
            .strip_prefix(REQUESTS)
            .map(|labels| (Counts::Requests, labels))
            .or_else(|| Some((Counts::Connections, name.strip_prefix(CONNECTIONS)?)))?;
        // From the front, up to what the client chose.
        let labels = labels.strip_prefix("reporter.")?;
        let (reporter, labels) = split(labels, "source_workload")?;
        let reporter = match reporter {
            "source" => Reporter::Source,
            "destination" => Reporter::Destination,
            _ => return None,
        };
        let (source_workload, labels) = split(labels, "source_canonical_service")?;
        let (_, labels) = split(labels, "destination_service")?;
        // From the end.
        let (labels, policy) = split_last(labels, "connection_security_policy")?;
        let (labels, flags) = split_last(labels, "response_flags")?;
        let code = split_last(labels, "grpc_response_status")
            .and_then(|(labels, _)| split_last(labels, "response_code"))
            .or_else(|| split_last(labels, "response_code"))
            .and_then(|(_, code)| code.parse().ok());
        let (labels, _) = split_last(labels, "destination_service_namespace")?;
        let (host, service_name) = split_last(labels, "destination_service_name")?;
        let host = split(host, "destination_canonical_service").map_or(host, |(host, _)| host);
        Some(Self {
            counts,
            reporter,
            source_workload: clean(source_workload),
            host: clean(host),
            service_name: clean(service_name),
            code,
            flags: clean(flags),
            is_plaintext: policy == "none",
            count,
        })
    }

    /// Is this flag among its own?
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.split(',').any(|own| own == flag)
    }
}

/// What stands before and behind the first `.label.`; the value before it may be empty, and then
/// its dot is the label's.
fn split<'a>(text: &'a str, label: &str) -> Option<(&'a str, &'a str)> {
    let found = text.match_indices(label).find(|(at, _)| is_label(text, *at, label))?.0;
    Some((text[..found].trim_end_matches('.'), text[found + label.len()..].strip_prefix('.')?))
}

/// The same with the last one; its value may be the end of the name.
fn split_last<'a>(text: &'a str, label: &str) -> Option<(&'a str, &'a str)> {
    let found = text.rmatch_indices(label).find(|(at, _)| is_label(text, *at, label))?.0;
    let value = &text[found + label.len()..];
    Some((text[..found].trim_end_matches('.'), value.strip_prefix('.').unwrap_or(value)))
}

fn is_label(text: &str, at: usize, label: &str) -> bool {
    let behind = &text[at + label.len()..];
    (at == 0 || text[..at].ends_with('.')) && (behind.is_empty() || behind.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names as Istio's metric filter builds them (from its source, istio/proxy at 50c73be).
    fn name(metric: &str, reporter: &str, host: &str, service: &str, rest: &str) -> String {
        format!(
            "istiocustom.{metric}.reporter.{reporter}.source_workload.shop.\
             source_canonical_service.shop.source_canonical_revision.latest.\
             source_workload_namespace.shop.source_principal.unknown.\
             source_app.shop.source_version.source_cluster.Kubernetes.destination_workload.\
             unknown.destination_workload_namespace.unknown.destination_principal.unknown.\
             destination_app.unknown.destination_version.unknown.destination_service.{host}.\
             destination_canonical_service.unknown.destination_canonical_revision.latest.\
             destination_service_name.{service}.destination_service_namespace.shop.\
             destination_cluster.unknown.{rest}"
        )
    }

    const FAILED: &str = "request_protocol.http.response_code.503.grpc_response_status.\
                          response_flags.UH.connection_security_policy.unknown";

    #[test]
    fn a_failed_request_is_taken_apart() {
        let name = name("istio_requests_total", "source", "reviews.shop.svc", "reviews", FAILED);
        let series = Series::read(&name, 58).unwrap();
        assert_eq!((series.counts, series.reporter), (Counts::Requests, Reporter::Source));
        assert_eq!(
            (series.host.as_str(), series.service_name.as_str()),
            ("reviews.shop.svc", "reviews")
        );
        assert_eq!((series.code, series.flags.as_str(), series.count), (Some(503), "UH", 58));
        assert!(!series.is_plaintext && series.has("UH") && !series.has("U"));
    }

    #[test]
    fn plaintext_that_arrived_is_told() {
        let rest = "request_protocol.http.response_code.200.grpc_response_status.0.\
                    response_flags.-.connection_security_policy.none";
        let name = name("istio_requests_total", "destination", "shop", "shop", rest);
        let series = Series::read(&name, 341).unwrap();
        assert!(series.is_plaintext);
        assert_eq!((series.reporter, series.flags.as_str()), (Reporter::Destination, "-"));
    }

    #[test]
    fn a_connection_has_no_status() {
        let rest = "request_protocol.tcp.response_flags.UF,URX.connection_security_policy.unknown";
        let name = name(
            "istio_tcp_connections_opened_total",
            "source",
            "unknown",
            "PassthroughCluster",
            rest,
        );
        let series = Series::read(&name, 1).unwrap();
        assert_eq!((series.counts, series.code), (Counts::Connections, None));
        assert!(series.has("UF") && series.has("URX"));
        assert_eq!(series.service_name, "PassthroughCluster");
    }

    #[test]
    fn a_client_cannot_choose_more_than_its_host() {
        let host =
            "evil.response_flags.NC.connection_security_policy.none.destination_service_name.x";
        let name = name("istio_requests_total", "source", host, "reviews", FAILED);
        let series = Series::read(&name, 1).unwrap();
        assert_eq!((series.flags.as_str(), series.is_plaintext), ("UH", false));
        assert_eq!((series.host.as_str(), series.service_name.as_str()), (host, "reviews"));
    }

    #[test]
    fn empty_values_are_values() {
        let name = name("istio_requests_total", "source", "", "", FAILED).replace("..", ".");
        let series = Series::read(&name, 1).unwrap();
        assert_eq!((series.host.as_str(), series.service_name.as_str()), ("", ""));
        for strange in
            ["", "istiocustom.istio_requests_total.", "istiocustom.istio_requests_total.reporter.x"]
        {
            assert_eq!(Series::read(strange, 1), None);
        }
    }
}
