//! What no stock Envoy shows (Istio's own metrics, other meshes), secrets in every place, and
//! answers that are wrong: by a scripted proxy that says what real ones said.

use std::time::{SystemTime, UNIX_EPOCH};

use meshim::core::envoy::counters::CountersPage;
use meshim::core::envoy::listeners::ListenersPage;
use meshim::core::envoy::page::Page as _;
use meshim::core::envoy::routes::RoutesPage;
use serde_json::{Value, json};

use super::config::{findings, from_another_container, report_of, troubles};
use crate::support::namespace::inside;
use crate::support::reply::{Gate, Reply};
use crate::support::shared::poll;
use crate::support::standin::StandIn;

/// A page of `tests/fixtures/doctor`.
fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/doctor/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// An Istio proxy as a real one answered, three hours after its start.
struct Proxy {
    admin: StandIn,
    ready: StandIn,
}

impl Proxy {
    fn healthy() -> Self {
        let proxy = Self { admin: StandIn::on_port(15000), ready: StandIn::on_port(15021) };
        proxy.ready.says("/healthz/ready", Reply::plain(200, ""));
        let mut info: Value =
            serde_json::from_str(&fixture("healthy.server_info.json")).expect("it is JSON");
        for name in ["uptime_current_epoch", "uptime_all_epochs"] {
            info[name] = "10800s".into();
        }
        proxy.says("/server_info", &info.to_string());
        proxy.stats("");
        proxy.says("/config_dump", "{}");
        proxy.says(ListenersPage::QUERY, &fixture("healthy.listeners.json"));
        proxy.says(RoutesPage::QUERY, &fixture("healthy.routes.json"));
        proxy.says("/certs", r#"{"certificates":[]}"#).says("/ready", "LIVE\n");
        proxy.says("/runtime", r#"{"layers":["admin"],"entries":{}}"#);
        proxy
    }

    fn says(&self, target: &str, body: &str) -> &Self {
        self.admin.says(target, Reply::envoy(200, body));
        self
    }

    /// Its counters, updated a moment ago, with more of them.
    fn stats(&self, more: &str) -> &Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_millis();
        let stats = fixture("healthy.stats.txt");
        let lines = stats.lines().map(|line| match line.split_once(".update_time: ") {
            Some((owner, _)) => format!("{owner}.update_time: {now}\n"),
            None => format!("{line}\n"),
        });
        self.says("/stats", &(lines.collect::<String>() + more))
    }

    #[track_caller]
    #[expect(clippy::unused_self, reason = "there has to be a proxy")]
    fn report(&self) -> Value {
        report_of(&from_another_container().with(["--output=json"]).run())
    }
}

/// A series as Istio's metric filter names it.
fn series(
    reporter: &str,
    source: &str,
    host: &str,
    service: &str,
    flags: &str,
    tls: &str,
) -> String {
    format!(
        "istiocustom.istio_requests_total.reporter.{reporter}.source_workload.{source}.\
         source_canonical_service.shop.destination_workload.unknown.destination_service.{host}.\
         destination_canonical_service.unknown.destination_service_name.{service}.\
         destination_service_namespace.shop.destination_cluster.unknown.request_protocol.http.\
         response_code.503.grpc_response_status.response_flags.{flags}.\
         connection_security_policy.{tls}"
    )
}

#[test]
fn istios_own_metrics_tell_failures_plaintext_and_unknown_hosts() {
    inside(|| {
        let proxy = Proxy::healthy();
        assert_eq!(troubles(&proxy.report()), []);
        let lines = [
            series("source", "shop", "reviews.shop", "reviews", "UH", "unknown") + ": 58",
            series("source", "shop", "api.example.com", "BlackHoleCluster", "-", "unknown")
                + ": 12",
            series("destination", "unknown", "shop.shop", "shop", "-", "none") + ": 341",
        ];
        proxy.stats(&lines.join("\n"));
        let report = proxy.report();
        assert_eq!(
            troubles(&report),
            [
                ("requests-failed-in-proxy", "error"),
                ("plaintext-accepted", "warning"),
                ("unknown-destination", "warning"),
            ],
            "{report:#}"
        );
        let failed = findings(&report, "requests-failed-in-proxy")[0];
        assert_eq!(failed["numbers"]["failed"], 58);
        let plain = findings(&report, "plaintext-accepted")[0];
        assert_eq!(plain["resource"], "PeerAuthentication shop/default");
        assert_eq!(plain["numbers"]["requests"], 341);
    });
}

fn listeners_with_secrets() -> Value {
    let jwt = json!({ "name": "envoy.filters.http.jwt_authn", "typed_config": {
        "providers": { "a": { "local_jwks": { "inline_string": "hush" } } } } });
    let rbac = json!({ "name": "envoy.filters.http.rbac", "typed_config": { "rules": {
        "policies": { "ns[shop]-policy[p]-rule[0]": {
            "permissions": [{ "header": { "name": "x", "string_match": { "exact": "hush" } } }],
            "principals": [{ "any": true }] } } } } });
    let chain = json!({
        "filters": [{ "name": "envoy.filters.network.http_connection_manager",
                      "typed_config": { "http_filters": [jwt, rbac] } }],
        "transport_socket": { "typed_config": { "private_key": "hush" } },
    });
    json!({ "configs": [{
        "@type": "x", "name": "virtualInbound",
        "active_state": { "listener": {
            "traffic_direction": "INBOUND", "filter_chains": [chain],
        } },
        "error_state": {
            "details": "Proto constraint validation failed (X): token: \"hush\" {",
            "failed_configuration": { "name": "virtualInbound", "key": "hush" },
        },
    }] })
}

/// In every place that a proxy's answers have: values of headers, annotations, tokens, keys,
/// bodies.
#[test]
fn no_secret_is_ever_told() {
    inside(|| {
        let proxy = Proxy::healthy();
        let mut info: Value = serde_json::from_str(&fixture("healthy.server_info.json")).unwrap();
        let metadata = &mut info["node"]["metadata"];
        metadata["ANNOTATIONS"] = json!({
            "example.com/password": "hush",
            "traffic.sidecar.istio.io/excludeOutboundPorts": "hush,1",
            "traffic.sidecar.istio.io/excludeOutboundPort": "hush",
            "sidecar.istio.io/proxyMemoryLimit": "hush", "sidecar.istio.io/status": "hush",
        });
        metadata["LABELS"] = json!({ "token": "hush" });
        metadata["PROXY_CONFIG"]["proxyMetadata"] = json!({ "TOKEN": "hush" });
        info["command_line_options"]["config_yaml"] = "hush".into();
        proxy.says("/server_info", &info.to_string());
        let matching = json!({
            "prefix": "/",
            "headers": [{ "name": "authorization", "string_match": { "exact": "hush" } }],
            "query_parameters": [{ "name": "k", "string_match": { "exact": "hush" } }],
        });
        let routes = json!({ "configs": [{ "@type": "x", "route_config": { "virtual_hosts": [{
            "name": "reviews", "routes": [
                { "match": matching, "route": { "cluster": "outbound|1|hidden|x" },
                  "request_headers_to_add": [{ "header": { "key": "a", "value": "hush" } }],
                  "typed_per_filter_config": { "envoy.filters.http.fault": {
                      "abort": { "http_status": 500, "percentage": { "numerator": 100 } },
                      "headers": [{ "name": "x", "string_match": { "exact": "hush" } }] } } },
                { "match": { "prefix": "/" },
                  "direct_response": { "body": { "inline_string": "hush" } } },
            ] }] } }] });
        proxy.says(RoutesPage::QUERY, &routes.to_string());
        proxy.says(ListenersPage::QUERY, &listeners_with_secrets().to_string());
        proxy.says(
            "/runtime",
            r#"{"layers":["admin"],"entries":{"a.b":{"layer_values":["hush"]}}}"#,
        );
        proxy.admin.says("/init_dump", Reply::envoy(500, "hush"));
        let report = proxy.report();
        assert!(troubles(&report).len() >= 4, "{report:#}");
        assert!(!report.to_string().contains("hush"), "{report:#}");
        let text = from_another_container().with(["--deep", "--log=debug"]).run();
        for said in [&text.stdout, &text.stderr] {
            assert!(!said.contains("hush"), "{said}");
        }
    });
}

/// Envoy says 404 where it has nothing at all of a kind.
#[test]
fn a_proxy_without_any_cluster_lacks_those_of_its_routes() {
    inside(|| {
        let proxy = Proxy::healthy();
        proxy.says(RoutesPage::QUERY, &fixture("missing-subset.routes.json"));
        let none = "endpoint_configs not found in config dump";
        proxy.admin.says("/config_dump", Reply::envoy(404, none));
        let report = proxy.report();
        assert!(findings(&report, "route-to-missing-cluster").len() >= 4, "{report:#}");
    });
}

/// Half a page, another type, nesting, silence, too much, nothing at all.
#[test]
fn wrong_answers_blind_their_judges_and_nobody_else() {
    inside(|| {
        let deep = format!("{{\"configs\":{}", "[".repeat(1_000));
        let nulls = r#"{"configs":[null,{"@type":null,"name":null,"active_state":null,
            "error_state":null,"route_config":{"virtual_hosts":null}}],"certificates":[null]}"#;
        let replies = [
            Reply::envoy(200, r#"{"configs":[{"@type":"x","name":"virt"#),
            Reply::envoy(200, deep),
            Reply::envoy(200, "<html>"),
            Reply::envoy(200, ""),
            Reply::envoy(200, nulls),
            Reply::envoy(200, "[]"),
            Reply::envoy(403, "Forbidden"),
            Reply::envoy(404, "no"),
            Reply::envoy(500, "no"),
            Reply::Hangup,
            Reply::HalfHeadThenClose,
            Reply::Garbage,
            Reply::Endless,
        ];
        for reply in replies {
            let proxy = Proxy::healthy();
            for page in
                [ListenersPage::QUERY, RoutesPage::QUERY, "/certs", "/runtime", "/config_dump"]
            {
                proxy.admin.says(page, reply.clone());
            }
            let report = proxy.report();
            let codes: Vec<&str> = troubles(&report).iter().map(|trouble| trouble.0).collect();
            // `check` has its own word about what it could not read.
            let own = codes.iter().find(|code| !code.starts_with("listens-on"));
            assert_eq!(own, None, "{reply:?}: {report:#}");
        }
    });
}

