//! The judges that judge by counters, on series with the names that Istio's filter builds.

use std::time::Duration;

use crate::core::envoy::filter_chain::Transport;
use crate::core::envoy::istio_series::{Counts, Reporter, Series};
use crate::core::envoy::routes::{Retry, Route};
use crate::core::envoy::usage::UsagePage;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::NotSeen;
use crate::core::findings::doctor::fixtures::{fixture, found, healthy, read, with_routes};
use crate::core::findings::doctor::judges::JUDGES;
use crate::core::findings::doctor::pages::Pages;
use crate::core::findings::finding::Severity;
use crate::core::metrics::agent::AgentMetrics;

fn series(host: &str, service_name: &str, flags: &str, count: u64) -> Series {
    Series {
        counts: Counts::Requests,
        reporter: Reporter::Source,
        source_workload: "shop".to_owned(),
        host: host.to_owned(),
        service_name: service_name.to_owned(),
        code: Some(503),
        flags: flags.to_owned(),
        is_plaintext: false,
        count,
    }
}

fn with(series: Vec<Series>) -> Pages {
    let mut pages = healthy();
    pages.counters.as_mut().unwrap().series = series;
    pages
}

fn seen(pages: &Pages, code: Code) -> Vec<(Severity, String)> {
    let found = found(pages, code).into_iter();
    found.map(|found| (found.finding.severity, found.finding.seen)).collect()
}

#[test]
fn requests_that_failed_in_the_proxy_are_told_by_host_and_flag() {
    let pages = with(vec![
        series("reviews.shop", "reviews", "UH", 58),
        series("reviews.shop", "reviews", "UO", 4),
        series("slow.shop", "slow", "URX,UT", 2),
        series("fault.shop", "fault", "FI", 9),
        series("fine.shop", "fine", "-", 1000),
    ]);
    let expected = [
        (
            Severity::Error,
            "in 3 h this proxy ended 62 requests to reviews.shop by itself (58 UH, no healthy \
             upstream and 4 UO, circuit breaker)",
        ),
        (
            Severity::Warning,
            "in 3 h this proxy ended 2 requests to slow.shop by itself (2 UT, timeout)",
        ),
    ];
    let expected = expected.map(|(severity, seen)| (severity, seen.to_owned()));
    assert_eq!(seen(&pages, Code::RequestsFailedInProxy), expected);
}

#[test]
fn without_istios_metrics_nothing_is_claimed_about_requests() {
    let mut pages = healthy();
    pages.counters.as_mut().unwrap().has_istio_metrics = false;
    for code in [Code::RequestsFailedInProxy, Code::UnknownDestination] {
        let (_, judge) = JUDGES.iter().find(|(known, _)| *known == code).unwrap();
        assert!(matches!(judge(&pages), Err(NotSeen::Hidden(_))), "{code}");
    }
}

#[test]
fn unknown_hosts_are_named_and_refused_ones_are_a_warning() {
    let pages = with(vec![
        series("api.example.com", "BlackHoleCluster", "-", 12),
        series("pypi.example", "PassthroughCluster", "-", 3),
    ]);
    let told = found(&pages, Code::UnknownDestination);
    assert_eq!(told[0].finding.severity, Severity::Warning);
    assert!(told[0].finding.seen.starts_with("12 requests to api.example.com were refused"));
    assert!(told[0].snippet.as_ref().unwrap().contains("hosts: [api.example.com]"));
    assert_eq!(told[1].finding.severity, Severity::Info);
}

#[test]
fn a_permissive_port_is_a_warning_only_where_plaintext_came() {
    let quiet = seen(&healthy(), Code::PlaintextAccepted);
    assert_eq!(quiet[0].0, Severity::Info);
    assert!(quiet[0].1.contains("no plaintext came in 3 h"), "{quiet:?}");
    let mut plain = series("shop", "shop", "-", 341);
    (plain.reporter, plain.is_plaintext) = (Reporter::Destination, true);
    plain.source_workload = "unknown".to_owned();
    let came = seen(&with(vec![plain]), Code::PlaintextAccepted);
    assert_eq!(came[0].0, Severity::Warning);
    assert!(came[0].1.contains("341 requests came in plaintext"), "{came:?}");
    let mut strict = healthy();
    let chains = &mut strict.listeners.as_mut().unwrap().chains;
    chains.retain(|chain| chain.transport != Transport::Raw);
    assert_eq!(seen(&strict, Code::PlaintextAccepted), []);
}

#[test]
fn an_empty_cluster_is_an_error_only_where_requests_failed() {
    let routes = |pages| with_routes(pages, fixture!("missing-subset.routes.json"));
    let empty = |mut pages: Pages| {
        let asked = pages.endpoints.as_mut().unwrap();
        let names: Vec<String> = asked.found.keys().cloned().collect();
        for name in names {
            asked.found.get_mut(&name).unwrap().healthy = 0;
        }
        pages
    };
    let quiet = seen(&empty(routes(healthy())), Code::RouteToEmptyCluster);
    assert_eq!(quiet[0].0, Severity::Warning);
    assert!(quiet[0].1.contains("has 1 endpoint, and it is ejected or unhealthy"), "{quiet:?}");
    let failing = with(vec![series("reviews.shop.svc.cluster.local", "reviews", "UH", 7)]);
    let failed = found(&empty(routes(failing)), Code::RouteToEmptyCluster);
    assert_eq!(failed[0].finding.severity, Severity::Error);
    assert!(failed[0].finding.why.contains("(UH, 7 so far)"), "{failed:?}");
    let mut headless = empty(routes(healthy()));
    let asked = headless.endpoints.as_mut().unwrap();
    asked.original_destinations = asked.found.keys().cloned().collect();
    assert_eq!(seen(&headless, Code::RouteToEmptyCluster), []);
}

