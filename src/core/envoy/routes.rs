//! Envoy's dynamic routes (`config_dump`, `dynamic_route_configs`): which of them lead where, fail
//! on purpose, or are tried again.
//!
//! Owns which routes are worth keeping, and the reading of them; must never judge. Names of
//! headers, their values and direct responses are not kept.

use std::time::Duration;

use crate::core::envoy::fault_filter::{self, FaultFilter};
use crate::core::envoy::json::{self, Json};
use crate::core::envoy::page::Page;
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::server_info::parse_duration;
use crate::core::envoy::unread::Unread;

const WANTED: &[Path] = &[&["configs", EACH, "route_config", "virtual_hosts", EACH]];

/// A virtual host of Istio's takes 1.2 KB; one with hundreds of routes is under this.
const MOST_VIRTUAL_HOST: usize = 1024 * 1024;

/// How many routes are kept: those that somebody wrote, not those that come with each Service.
const MOST_ROUTES: usize = 2_000;

/// How many destinations of one route are kept.
const MOST_DESTINATIONS: usize = 16;

/// The routes that somebody wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// At most 2,000.
    pub routes: Vec<Route>,
    /// How many virtual hosts there are in all.
    pub virtual_hosts: u64,
    /// Some were left out: there are too many, or one is too large.
    pub is_cut: bool,
}

/// One route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The virtual host: `reviews.shop.svc.cluster.local:9080`.
    pub host: String,
    /// What it matches, as `/missing*`, `/exact`, `~regex`.
    pub path: String,
    /// Envoy's name of it, mostly empty.
    pub name: String,
    /// The Kubernetes resource that it was made of, as istiod writes it (istio:
    /// `AddConfigInfoMetadata`).
    pub config: Option<String>,
    /// Where it leads.
    pub destinations: Vec<RouteCluster>,
    /// It matches by headers or query parameters, too.
    pub is_conditional: bool,
    /// It matches by the method, too.
    pub is_by_method: bool,
    /// What its fault filter does.
    pub fault: Option<FaultFilter>,
    /// How long a request may take in all; `None` for no limit.
    pub timeout: Option<Duration>,
    /// How it is tried again.
    pub retry: Option<Retry>,
}

/// A cluster that a route leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteCluster {
    /// The cluster's name.
    pub cluster: String,
    /// Its weight, where there are several.
    pub weight: Option<u64>,
    /// It gets copies, and its answers are dropped.
    pub is_mirror: bool,
}

/// A route's retry policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// On what, as Envoy names it.
    pub on: Vec<String>,
    /// How often at most.
    pub retries: Option<u64>,
    /// How long one try may take.
    pub per_try: Option<Duration>,
}

/// Reads the page.
#[derive(Debug)]
pub struct RoutesPage {
    picker: Picker,
    routes: Routes,
    /// Which routes are kept: those that somebody wrote, or all of them.
    keeps_all: bool,
}

impl RoutesPage {
    /// For a mesh that does not say which routes somebody wrote: all are kept.
    #[must_use]
    pub fn of_all() -> Self {
        Self { keeps_all: true, ..Self::begin() }
    }
}

impl Page for RoutesPage {
    type Content = Routes;
    const QUERY: &'static str = "/config_dump?resource=dynamic_route_configs";
    const MOST_BYTES: usize = 64 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        let picker = Picker::new(WANTED, MOST_VIRTUAL_HOST);
        Self { picker, routes: Routes::default(), keeps_all: false }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let Self { picker, routes, keeps_all } = self;
        picker.feed(bytes, &mut |_, part| {
            routes.virtual_hosts += 1;
            let read = part.map(|part| routes.take(part, *keeps_all));
            routes.is_cut |= !matches!(read, Some(Ok(())));
        })
    }

    fn end(self) -> Result<Routes, Unread> {
        self.picker.finish().map(|()| self.routes)
    }
}

impl Routes {
    /// Adds a virtual host's routes.
    fn take(&mut self, virtual_host: &[u8], keeps_all: bool) -> Result<(), Unread> {
        let (mut host, first) = (None, self.routes.len());
        json::read(virtual_host, &mut |value| {
            value.fields(&mut |name, value| match name {
                "name" => host = value.text(),
                "routes" => value.items(&mut |value| {
                    let route = Route::read(value);
                    if !keeps_all && !route.is_written() {
                        return;
                    }
                    if self.routes.len() < MOST_ROUTES {
                        self.routes.push(route);
                    } else {
                        self.is_cut = true;
                    }
                }),
                _ => {}
            });
        })?;
        for route in &mut self.routes[first..] {
            route.host = host.clone().unwrap_or_default();
        }
        Ok(())
    }
}

