//! How busy the proxy's inbound side is: `/stats` and `/clusters` come in, an [`Activity`] goes out.
//!
//! Owns which counters are inbound requests and which are not; must never ask anybody.

use serde::Deserialize;

/// The stats that [`from_stats`] reads, as a request for the admin API: `filter` is a regular expression.
///
/// Istio hides all but `server.state` unless told otherwise (`pkg/bootstrap/config.go`, `stats_matcher`).
pub const STATS: &str = "/stats?filter=%5Eserver%5C.state%24%7C%5C.downstream_(rq%7Ccx)_(active%7Ctotal)%24";

/// The clusters with their hosts' own counters, which no stats matcher hides.
pub const CLUSTERS: &str = "/clusters?format=json";

/// Envoy's `server.state` while its health check fails (envoy: `server/utils.cc`).
const DRAINING: u64 = 1;

/// Connection managers that serve the proxy itself: the admin API, Istio's readiness (15021) and metrics (15090).
const OWN_MANAGERS: [&str; 3] = ["admin", "agent", "stats"];

/// Ports of listeners that are not inbound: the same two, and Istio's outbound one.
const OTHER_LISTENERS: [&str; 3] = ["_15001", "_15021", "_15090"];

/// What goes on at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Requests in flight; connections where requests cannot be counted.
    pub active: u64,
    /// How many have begun since the proxy started, where that is counted: tells "idle" from "between two".
    pub begun: Option<u64>,
}

/// What the stats say; `activity` is `None` where the counters are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Inbound requests.
    pub activity: Option<Activity>,
    /// The proxy fails its health checks, and so is on its way out by itself.
    pub draining: bool,
}

/// Reads the text form of `/stats`: `http.ingress.downstream_rq_active: 3`, one a line.
#[must_use]
pub fn from_stats(body: &[u8]) -> Stats {
    let text = String::from_utf8_lossy(body);
    let values = text.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(": ")?;
        Some((name, value.trim().parse::<u64>().ok()?))
    });
    let (mut draining, mut counters) = (false, Vec::new());
    for (name, value) in values {
        if name == "server.state" {
            draining = value == DRAINING;
        } else if let Some((owner, counter)) = name.rsplit_once(".downstream_") {
            counters.push((owner.trim_end_matches(';'), counter, value));
        }
    }
    let (requests, connections) = (Counters::requests(&counters), Counters::connections(&counters));
    Stats { activity: requests.or(connections), draining }
}

/// What stands before `.downstream_`, what behind it, and the value.
type Counter<'a> = (&'a str, &'a str, u64);

struct Counters;

