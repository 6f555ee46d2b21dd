//! Envoy's `/stats`, as far as a diagnosis needs it: one filter for everything, since each answer
//! costs the proxy a walk through all of its stats.
//!
//! Owns the filter and the reading of its answer; must never judge. Istio hides most of Envoy's
//! stats (`stats_matcher`): what is absent here is unknown, never zero.

use std::time::Duration;

use crate::core::envoy::istio_series::Series;
use crate::core::envoy::json::clean;
use crate::core::envoy::lines::Lines;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;

/// The longest name of one of Istio's series is under 2 KB.
const MOST_LINE: usize = 16 * 1024;

/// How many of Istio's series are kept.
const MOST_SERIES: usize = 2_000;

/// How many counters by name are kept.
const MOST_NAMES: usize = 200;

/// How a kind of configuration has been updated since the proxy's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    /// How often it was taken.
    pub successes: u64,
    /// How often it was refused.
    pub rejections: u64,
    /// How often it could not be fetched.
    pub failures: u64,
    /// When it was last taken, in milliseconds since 1970.
    pub last_success: Option<u64>,
}

/// A counter by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What stands before the counter's own name: `http.inbound_0.0.0.0_8080;.`.
    pub owner: String,
    /// How many.
    pub count: u64,
}

/// What the stats told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counters {
    /// Seconds since the proxy's start.
    pub uptime: Option<u64>,
    /// The proxy's memory, in bytes, as its allocator sees it.
    pub memory: Option<u64>,
    /// Clusters in use.
    pub clusters: Option<u64>,
    /// Clusters that still wait for something.
    pub warming_clusters: Option<u64>,
    /// Updates of clusters.
    pub cds: Updates,
    /// Updates of listeners.
    pub lds: Updates,
    /// Connections to Istio's control plane; `None` where there is no such cluster.
    pub xds_connections: Option<u64>,
    /// Streams on them.
    pub xds_streams: Option<u64>,
    /// Is it connected to its control plane, as Envoy says? Istio hides it.
    pub connected: Option<u64>,
    /// Requests and connections that an RBAC filter refused.
    pub denied: Vec<Counter>,
    /// Updates of routes, endpoints and secrets that were refused, where such counters are shown.
    pub rejected: Vec<Counter>,
    /// Istio's own series that tell of a failure, of plaintext or of an unknown destination.
    pub series: Vec<Series>,
    /// Istio's own metrics are on (`istio_build`, which its filter always sets, or a series).
    pub has_istio_metrics: bool,
    /// Some were left out: there are too many.
    pub is_cut: bool,
}

/// Reads the page.
#[derive(Debug)]
pub struct CountersPage {
    lines: Lines,
    counters: Counters,
}

impl Page for CountersPage {
    type Content = Counters;
    /// `usedonly` leaves out what was never set.
    const QUERY: &'static str = "/stats?usedonly&filter=%5E(\
        server%5C.(uptime%7Cmemory_physical_size)\
        %7Ccluster_manager%5C.(cds%5C.update_(success%7Crejected%7Cfailure%7Ctime)\
        %7C(active%7Cwarming)_clusters)\
        %7Clistener_manager%5C.lds%5C.update_(success%7Crejected%7Cfailure%7Ctime)\
        %7Ccluster%5C.xds-grpc;?%5C.upstream_(cx%7Crq)_active%7Ccontrol_plane%5C.connected_state\
        %7Cistiocustom%5C.istio_build%5C..*%7C(http%7Ctcp)%5C..*rbac%5C.denied\
        %7Cistiocustom%5C.istio_(requests_total%7Ctcp_connections_opened_total)%5C..*\
        (response_flags%5C.%5B%5E-%5D%7Creporter%5C.destination%5C..*policy%5C.none\
        %7Cservice_name%5C.(PassthroughCluster%7CBlackHoleCluster)).*\
        %7C.*%5C.update_rejected)%24";
    const MOST_BYTES: usize = 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self { lines: Lines::new(MOST_LINE), counters: Counters::default() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let counters = &mut self.counters;
        self.lines.feed(bytes, &mut |line| counters.take(line));
        Ok(())
    }

    fn end(self) -> Result<Counters, Unread> {
        let Self { lines, mut counters } = self;
        lines.finish(&mut |line| counters.take(line));
        Ok(counters)
    }
}

