//! Pods for the judges' tests: the answers of real Istio sidecars in `tests/fixtures/doctor`.

use std::time::Duration;

use crate::core::envoy::certs::CertsPage;
use crate::core::envoy::counters::CountersPage;
use crate::core::envoy::endpoints::EndpointsPage;
use crate::core::envoy::listeners::ListenersPage;
use crate::core::envoy::manifest::ManifestPage;
use crate::core::envoy::page::{Page, whole};
use crate::core::envoy::routes::RoutesPage;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosis, NotSeen};
use crate::core::findings::doctor::judges::{DoctorVerdict, JUDGES, judge};
use crate::core::findings::doctor::pages::{AskedClusters, Container, Pages, PodSockets};
use crate::core::findings::doctor::routes::candidates;
use crate::core::findings::doctor::when::parse;
use crate::core::findings::finding::Severity;
use crate::core::mesh::Mesh;
use crate::core::metrics::agent::AgentMetrics;

/// A page of `tests/fixtures/doctor`.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/doctor/", $name))
    };
}
pub(crate) use fixture;

pub(super) fn read<P: Page>(body: &[u8]) -> P::Content {
    whole::<P>(body).unwrap_or_else(|error| panic!("{error}"))
}

/// A sidecar with nothing wrong, three hours after its start.
pub(super) fn healthy() -> Pages {
    let now = parse("2026-11-24T15:55:00Z").expect("a moment");
    let mut pages = Pages::unread(Mesh::Istio, now, &NotSeen::Hidden("not in this test"));
    let mut manifest = read::<ManifestPage>(fixture!("healthy.server_info.json"));
    manifest.uptime = Some(Duration::from_hours(3));
    manifest.uptime_all = manifest.uptime;
    pages.manifest = Ok(manifest);
    let mut counters = read::<CountersPage>(fixture!("healthy.stats.txt"));
    counters.has_istio_metrics = true;
    pages.counters = Ok(counters);
    pages.listeners = Ok(read::<ListenersPage>(fixture!("healthy.listeners.json")));
    pages.certs = Ok(read::<CertsPage>(fixture!("healthy.certs.json")));
    pages.runtime = Ok(vec![]);
    pages.agent = Ok(AgentMetrics { memory_limit: Some(1 << 30), ..AgentMetrics::default() });
    pages.sockets = Ok(PodSockets {
        addresses: vec!["10.66.0.10".parse().expect("an address")],
        ..PodSockets::default()
    });
    pages.container = Ok(Container::default());
    if let Ok(container) = &mut pages.container {
        container.age = Some(Duration::from_hours(3));
    }
    with_routes(pages, fixture!("healthy.routes.json"))
}

/// The same with other routes; the proxy knows the clusters of the healthy one.
pub(super) fn with_routes(mut pages: Pages, routes: &[u8]) -> Pages {
    let routes = read::<RoutesPage>(routes);
    let (names, is_cut) = candidates(&routes);
    let found = read::<EndpointsPage>(fixture!("healthy.endpoints.json"));
    let found = found.into_iter().filter(|(name, _)| names.contains(name)).collect();
    pages.endpoints = Ok(AskedClusters { names, found, is_cut, ..AskedClusters::default() });
    pages.routes = Ok(routes);
    pages
}

/// The findings of this code.
#[track_caller]
pub(super) fn found(pages: &Pages, code: Code) -> Vec<Diagnosis> {
    let (_, judge) = JUDGES.iter().find(|(known, _)| *known == code).expect("a judge");
    let seen = judge(pages).unwrap_or_else(|why| panic!("{code}: {why}"));
    for diagnosis in &seen.found {
        assert_eq!(diagnosis.finding.code, code);
        assert!(code.severities().contains(&diagnosis.finding.severity), "{diagnosis:?}");
    }
    seen.found
}

/// Of all judges: the codes of what is worse than information.
pub(super) fn troubles(pages: &Pages) -> Vec<Code> {
    let DoctorVerdict { found, .. } = judge(pages);
    let troubles = found.iter().filter(|found| found.finding.severity > Severity::Info);
    troubles.map(|found| found.finding.code).collect()
}
