//! Envoy's `/clusters`: how busy the hosts of its inbound clusters are, as an [`Activity`].
//!
//! Owns which clusters are inbound and which counters are requests; must never ask anybody.

use std::time::Duration;

use serde::Deserialize;

use crate::core::envoy::activity::Activity;
use crate::core::envoy::page::{self, Page, or_default};
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::unread::Unread;

const WANTED: &[Path] = &[&["cluster_statuses", EACH]];

/// What an inbound cluster takes, which has one host; an outbound one with thousands is passed
/// over.
const MOST_CLUSTER: usize = 64 * 1024;

/// Reads `/clusters?format=json`, which no stats matcher hides: the hosts of `inbound|PORT||`,
/// Istio's clusters to the application itself. `None` where there are none.
#[derive(Debug)]
pub struct Clusters {
    picker: Picker,
    activity: Option<Activity>,
}

impl Page for Clusters {
    type Content = Option<Activity>;
    const QUERY: &'static str = "/clusters?format=json";
    const MOST_BYTES: usize = 64 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(1);

    fn begin() -> Self {
        Self { picker: Picker::new(WANTED, MOST_CLUSTER), activity: None }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let activity = &mut self.activity;
        self.picker.feed(bytes, &mut |_, part| {
            if let Some(cluster) = page::read::<ClusterStatus>(part) {
                add(&cluster, activity);
            }
        })
    }

    fn end(self) -> Result<Option<Activity>, Unread> {
        self.picker.finish().map(|()| self.activity)
    }
}

fn add(cluster: &ClusterStatus, activity: &mut Option<Activity>) {
    if !cluster.name.starts_with("inbound|") {
        return;
    }
    let so_far = activity.get_or_insert(Activity { requests: 0, connections: 0, begun: Some(0) });
    for stat in cluster.host_statuses.iter().flat_map(|host| &host.stats) {
        let value: u64 = stat.value.as_deref().and_then(|value| value.parse().ok()).unwrap_or(0);
        match stat.name.as_str() {
            // A plain TCP connection is counted here, too (envoy: `conn_pool_base.cc`).
            "rq_active" => so_far.requests = so_far.requests.saturating_add(value),
            "rq_total" => so_far.begun = so_far.begun.map(|begun| begun.saturating_add(value)),
            _ => {}
        }
    }
}

#[derive(Deserialize)]
struct ClusterStatus {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    host_statuses: Vec<HostStatus>,
}

#[derive(Deserialize)]
struct HostStatus {
    #[serde(default, deserialize_with = "or_default")]
    stats: Vec<Stat>,
}

/// 64-bit numbers are strings in protobuf's JSON; a zero may be missing.
#[derive(Deserialize)]
struct Stat {
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    value: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    #[test]
    fn the_hosts_of_inbound_clusters_are_summed() {
        let body = br#"{"cluster_statuses":[
            {"name":"inbound|8080||","host_statuses":[{"stats":[
                {"name":"rq_active","value":"2","type":"GAUGE"},{"name":"rq_total","value":"30"},
                 {"name":"cx_active"}]},
                {"stats":[{"name":"rq_active","value":"1"},{"name":"rq_total","value":"5"}]},
                {"stats":null}]},
            {"name":"inbound|9090||","host_statuses":null}, null, {"name":null},
            {"name":"outbound|80||x","host_statuses":[
                {"stats":[{"name":"rq_active","value":"9"}]}]}]}"#;
        let expected = Activity { requests: 3, connections: 0, begun: Some(35) };
        assert_eq!(whole::<Clusters>(body), Ok(Some(expected)));
        let none = br#"{"cluster_statuses":[{"name":"outbound|80||x"}]}"#;
        assert_eq!(whole::<Clusters>(none), Ok(None));
        assert_eq!(whole::<Clusters>(br#"{"cluster_statuses":7}"#), Ok(None));
        for nonsense in ["", "{", "[]"] {
            assert!(whole::<Clusters>(nonsense.as_bytes()).is_err(), "{nonsense}");
        }
    }
}