#[test]
fn a_proxy_that_goes_silent_or_dies_half_way_ends_the_questions() {
    inside(|| {
        for reply in [Reply::Silence, Reply::HalfHead, Reply::live().held(&Gate::default())] {
            let proxy = Proxy::healthy();
            proxy.admin.says(ListenersPage::QUERY, reply);
            let report = proxy.report();
            let blind = report["not_seen"].as_array().unwrap().iter();
            let silent: Vec<&str> = blind
                .filter(|blind| blind["reason"] == "silent")
                .map(|blind| blind["judge"].as_str().unwrap())
                .collect();
            assert!(silent.contains(&"config-rejected") && silent.contains(&"certificate"));
            assert_eq!(proxy.admin.count("/certs"), 0, "asked in spite of the silence");
            assert_eq!(troubles(&report), []);
        }
    });
}

/// The most memory that a run has asked for, in KiB: read at its last page, which is held until
/// then. What is resident would depend on how much of the binary's file the kernel has at hand.
///
/// A debug build on a busy machine may take longer for a page than a page may, and asks for no
/// other then: such a run shows nothing, and is made again.
fn peak_memory(proxy: &Proxy) -> u64 {
    let measured = (0..30).find_map(|_| {
        let (gate, asked) = (Gate::default(), proxy.admin.count("/runtime"));
        proxy.admin.says("/runtime", Reply::envoy(200, "{}").held(&gate));
        let doctor = from_another_container().with(["--output=json"]).spawn();
        let is_asked = || proxy.admin.count("/runtime") > asked;
        poll(|| (is_asked() || doctor.has_ended()).then_some(())).expect("it asks, or ends");
        let peak = is_asked().then(|| doctor.peak_address_space_kib());
        gate.open();
        let report = report_of(&doctor.wait());
        assert_eq!(troubles(&report), [], "{report:#}");
        peak
    });
    measured.expect("one of thirty runs has its pages in time")
}

