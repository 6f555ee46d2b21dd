//! What the application calls: routes, faults, retries, the size of the mesh.

use serde_json::{Value, json};

use super::config::{Config, KNOWN, Pod, cluster, findings, route, troubles};
use crate::support::envoy::binary;
use crate::support::namespace::inside;

/// Two endpoints that refuse connections: the first failure of each ejects it.
fn ejecting(name: &str) -> Value {
    let mut cluster = cluster(name, &[1, 2]);
    cluster["outlier_detection"] = json!({
        "consecutive_5xx": 1, "max_ejection_percent": 100, "interval": "0.1s",
        "base_ejection_time": "300s", "consecutive_gateway_failure": 1,
        "enforcing_consecutive_5xx": 100, "enforcing_consecutive_gateway_failure": 100,
    });
    cluster["common_lb_config"] = json!({ "healthy_panic_threshold": { "value": 0 } });
    cluster
}

fn with(mut value: Value, name: &str, member: Value) -> Value {
    value[name] = member;
    value
}

#[test]
fn nothing_is_wrong_with_a_healthy_pod() {
    let _fetched = binary();
    inside(|| {
        let pod = Pod::start(&Config::healthy());
        assert_eq!(pod.calls("/").0, 200);
        let report = pod.report(&[]);
        assert_eq!(troubles(&report), [], "{report:#}");
        // The service that it calls and its listener are in this network namespace, too: nobody
        // asks for them from outside, and whose they are is not known.
        assert_eq!(report["findings"], serde_json::json!([]), "{report:#}");
        // Nobody looked at everything.
        assert_eq!(report["ok"], false);
        assert_eq!(report["proxy"]["state"], "LIVE");
        assert_eq!(report["proxy"]["istio_version"], "1.28.0");
        let blind: Vec<&Value> =
            report["not_seen"].as_array().unwrap().iter().map(|blind| &blind["judge"]).collect();
        // Its configuration comes from files, and this Envoy has none of Istio's own metrics.
        let expected =
            ["control-plane-lost", "requests-failed-in-proxy", "unknown-destination", "check"];
        assert!(blind.iter().all(|judge| expected.iter().any(|name| judge == name)), "{report:#}");
        let text = pod.doctor().run().expect_code(0);
        assert!(text.stdout.starts_with("nothing wrong seen; 3 of "), "{}", text.stdout);
        assert!(!text.stdout.contains('\u{1b}'), "{}", text.stdout);
        let colored = pod.doctor().with(["--color=always"]).run();
        assert!(colored.stdout.starts_with("\u{1b}[1;32mnothing wrong"), "{}", colored.stdout);
    });
}

#[test]
fn routes_to_nothing_are_named_and_really_fail() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let missing = "outbound|9080|v2|reviews.shop.svc.cluster.local";
        let weighted = "outbound|9080|v9|reviews.shop.svc.cluster.local";
        let empty = "outbound|9080|v3|reviews.shop.svc.cluster.local";
        let ejected = "outbound|9080|v4|reviews.shop.svc.cluster.local";
        let clusters = json!([{ "name": KNOWN, "weight": 95 }, { "name": weighted, "weight": 5 }]);
        config.routes = vec![
            route("/missing", &json!({ "cluster": missing })),
            route("/weighted", &json!({ "weighted_clusters": { "clusters": clusters } })),
            route("/empty", &json!({ "cluster": empty })),
            route("/ejected", &json!({ "cluster": ejected })),
            route("/static", &json!({ "cluster": "of-the-bootstrap", "prefix_rewrite": "/" })),
            route("/", &json!({ "cluster": KNOWN })),
        ];
        config.clusters.extend([cluster(empty, &[]), ejecting(ejected)]);
        config.bootstrap = json!({ "static_resources": {
            "clusters": [cluster("of-the-bootstrap", &[9999])],
        } });
        let pod = Pod::start(&config);
        let (status, answer) = pod.calls("/missing");
        assert_eq!((status, answer.ends_with("\r\n\r\n")), (503, true), "{answer}");
        let (status, answer) = pod.calls("/empty");
        assert_eq!((status, answer.contains("no healthy upstream")), (503, true), "{answer}");
        for _ in 0..4 {
            assert_eq!(pod.calls("/ejected").0, 503);
        }
        assert_eq!((pod.calls("/").0, pod.calls("/static").0), (200, 200));
        let report = pod.report(&[]);
        let of = |code: &str| -> Vec<String> {
            let found = findings(&report, code).into_iter();
            found.map(|finding| finding["seen"].as_str().unwrap().to_owned()).collect()
        };
        let lost = of("route-to-missing-cluster");
        assert_eq!(lost.len(), 2, "{report:#}");
        assert!(lost[0].starts_with("the route /missing* of reviews.shop.svc.cluster.local:9080"));
        assert!(lost[0].contains(missing) && lost[1].contains(weighted), "{lost:?}");
        let share = &findings(&report, "route-to-missing-cluster")[1]["why"];
        assert!(share.as_str().unwrap().contains("5 of 100 such requests"), "{share}");
        let resource = &findings(&report, "route-to-missing-cluster")[0]["resource"];
        assert_eq!(resource, "VirtualService shop/reviews");
        let nobody = of("route-to-empty-cluster");
        assert_eq!(nobody.len(), 2, "{report:#}");
        assert!(nobody[0].contains(empty) && nobody[0].ends_with("has no endpoint"), "{nobody:?}");
        assert!(nobody[1].contains(ejected) && nobody[1].contains("all are ejected"), "{nobody:?}");
        assert_eq!(troubles(&report).len(), 4, "{report:#}");
    });
}