#[test]
fn memory_is_judged_by_a_limit_that_is_known() {
    let at = |used: u64, limit: Option<u64>| {
        let mut pages = healthy();
        pages.counters.as_mut().unwrap().memory = Some(used << 20);
        pages.agent = Ok(AgentMetrics {
            memory_limit: limit.map(|limit| limit << 20),
            ..AgentMetrics::default()
        });
        let (_, judge) = JUDGES.iter().find(|(code, _)| *code == Code::ProxyMemory).unwrap();
        judge(&pages).map(|seen| seen.found.first().map(|found| found.finding.severity))
    };
    assert_eq!(at(100, Some(256)), Ok(None));
    assert_eq!(at(214, Some(256)), Ok(Some(Severity::Warning)));
    assert_eq!(at(240, Some(256)), Ok(Some(Severity::Error)));
    for unknown in [None, Some(64 << 10)] {
        assert!(matches!(at(240, unknown), Err(NotSeen::Hidden(_))), "{unknown:?}");
    }
}

#[test]
fn a_proxy_that_is_much_younger_was_started_anew() {
    let mut pages = healthy();
    assert_eq!(seen(&pages, Code::ProxyRestarted), []);
    pages.manifest.as_mut().unwrap().uptime_all = Some(Duration::from_mins(3));
    let told = seen(&pages, Code::ProxyRestarted);
    assert_eq!(told[0].1, "the proxy has run for 3 min, the application for 3 h");
}

#[test]
fn a_draft_of_a_sidecar_has_what_was_used() {
    let mut pages = healthy();
    pages.counters.as_mut().unwrap().clusters = Some(1_432);
    let text = b"outbound|80||a.payments.svc.cluster.local::1.1.1.1:80::rq_total::7\n\
                 outbound|80||b.shop.svc.cluster.local::1.1.1.1:80::rq_total::7\n\
                 outbound|443||api.example.com::1.1.1.1:80::cx_total::7\n\
                 outbound|80||c.other.svc.cluster.local::1.1.1.1:80::rq_total::0\n";
    pages.usage = Some(Ok(read::<UsagePage>(text)));
    let told = &found(&pages, Code::ConfigOfWholeMesh)[0];
    assert_eq!(told.finding.severity, Severity::Warning);
    assert!(told.finding.seen.contains("1,432 clusters, and has used 3 of them in 3 h"));
    let draft = told.snippet.as_ref().unwrap();
    for line in
        ["# A draft", "./*", "\"payments/*\"", "\"*/api.example.com\"", "\"istio-system/*\""]
    {
        assert!(draft.contains(line), "{draft}");
    }
    assert!(!draft.contains("other"), "{draft}");
}

#[test]
fn retries_are_judged_where_somebody_wrote_them() {
    let route = |on: &str, timeout: Option<u64>, per_try: Option<u64>| {
        let mut pages = healthy();
        let retry = Retry {
            on: on.split(',').map(str::to_owned).collect(),
            retries: Some(3),
            per_try: per_try.map(Duration::from_secs),
        };
        let config = "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews";
        pages.routes.as_mut().unwrap().routes.push(Route {
            config: Some(config.to_owned()),
            timeout: timeout.map(Duration::from_secs),
            retry: Some(retry),
            ..Route::default()
        });
        let judged = |code| found(&pages, code).len();
        (judged(Code::RetriesUnsafe), judged(Code::RetryBudget))
    };
    assert_eq!(route("connect-failure,refused-stream", None, None), (0, 0));
    assert_eq!(route("5xx", None, None), (1, 0));
    assert_eq!(route("gateway-error,reset", Some(10), Some(2)), (1, 0));
    assert_eq!(route("connect-failure", Some(10), Some(3)), (0, 1));
    assert_eq!(route("connect-failure", Some(10), None), (0, 1));
}

#[test]
fn smaller_things_are_told_as_well() {
    let mut pages = healthy();
    let manifest = pages.manifest.as_mut().unwrap();
    manifest.log_level = Some("debug".to_owned());
    manifest.annotations.rewrites_probes = Some(false);
    pages.container.as_mut().unwrap().commands.insert("nginx".to_owned());
    for chain in &mut pages.listeners.as_mut().unwrap().chains {
        chain.sampling = chain.sampling.map(|_| 100_000_000);
    }
    for code in
        [Code::DebugLogging, Code::ProbesNotRewritten, Code::Http10Refused, Code::TracingSamplesAll]
    {
        assert_eq!(seen(&pages, code).len(), 1, "{code}");
    }
    pages.manifest.as_mut().unwrap().http10 = true;
    assert_eq!(seen(&pages, Code::Http10Refused), []);
}