/// What a release needs in all is measured by the benchmark.
#[test]
fn an_answer_of_any_length_costs_no_memory() {
    inside(|| {
        let proxy = Proxy::healthy();
        let short = peak_memory(&proxy);
        let host = |number: usize| {
            let route = r#"{"match":{"prefix":"/"},"route":{"cluster":"outbound|80||x"}}"#;
            format!(r#"{{"name":"host{number}","routes":[{}]}}"#, vec![route; 20].join(","))
        };
        // More would take a debug build on a busy machine longer than a page may.
        let hosts: Vec<String> = (0..2_000).map(host).collect();
        let hosts = hosts.join(",");
        assert!(hosts.len() > 2 << 20, "{}", hosts.len());
        let config = format!(r#"{{"@type":"x","route_config":{{"virtual_hosts":[{hosts}]}}}}"#);
        proxy.says(RoutesPage::QUERY, &format!(r#"{{"configs":[{config}]}}"#));
        let long = peak_memory(&proxy);
        assert!(long < short + 512, "{long} KiB instead of {short} KiB");
    });
}

#[test]
fn requests_are_a_closed_list() {
    inside(|| {
        let proxy = Proxy::healthy();
        let _report = proxy.report();
        let all = [
            "/server_info",
            "/ready",
            "/stats",
            "/config_dump",
            "/certs",
            "/runtime",
            "/init_dump",
        ];
        for request in proxy.admin.requests("/config_dump") {
            assert!(request.target.contains("resource="), "{request:?}");
            assert_eq!(request.method, "GET");
        }
        assert_eq!(proxy.admin.count("/server_info"), 1, "once is enough");
        assert_eq!(proxy.admin.count(CountersPage::QUERY), 1);
        assert_eq!(proxy.admin.count("/clusters"), 0);
        let _deep = from_another_container().with(["--deep"]).run();
        assert_eq!(proxy.admin.count("/clusters"), 1);
        let known: usize =
            all.iter().chain(&["/clusters"]).map(|path| proxy.admin.count(path)).sum();
        assert_eq!(proxy.admin.all_requests(), known);
    });
}

#[test]
fn linkerd_is_judged_by_its_metrics() {
    inside(|| {
        let linkerd = StandIn::on_port(4191);
        let _inbound = StandIn::on_port(4143);
        linkerd.says("/ready", Reply::plain(200, "ready\n"));
        let metrics = |expires: u64| {
            format!(
                "request_total{{direction=\"inbound\",target_port=\"8080\",\
                 tls=\"no_identity\"}} 5\n\
                 identity_cert_expiration_timestamp_seconds {expires}\n\
                 process_start_time_seconds 1700000000\n"
            )
        };
        linkerd.says("/metrics", Reply::plain(200, metrics(1_700_000_000)));
        let run =
            || report_of(&from_another_container().with(["--mesh=linkerd", "--output=json"]).run());
        let report = run();
        assert_eq!(
            troubles(&report),
            [("certificate", "error"), ("plaintext-accepted", "warning")],
            "{report:#}"
        );
        linkerd.says("/metrics", Reply::plain(200, metrics(99_999_999_999)));
        assert_eq!(troubles(&run()), [("plaintext-accepted", "warning")]);
        let blind = report["not_seen"].as_array().unwrap().iter();
        assert!(blind.filter(|blind| blind["reason"] == "another-mesh").count() > 10, "{report:#}");
    });
}

#[test]
fn without_a_proxy_nothing_is_claimed_and_that_is_no_error() {
    inside(|| {
        let ended = from_another_container().run().expect_code(0);
        assert!(ended.stdout.starts_with("nothing wrong seen, 1 note; 25 of "), "{}", ended.stdout);
        assert!(ended.stdout.contains("no mesh's proxy listens in this pod"), "{}", ended.stdout);
        let kuma = from_another_container().with(["--mesh=kuma", "--output=json"]).run();
        let report = report_of(&kuma);
        let blind = report["not_seen"].as_array().unwrap().iter();
        assert!(blind.filter(|blind| blind["reason"] == "no-admin-api").count() > 10, "{report:#}");
    });
}