impl Route {
    /// Did somebody write it? Istio's default routes have a cluster that comes with them.
    fn is_written(&self) -> bool {
        let is_subset = |destination: &RouteCluster| {
            subset(&destination.cluster).is_some_and(|name| !name.is_empty())
        };
        self.config.is_some()
            || self.fault.as_ref().is_some_and(FaultFilter::is_on)
            || self.destinations.iter().any(is_subset)
    }

    fn read(value: Json<'_>) -> Self {
        let mut route = Self::default();
        value.fields(&mut |name, value| match name {
            "name" => route.name = value.text().unwrap_or_default(),
            "match" => route.read_match(value),
            "route" => route.read_action(value),
            "metadata" => value.at(&["filter_metadata", "istio", "config"], &mut |config| {
                route.config = config.text();
            }),
            "typed_per_filter_config" => value.at(&[fault_filter::NAME], &mut |config| {
                route.fault = Some(FaultFilter::read(config));
            }),
            _ => {}
        });
        route
    }

    fn read_match(&mut self, value: Json<'_>) {
        value.fields(&mut |name, value| match name {
            "prefix" | "path_separated_prefix" => {
                self.path = format!("{}*", value.text().unwrap_or_default());
            }
            "path" => self.path = value.text().unwrap_or_default(),
            "safe_regex" => value.at(&["regex"], &mut |regex| {
                self.path = format!("~{}", regex.text().unwrap_or_default());
            }),
            "headers" => value.items(&mut |header| {
                header.at(&["name"], &mut |name| {
                    name.with_text(&mut |name| {
                        self.is_by_method |= name == ":method";
                        // Istio matches schemes, methods and authorities as headers.
                        self.is_conditional |= !name.starts_with(':');
                    });
                });
            }),
            "query_parameters" => value.items(&mut |_| self.is_conditional = true),
            _ => {}
        });
    }

    fn read_action(&mut self, value: Json<'_>) {
        value.fields(&mut |name, value| match name {
            "cluster" => {
                if let Some(cluster) = value.text() {
                    self.lead_to(RouteCluster { cluster, ..RouteCluster::default() });
                }
            }
            "weighted_clusters" => value.at(&["clusters"], &mut |clusters| {
                clusters.items(&mut |cluster| self.lead_to_weighted(cluster));
            }),
            "request_mirror_policies" => value.items(&mut |policy| {
                policy.at(&["cluster"], &mut |cluster| {
                    if let Some(cluster) = cluster.text() {
                        self.lead_to(RouteCluster { cluster, weight: None, is_mirror: true });
                    }
                });
            }),
            "timeout" => self.timeout = duration(value).filter(|timeout| !timeout.is_zero()),
            "retry_policy" => self.retry = Some(Retry::read(value)),
            _ => {}
        });
    }

    fn lead_to_weighted(&mut self, cluster: Json<'_>) {
        let (mut name, mut weight) = (None, 0);
        cluster.fields(&mut |member, value| match member {
            "name" => name = value.text(),
            "weight" => weight = value.number().unwrap_or_default(),
            _ => {}
        });
        // What has no weight gets nothing.
        if let Some(cluster) = name.filter(|_| weight > 0) {
            self.lead_to(RouteCluster { cluster, weight: Some(weight), is_mirror: false });
        }
    }

    fn lead_to(&mut self, destination: RouteCluster) {
        if !destination.cluster.is_empty() && self.destinations.len() < MOST_DESTINATIONS {
            self.destinations.push(destination);
        }
    }
}

impl Retry {
    fn read(value: Json<'_>) -> Self {
        let mut retry = Self::default();
        value.fields(&mut |name, value| match name {
            "retry_on" => value.with_text(&mut |on| {
                retry.on = on.split(',').map(json::clean).take(20).collect();
            }),
            "num_retries" => retry.retries = value.number(),
            "per_try_timeout" => retry.per_try = duration(value).filter(|time| !time.is_zero()),
            _ => {}
        });
        retry
    }
}

/// The subset in `outbound|9080|v2|reviews.shop.svc.cluster.local`.
fn subset(cluster: &str) -> Option<&str> {
    cluster.strip_prefix("outbound|")?.split('|').nth(1)
}

fn duration(value: Json<'_>) -> Option<Duration> {
    parse_duration(&value.text()?)
}

#[cfg(test)]
mod tests;