#[test]
fn a_fault_that_was_left_on_is_named_and_really_happens() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let fault = |numerator: u64| {
            json!({ "envoy.filters.http.fault": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
                "abort": {
                    "http_status": 418,
                    "percentage": { "numerator": numerator, "denominator": "MILLION" },
                },
            } })
        };
        let mut broken = route("/broken", &json!({ "cluster": KNOWN }));
        broken["typed_per_filter_config"] = fault(1_000_000);
        let mut marked = route("/", &json!({ "cluster": KNOWN }));
        marked["typed_per_filter_config"] = fault(500_000);
        marked["match"]["headers"] =
            json!([{ "name": "x-test", "string_match": { "exact": "hush-header" } }]);
        config.routes = vec![broken, marked, route("/", &json!({ "cluster": KNOWN }))];
        // Istio has the filter, empty, in every chain.
        let filter = json!({
            "name": "envoy.filters.http.fault",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            },
        });
        let inbound = super::config::all_to("inbound|8080||");
        let manager = super::config::http(&inbound, &[filter], &json!({}));
        config.chains = vec![super::config::chain(8080, &[manager])];
        let pod = Pod::start(&config);
        let report = pod.report(&[]);
        let severities: Vec<(&str, &str)> = troubles(&report);
        assert_eq!(severities, [("fault-injected", "error"), ("fault-injected", "warning")]);
        let seen = &findings(&report, "fault-injected")[0]["seen"];
        let expected = "the route /broken* of reviews.shop.svc.cluster.local:9080 aborts 100% of \
                        the \
                        requests with 418";
        assert_eq!(seen, expected);
        assert!(!report.to_string().contains("hush"), "{report:#}");
    });
}

#[test]
fn retries_that_hurt_are_named() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let retry = |on: &str, per_try: &str| {
            let tries = json!({ "retry_on": on, "num_retries": 3 });
            with(tries, "per_try_timeout", per_try.into())
        };
        let action = |timeout: &str, retry: Value| {
            with(json!({ "cluster": KNOWN, "timeout": timeout }), "retry_policy", retry)
        };
        config.routes = vec![
            route("/unsafe", &action("0s", retry("5xx,connect-failure", "1s"))),
            route("/late", &action("3s", retry("connect-failure", "2s"))),
            route("/", &json!({ "cluster": KNOWN })),
        ];
        let report = Pod::start(&config).report(&[]);
        assert_eq!(troubles(&report), [("retries-unsafe", "warning")]);
        let late = &findings(&report, "retry-budget")[0]["seen"];
        assert!(late.as_str().unwrap().contains("has 3 s for 4 tries of 2 s each"), "{late}");
    });
}

#[test]
fn a_large_mesh_is_told_and_a_sidecar_drafted_from_what_was_used() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let name = |number: usize| format!("outbound|80||s{number}.team{number}.svc.cluster.local");
        config.clusters.extend((0..1_200).map(|number| cluster(&name(number), &[9999])));
        config
            .routes
            .insert(0, route("/used", &json!({ "cluster": name(7), "prefix_rewrite": "/" })));
        let pod = Pod::start(&config);
        assert_eq!(pod.calls("/used").0, 200);
        let report = pod.report(&["--deep"]);
        assert_eq!(troubles(&report), [("config-of-whole-mesh", "warning")], "{report:#}");
        let finding = findings(&report, "config-of-whole-mesh")[0];
        assert_eq!(finding["numbers"]["clusters"], 1_203);
        assert_eq!(finding["numbers"]["used_clusters"], 1);
        let draft = finding["snippet"].as_str().unwrap();
        assert!(draft.contains("\"team7/*\"") && !draft.contains("team8"), "{draft}");
        let quick = pod.report(&[]);
        assert_eq!(findings(&quick, "config-of-whole-mesh")[0]["snippet"], Value::Null);
    });
}
