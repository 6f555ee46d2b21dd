//! Envoy's `/clusters`: how busy the hosts of its inbound clusters are, as an [`Activity`].
//!
//! Owns which clusters are inbound and which counters are requests; must never ask anybody.

use serde::Deserialize;

use crate::core::envoy::activity::Activity;

/// The clusters with their hosts' own counters, which no stats matcher hides.
pub const QUERY: &str = "/clusters?format=json";

/// Reads `/clusters?format=json`: the hosts of `inbound|PORT||`, Istio's clusters to the
/// application itself. `None` where there are none.
#[must_use]
pub fn decode(body: &[u8]) -> Option<Activity> {
    let clusters: Clusters = serde_json::from_slice(body).ok()?;
    let inbound = clusters
        .cluster_statuses
        .into_iter()
        .filter(|cluster| cluster.name.starts_with("inbound|"));
    let mut activity = None;
    for cluster in inbound {
        let so_far = activity.get_or_insert(Activity { active: 0, begun: Some(0) });
        for stat in cluster.host_statuses.into_iter().flat_map(|host| host.stats) {
            let value: u64 =
                stat.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or(0);
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

    #[expect(clippy::unnecessary_wraps, reason = "what it is compared with is an Option")]
    fn activity(active: u64, begun: u64) -> Option<Activity> {
        Some(Activity { active, begun: Some(begun) })
    }

    #[test]
    fn the_hosts_of_inbound_clusters_are_summed() {
        let body = br#"{"cluster_statuses":[
            {"name":"inbound|8080||","host_statuses":[{"stats":[
                {"name":"rq_active","value":"2","type":"GAUGE"},{"name":"rq_total","value":"30"},{"name":"cx_active"}]},
                {"stats":[{"name":"rq_active","value":"1"},{"name":"rq_total","value":"5"}]}]},
            {"name":"inbound|9090||"},
            {"name":"outbound|80||x","host_statuses":[{"stats":[{"name":"rq_active","value":"9"}]}]}]}"#;
        assert_eq!(decode(body), activity(3, 35));
        assert_eq!(decode(br#"{"cluster_statuses":[{"name":"outbound|80||x"}]}"#), None);
        for nonsense in ["", "{", "[]", r#"{"cluster_statuses":7}"#] {
            assert_eq!(decode(nonsense.as_bytes()), None, "{nonsense}");
        }
    }
}
