//! Envoy's `/clusters`: how busy the hosts of its inbound clusters are, as an [`Activity`].
//!
//! Owns which clusters are inbound and which counters are requests; must never ask anybody.

use std::time::Duration;

use crate::core::envoy::activity::Activity;
use crate::core::envoy::json::{self, Json};
use crate::core::envoy::page::Page;
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
            if let Some(requests) = part.and_then(requests_of_inbound) {
                add(requests, activity);
            }
        })
    }

    fn end(self) -> Result<Option<Activity>, Unread> {
        self.picker.finish().map(|()| self.activity)
    }
}

/// Requests to one inbound cluster: how many are in flight, and how many have begun.
#[derive(Clone, Copy, Default)]
struct Requests {
    active: u64,
    total: u64,
}

fn add(requests: Requests, activity: &mut Option<Activity>) {
    let so_far = activity.get_or_insert(Activity { requests: 0, connections: 0, begun: Some(0) });
    so_far.requests = so_far.requests.saturating_add(requests.active);
    so_far.begun = so_far.begun.map(|begun| begun.saturating_add(requests.total));
}

/// `None` for a cluster that is not inbound, or not JSON.
fn requests_of_inbound(cluster: &[u8]) -> Option<Requests> {
    let (mut is_inbound, mut requests) = (false, Requests::default());
    let read = json::read(cluster, &mut |cluster| {
        cluster.fields(&mut |name, value| match name {
            "name" => value.with_text(&mut |name| is_inbound = name.starts_with("inbound|")),
            "host_statuses" => value.items(&mut |host| {
                host.at(&["stats"], &mut |stats| stats.items(&mut |stat| requests.count(stat)));
            }),
            _ => {}
        });
    });
    read.ok().filter(|()| is_inbound).map(|()| requests)
}

impl Requests {
    fn count(&mut self, stat: Json<'_>) {
        let (mut counter, mut count) = (None, 0);
        stat.fields(&mut |name, value| match name {
            "name" => counter = value.text(),
            // A zero may be missing.
            "value" => count = value.number().unwrap_or(0),
            _ => {}
        });
        match counter.as_deref() {
            // A plain TCP connection is counted here, too (envoy: `conn_pool_base.cc`).
            Some("rq_active") => self.active = self.active.saturating_add(count),
            Some("rq_total") => self.total = self.total.saturating_add(count),
            _ => {}
        }
    }
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
