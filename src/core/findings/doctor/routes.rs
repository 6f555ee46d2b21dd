//! Routes that lead nowhere: to a cluster that the proxy does not have, or that has nobody.
//!
//! Owns both judgements, and which clusters are worth asking about; must never ask.

use crate::core::envoy::endpoints::Health;
use crate::core::envoy::istio_series::{Reporter, Series};
use crate::core::envoy::routes::{Route, RouteCluster, Routes};
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::{ClusterName, Resource, listed};
use crate::core::findings::doctor::pages::{AskedClusters, Pages, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::sorted::{SortedMap, SortedSet};

/// How many clusters are asked about at most.
const MOST_ASKED: usize = 2_000;

/// How many findings of one kind are told; the rest is a number.
const MOST_TOLD: usize = 20;

/// How many paths one finding names.
const MOST_PATHS: usize = 3;

/// Clusters of Istio's that lead nowhere on purpose, or have no endpoints by nature.
const SPECIAL: [&str; 5] = [
    "BlackHoleCluster",
    "PassthroughCluster",
    "InboundPassthroughCluster",
    "AllowAnyDynamicDNSCluster",
    "agent",
];

/// The clusters that routes lead to and that may be missing; `true` where there were more.
#[must_use]
pub fn candidates(routes: &Routes) -> (SortedSet<String>, bool) {
    let mut names = SortedSet::new();
    let mut is_cut = routes.is_cut;
    for destination in routes.routes.iter().flat_map(|route| &route.destinations) {
        let name = &destination.cluster;
        if SPECIAL.contains(&name.as_str()) || name.starts_with("inbound|") {
            continue;
        }
        is_cut |= names.len() >= MOST_ASKED && !names.contains(name);
        if names.len() < MOST_ASKED {
            names.insert(name.clone());
        }
    }
    (names, is_cut)
}

/// Routes to a cluster that this proxy does not have.
///
/// # Errors
/// Routes or clusters could not be read, or are still on their way.
pub fn missing(pages: &Pages) -> Diagnosed {
    let (routes, asked) = (page(&pages.routes)?, page(&pages.endpoints)?);
    pages.settled()?;
    let is_missing = |name: &String| asked.names.contains(name) && !asked.found.contains_key(name);
    let found = by_cluster(routes, &is_missing);
    let told = found.iter().take(MOST_TOLD).map(|leads| leads.missing(pages));
    let is_cut = asked.is_cut || found.len() > MOST_TOLD;
    Ok(Seen::from(told.collect::<Vec<Diagnosis>>()).but(cut(is_cut)))
}

/// Routes to a cluster without a healthy endpoint.
///
/// # Errors
/// As [`missing`].
pub fn empty(pages: &Pages) -> Diagnosed {
    let (routes, asked) = (page(&pages.routes)?, page(&pages.endpoints)?);
    pages.settled()?;
    let is_empty = |name: &String| {
        asked.found.get(name).is_some_and(|health| health.healthy == 0)
            && !asked.original_destinations.contains(name)
    };
    let found = by_cluster(routes, &is_empty);
    let told = found.iter().take(MOST_TOLD).map(|leads| leads.empty(pages, asked));
    let is_cut = asked.is_cut || found.len() > MOST_TOLD;
    Ok(Seen::from(told.collect::<Vec<Diagnosis>>()).but(cut(is_cut)))
}

fn cut(is_cut: bool) -> Option<NotSeen> {
    is_cut.then_some(NotSeen::Cut("the routes, or the clusters that they lead to"))
}

/// A route, and which of its destinations is meant.
type Lead<'a> = (&'a Route, &'a RouteCluster);

/// All routes of one resource that lead to one cluster.
struct Leads<'a> {
    cluster: &'a str,
    config: Option<&'a str>,
    routes: Vec<Lead<'a>>,
}