impl Counters {
    fn take(&mut self, line: &str) {
        // Values are numbers without a colon; names may have some.
        let Some((name, value)) = line.rsplit_once(": ") else { return };
        let Ok(value) = value.parse::<u64>() else { return };
        self.has_istio_metrics |= name.starts_with("istiocustom.istio_");
        match name {
            "server.uptime" => self.uptime = Some(value),
            "server.memory_physical_size" => self.memory = Some(value),
            "cluster_manager.active_clusters" => self.clusters = Some(value),
            "cluster_manager.warming_clusters" => self.warming_clusters = Some(value),
            "control_plane.connected_state" => self.connected = Some(value),
            // Istio's stat names have a `;` since 1.23.
            "cluster.xds-grpc;.upstream_cx_active" | "cluster.xds-grpc.upstream_cx_active" => {
                self.xds_connections = Some(value);
            }
            "cluster.xds-grpc;.upstream_rq_active" | "cluster.xds-grpc.upstream_rq_active" => {
                self.xds_streams = Some(value);
            }
            name => self.take_named(name, value),
        }
    }

    fn take_named(&mut self, name: &str, value: u64) {
        let Self { denied, rejected, series, is_cut, cds, lds, .. } = self;
        if let Some(counter) = name.strip_prefix("cluster_manager.cds.") {
            cds.take(counter, value);
        } else if let Some(counter) = name.strip_prefix("listener_manager.lds.") {
            lds.take(counter, value);
        } else if let Some(found) = Series::read(name, value) {
            *is_cut |= series.len() >= MOST_SERIES;
            if series.len() < MOST_SERIES {
                series.push(found);
            }
        } else {
            let (owner, list) = match name.strip_suffix("rbac.denied") {
                Some(owner) => (Some(owner), denied),
                None => (name.strip_suffix(".update_rejected"), rejected),
            };
            let Some(owner) = owner.filter(|_| value > 0) else { return };
            *is_cut |= list.len() >= MOST_NAMES;
            if list.len() < MOST_NAMES {
                list.push(Counter { owner: clean(owner), count: value });
            }
        }
    }
}

impl Updates {
    fn take(&mut self, counter: &str, value: u64) {
        match counter {
            "update_success" => self.successes = value,
            "update_rejected" => self.rejections = value,
            "update_failure" => self.failures = value,
            "update_time" => self.last_success = Some(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    /// Of a real Istio sidecar (Envoy 1.40, delta xDS) and of a plain Envoy.
    const STATS: &str = r#"cluster.xds-grpc;.upstream_cx_active: 1
cluster.xds-grpc;.upstream_rq_active: 0
cluster_manager.active_clusters: 15
cluster_manager.cds.update_success: 10
cluster_manager.cds.update_time: 1795535376716
cluster_manager.cds.version_text: "2026-11-24T15:44:57Z/10"
cluster_manager.cds.update_failure: 5
http.inbound_0.0.0.0_8080;.rbac.denied: 3
http.outbound_0.0.0.0_9080;.rds.9080.update_rejected: 1
listener_manager.lds.update_rejected: 2
server.memory_physical_size: 17754942
server.uptime: 110
tcp.rbac.denied: 1
"#;

    #[test]
    fn counters_are_read_by_their_names() {
        let counters = whole::<CountersPage>(STATS.as_bytes()).unwrap();
        assert_eq!((counters.xds_connections, counters.xds_streams), (Some(1), Some(0)));
        assert_eq!((counters.clusters, counters.warming_clusters), (Some(15), None));
        assert_eq!((counters.uptime, counters.memory), (Some(110), Some(17_754_942)));
        let cds = Updates {
            successes: 10,
            rejections: 0,
            failures: 5,
            last_success: Some(1_795_535_376_716),
        };
        assert_eq!((counters.cds, counters.lds.rejections), (cds, 2));
        let counted = |list: &[Counter]| -> Vec<(String, u64)> {
            list.iter().map(|counter| (counter.owner.clone(), counter.count)).collect()
        };
        assert_eq!(
            counted(&counters.denied),
            [("http.inbound_0.0.0.0_8080;.".to_owned(), 3), ("tcp.".to_owned(), 1)]
        );
        assert_eq!(
            counted(&counters.rejected),
            [("http.outbound_0.0.0.0_9080;.rds.9080".to_owned(), 1)]
        );
    }

    #[test]
    fn nonsense_counts_nothing() {
        for nonsense in ["", "x", "server.uptime: -1", "server.uptime: x", ": 1", "\u{0}: 7"] {
            assert_eq!(whole::<CountersPage>(nonsense.as_bytes()), Ok(Counters::default()));
        }
    }
}