impl Counters {
    /// Of the HTTP connection managers: the inbound ones where they are named so, as Istio does, else all but the
    /// proxy's own and those named outbound.
    fn requests(counters: &[Counter<'_>]) -> Option<Activity> {
        let managers = counters.iter().filter_map(|(owner, counter, value)| {
            let name = owner.strip_prefix("http.")?;
            (!OWN_MANAGERS.contains(&name) && !name.starts_with("outbound")).then_some((name, *counter, *value))
        });
        let managers: Vec<Counter<'_>> = managers.collect();
        let named = managers.iter().any(|(name, ..)| name.starts_with("inbound"));
        let inbound = managers.iter().filter(|(name, ..)| !named || name.starts_with("inbound"));
        sum(inbound, "rq_active", "rq_total")
    }

    /// Of the listeners, where there is no HTTP to be seen: Istio's with `EXIT_ON_ZERO_ACTIVE_CONNECTIONS`.
    fn connections(counters: &[Counter<'_>]) -> Option<Activity> {
        let listeners = counters.iter().filter(|(owner, ..)| {
            let name = owner.strip_prefix("listener.");
            name.is_some_and(|name| {
                let other = OTHER_LISTENERS.iter().any(|port| name.ends_with(port));
                !other
                    && !name.starts_with("admin")
                    && !name.starts_with("envoy_internal")
                    && !name.contains(".worker_")
            })
        });
        sum(listeners, "cx_active", "cx_total")
    }
}

fn sum<'a>(counters: impl Iterator<Item = &'a Counter<'a>>, active: &str, begun: &str) -> Option<Activity> {
    let (mut in_flight, mut so_far) = (None, None);
    for (_, counter, value) in counters {
        if *counter == active {
            *in_flight.get_or_insert(0) += value;
        } else if *counter == begun {
            *so_far.get_or_insert(0) += value;
        }
    }
    Some(Activity { active: in_flight?, begun: so_far })
}

/// Reads `/clusters?format=json`: the hosts of `inbound|PORT||`, Istio's clusters to the application itself.
/// `None` where there are none.
#[must_use]
pub fn from_clusters(body: &[u8]) -> Option<Activity> {
    let clusters: Clusters = serde_json::from_slice(body).ok()?;
    let inbound = clusters.cluster_statuses.into_iter().filter(|cluster| cluster.name.starts_with("inbound|"));
    let mut activity = None;
    for cluster in inbound {
        let so_far = activity.get_or_insert(Activity { active: 0, begun: Some(0) });
        for stat in cluster.host_statuses.into_iter().flat_map(|host| host.stats) {
            let value: u64 = stat.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or(0);
            match stat.name.as_str() {
                "rq_active" => so_far.active += value,
                "rq_total" => so_far.begun = so_far.begun.map(|begun| begun + value),
                _ => {}
            }
        }
    }
    activity
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    #[serde(default)]
    stats: Vec<Stat>,
}

/// 64-bit numbers are strings in protobuf's JSON; a zero may be missing.
#[derive(Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    value: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(lines: &[&str]) -> Stats {
        from_stats(lines.join("\n").as_bytes())
    }

    #[expect(clippy::unnecessary_wraps, reason = "what it is compared with is an Option")]
    fn activity(active: u64, begun: u64) -> Option<Activity> {
        Some(Activity { active, begun: Some(begun) })
    }

    #[test]
    fn a_plain_envoys_requests_are_counted_without_its_own() {
        let seen = stats(&[
            "http.admin.downstream_rq_active: 1",
            "http.admin.downstream_rq_total: 99",
            "http.ingress.downstream_cx_active: 7",
            "http.ingress.downstream_rq_active: 3",
            "http.ingress.downstream_rq_total: 40",
            "http.other.downstream_rq_active: 1",
            "http.other.downstream_rq_total: 2",
            "listener.127.0.0.1_80.downstream_cx_active: 7",
            "server.state: 0",
        ]);
        assert_eq!(seen, Stats { activity: activity(4, 42), draining: false });
    }

    #[test]
    fn istios_inbound_side_is_what_is_named_so() {
        let seen = stats(&[
            "http.inbound_0.0.0.0_8080;.downstream_rq_active: 2",
            "http.inbound_0.0.0.0_8080;.downstream_rq_total: 10",
            "http.outbound_0.0.0.0_80;.downstream_rq_active: 5",
            "http.passthrough.downstream_rq_active: 5",
            "http.agent.downstream_rq_active: 1",
            "http.stats.downstream_rq_active: 1",
        ]);
        assert_eq!(seen.activity, activity(2, 10));
    }

    #[test]
    fn without_http_the_inbound_listeners_connections_count() {
        let seen = stats(&[
            "listener.0.0.0.0_15006.downstream_cx_active: 4",
            "listener.0.0.0.0_15006.downstream_cx_total: 44",
            "listener.0.0.0.0_15006.worker_0.downstream_cx_active: 4",
            "listener.0.0.0.0_15001.downstream_cx_active: 9",
            "listener.0.0.0.0_15021.downstream_cx_active: 1",
            "listener.0.0.0.0_15090.downstream_cx_active: 1",
            "listener.admin.downstream_cx_active: 1",
            "listener.admin.main_thread.downstream_cx_active: 1",
            "listener.envoy_internal_main.downstream_cx_active: 1",
        ]);
        assert_eq!(seen.activity, activity(4, 44));
    }

    #[test]
    fn hidden_stats_say_nothing_but_the_state() {
        assert_eq!(stats(&["server.state: 1"]), Stats { activity: None, draining: true });
        for nonsense in ["", "x", "a: b", ": 1", "http.a.downstream_rq_active: -1", "\u{0}"] {
            assert_eq!(stats(&[nonsense]).activity, None, "{nonsense}");
        }
    }

    #[test]
    fn the_hosts_of_inbound_clusters_are_summed() {
        let body = br#"{"cluster_statuses":[
            {"name":"inbound|8080||","host_statuses":[{"stats":[
                {"name":"rq_active","value":"2","type":"GAUGE"},{"name":"rq_total","value":"30"},{"name":"cx_active"}]},
                {"stats":[{"name":"rq_active","value":"1"},{"name":"rq_total","value":"5"}]}]},
            {"name":"inbound|9090||"},
            {"name":"outbound|80||x","host_statuses":[{"stats":[{"name":"rq_active","value":"9"}]}]}]}"#;
        assert_eq!(from_clusters(body), activity(3, 35));
        assert_eq!(from_clusters(br#"{"cluster_statuses":[{"name":"outbound|80||x"}]}"#), None);
        for nonsense in ["", "{", "[]", r#"{"cluster_statuses":7}"#] {
            assert_eq!(from_clusters(nonsense.as_bytes()), None, "{nonsense}");
        }
    }
}