fn by_cluster<'a>(routes: &'a Routes, wanted: &dyn Fn(&String) -> bool) -> Vec<Leads<'a>> {
    let mut found: SortedMap<(&str, Option<&str>), Vec<Lead<'_>>> = SortedMap::new();
    for route in &routes.routes {
        for destination in route.destinations.iter().filter(|to| wanted(&to.cluster)) {
            let key = (destination.cluster.as_str(), route.config.as_deref());
            found.get_or_default(key).push((route, destination));
        }
    }
    let leads = found.into_iter();
    leads.map(|((cluster, config), routes)| Leads { cluster, config, routes }).collect()
}

impl Leads<'_> {
    fn missing(&self, pages: &Pages) -> Diagnosis {
        let failed = self.failed(pages, "NC");
        let is_mirror = self.is_mirror();
        let seen = format!("{} to {}, which this proxy does not have", self.which(), self.cluster);
        let so_far = if failed > 0 { format!(" (NC, {failed} so far)") } else { String::new() };
        let finding = Finding {
            code: Code::RouteToMissingCluster,
            severity: if is_mirror { Severity::Warning } else { Severity::Error },
            seen,
            why: if is_mirror {
                "so the copies of its requests go nowhere".to_owned()
            } else {
                format!("so {} 503 without a body{so_far}", self.share())
            },
            remedy: self.remedy_for_missing(),
            source: "the route and the clusters of this proxy's own configuration (config_dump)",
        };
        let diagnosis = Diagnosis::from(finding).on(self.resource(), self.field());
        let diagnosis = diagnosis.number("failed", failed);
        match (ClusterName::read(self.cluster), self.config.and_then(Resource::of_config)) {
            (Some(cluster), Some(resource)) if !cluster.subset.is_empty() => {
                diagnosis.with(destination_rule(cluster, &resource.namespace))
            }
            _ => diagnosis,
        }
    }

    fn remedy_for_missing(&self) -> String {
        let Some(cluster) = ClusterName::read(self.cluster) else {
            return "let the control plane send that cluster, or lead the route to one that exists"
                .to_owned();
        };
        let resource = self.resource().unwrap_or_else(|| "the route".to_owned());
        if cluster.subset.is_empty() {
            format!(
                "{resource} names {} with port {}: is there such a Service or ServiceEntry with \
                 that port, is its namespace written in full, does a Sidecar or exportTo hide it?",
                cluster.host, cluster.port
            )
        } else {
            format!(
                "{resource} names subset {}: define it in the DestinationRule of that host first, \
                 or lead the route to a subset that exists",
                cluster.subset
            )
        }
    }

    fn empty(&self, pages: &Pages, asked: &AskedClusters) -> Diagnosis {
        let failed = self.failed(pages, "UH");
        let health = asked.found.get(self.cluster).copied().unwrap_or_default();
        let what = match health {
            Health { endpoints: 0, .. } => "has no endpoint".to_owned(),
            Health { endpoints: 1, .. } => {
                "has 1 endpoint, and it is ejected or unhealthy".to_owned()
            }
            Health { endpoints, .. } => {
                format!("has {endpoints} endpoints, and all are ejected or unhealthy")
            }
        };
        let so_far = if failed > 0 { format!(" (UH, {failed} so far)") } else { String::new() };
        let finding = Finding {
            code: Code::RouteToEmptyCluster,
            severity: if failed > 0 { Severity::Error } else { Severity::Warning },
            seen: format!("{} to {}, which {what}", self.which(), self.cluster),
            why: format!(
                "so {} 503, no healthy upstream{so_far}",
                if health.endpoints == 0 { self.share() } else { "requests may get a".to_owned() }
            ),
            remedy: self.remedy_for_empty(health),
            source: "the endpoints of this proxy's own clusters (config_dump with include_eds)",
        };
        let diagnosis = Diagnosis::from(finding).on(self.resource(), self.field());
        let diagnosis = diagnosis.number("endpoints", health.endpoints).number("failed", failed);
        match ClusterName::read(self.cluster).map(|cluster| cluster.host.split('.').nth(1)) {
            Some(Some(namespace)) => {
                diagnosis.with(format!("kubectl get pods -n {namespace} --show-labels"))
            }
            _ => diagnosis,
        }
    }

    fn remedy_for_empty(&self, health: Health) -> String {
        if health.endpoints > 0 {
            return "look at why its endpoints fail (readiness, outlierDetection of the \
                    DestinationRule, the service's own log)"
                .to_owned();
        }
        match ClusterName::read(self.cluster) {
            Some(cluster) if !cluster.subset.is_empty() => format!(
                "no ready pod has the labels of subset {} in the DestinationRule of {}: compare \
                 them, or scale that version up",
                cluster.subset, cluster.host
            ),
            Some(cluster) => format!(
                "no ready pod stands behind {}: compare the Service's selector with the pods' \
                 labels, or scale it up",
                cluster.host
            ),
            None => "let an instance of it become ready, or lead the route elsewhere".to_owned(),
        }
    }

    /// `the route /missing* of reviews.shop:9080 leads`
    fn which(&self) -> String {
        let mut paths: Vec<&str> =
            self.routes.iter().map(|(route, _)| route.path.as_str()).collect();
        paths.dedup();
        let host = self.routes.first().map_or("", |(route, _)| route.host.as_str());
        let more = paths.len().saturating_sub(MOST_PATHS);
        let shown: Vec<String> =
            paths.iter().take(MOST_PATHS).map(|path| (*path).to_owned()).collect();
        let (noun, verb) = if paths.len() == 1 { ("route", "leads") } else { ("routes", "lead") };
        let rest = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        format!("the {noun} {}{rest} of {host} {verb}", listed(shown))
    }

    /// `every such request is a`, `5 of 100 such requests are a`
    fn share(&self) -> String {
        match self.routes.first() {
            Some((route, RouteCluster { weight: Some(weight), .. })) => {
                let weights = route.destinations.iter().filter_map(|to| to.weight);
                let total = weights.fold(0_u64, u64::saturating_add);
                format!("{weight} of {total} such requests get a")
            }
            _ => "every such request gets a".to_owned(),
        }
    }

    fn is_mirror(&self) -> bool {
        self.routes.iter().all(|(_, destination)| destination.is_mirror)
    }

    fn resource(&self) -> Option<String> {
        self.config.and_then(Resource::of_config).map(|resource| resource.to_string())
    }

    fn field(&self) -> &'static str {
        match (self.config.is_some(), self.is_mirror()) {
            (false, _) => "",
            (true, true) => "spec.http[].mirrors[].destination",
            (true, false) => "spec.http[].route[].destination",
        }
    }

    /// Requests to this host that ended with this flag, as this proxy's own metrics count them.
    fn failed(&self, pages: &Pages, flag: &str) -> u64 {
        let hosts: Vec<&str> = self.routes.iter().map(|(route, _)| route.host.as_str()).collect();
        let target = ClusterName::read(self.cluster).map(|cluster| cluster.host);
        let series = pages.counters.iter().flat_map(|counters| &counters.series);
        let is_of = |series: &&Series| {
            let host = series.host.as_str();
            let is_host = hosts.contains(&host)
                || target == Some(host)
                || hosts.iter().any(|own| is_short_for(host, own));
            series.reporter == Reporter::Source && is_host && series.has(flag)
        };
        series.filter(is_of).map(|series| series.count).fold(0, u64::saturating_add)
    }
}

/// `reviews:9080` and `reviews.shop` are `reviews.shop.svc.cluster.local:9080`.
fn is_short_for(host: &str, full: &str) -> bool {
    let bare = |name: &str| name.split(':').next().unwrap_or_default().to_owned();
    let (host, full) = (bare(host), bare(full));
    !host.is_empty() && (full == host || full.starts_with(&format!("{host}.")))
}

fn destination_rule(cluster: ClusterName<'_>, namespace: &str) -> String {
    let name = cluster.host.split('.').next().unwrap_or_default();
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, \
         namespace: {namespace}}}\nspec:\n  host: {}\n  subsets:\n  - name: {}\n    labels: \
         {{version: {}}}  # the labels of the pods that are meant\n",
        cluster.host, cluster.subset, cluster.subset
    )
}
