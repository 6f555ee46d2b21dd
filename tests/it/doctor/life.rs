//! How the proxy itself is: its certificate, control plane, state, memory and settings.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use super::config::{
    Config, Pod, findings, from_another_container, report_of, seen, tls, troubles,
};
use crate::support::envoy::{Bootstrap, Envoy, binary, minor_version};
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::process::Process;
use crate::support::shared::poll;

#[test]
fn a_certificate_is_judged_by_the_clock() {
    let _fetched = binary();
    inside(|| {
        let with = |certificate: &str| {
            let mut config = Config::healthy();
            config.chains[0]["transport_socket"] = tls(certificate);
            let pod = Pod::start(&config);
            pod.report(&[])
        };
        let expired = with("expired");
        assert_eq!(troubles(&expired), [("certificate", "error")], "{expired:#}");
        let text = seen(&expired, "certificate")[0];
        assert!(text.contains("spiffe://cluster.local/ns/shop/sa/shop expired"), "{text}");
        let future = with("future");
        assert_eq!(troubles(&future), [("clock-skew", "error")], "{future:#}");
    });
}

#[test]
fn a_certificate_that_never_comes_is_named() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let source = json!({
            "resource_api_version": "V3",
            "initial_fetch_timeout": "0s",
            "api_config_source": {
                "api_type": "GRPC", "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "sds-grpc" } }],
            },
        });
        let secret = json!({ "name": "default", "sds_config": source });
        config.chains[0]["transport_socket"]["typed_config"]["common_tls_context"] =
            json!({ "tls_certificate_sds_secret_configs": [secret] });
        let mut sds = super::config::cluster("sds-grpc", &[1]);
        sds["typed_extension_protocol_options"] = http2();
        config.bootstrap = json!({ "static_resources": { "clusters": [sds] } });
        let pod = Pod::start_unsettled(&config);
        let waits = poll(|| {
            let (_, dump) = pod.envoy.asks("GET", "/init_dump");
            dump.contains("SdsApi default").then_some(())
        });
        waits.unwrap_or_else(|| panic!("{}", pod.envoy.log()));
        let report = pod.report(&[]);
        let text = seen(&report, "certificate")[0];
        assert!(text.contains("has asked for its certificate (default) and never got one"));
        let blind = report["not_seen"].as_array().unwrap().iter();
        let loading: Vec<&Value> = blind.filter(|blind| blind["reason"] == "loading").collect();
        assert!(loading.iter().any(|blind| blind["judge"] == "route-to-missing-cluster"));
    });
}

fn http2() -> Value {
    json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": { "http2_protocol_options": {} },
    } })
}

#[test]
fn a_control_plane_that_is_away_is_told_and_with_patience_an_error() {
    let _fetched = binary();
    inside(|| {
        let mut bootstrap = Bootstrap::with_admin("127.0.0.1", super::config::ADMIN);
        let mut xds = super::config::cluster("xds-grpc", &[1]);
        xds["typed_extension_protocol_options"] = http2();
        bootstrap = bootstrap.cluster(xds);
        let ads = json!({ "ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "1s" });
        bootstrap.0["dynamic_resources"] = json!({
            "ads_config": {
                "api_type": "GRPC", "transport_api_version": "V3",
                "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
            },
            "cds_config": ads, "lds_config": ads,
        });
        let envoy = Envoy::start(&bootstrap);
        let tried = poll(|| {
            let (_, stats) = envoy.asks("GET", "/stats?filter=cds.update_failure");
            (!stats.contains(": 0")).then_some(())
        });
        tried.unwrap_or_else(|| panic!("{}", envoy.log()));
        let ended = from_another_container().with(["--mesh=istio", "--output=json"]).run();
        let report = report_of(&ended);
        let lost = findings(&report, "control-plane-lost");
        assert_eq!(lost.len(), 1, "{report:#}");
        let text = lost[0]["seen"].as_str().unwrap();
        assert!(text.starts_with("the proxy has no connection to its control plane"), "{text}");
        assert!(text.contains("2 looks"), "{text}");
        assert!(lost[0]["numbers"]["failures"].as_u64().unwrap() > 0, "{report:#}");
    });
}

#[test]
fn what_somebody_did_by_hand_is_told() {
    let _fetched = binary();
    inside(|| {
        let pod = Pod::start(&Config::healthy());
        let set = "/runtime_modify?fault.http.abort.abort_percent=hush-value";
        assert_eq!(pod.envoy.asks("POST", set).0, 200);
        assert_eq!(pod.envoy.asks("POST", "/healthcheck/fail").0, 200);
        let report = pod.report(&[]);
        let codes: Vec<&str> = troubles(&report).iter().map(|trouble| trouble.0).collect();
        assert!(codes.contains(&"proxy-draining"), "{report:#}");
        assert!(codes.contains(&"runtime-overridden"), "{report:#}");
        let text = seen(&report, "runtime-overridden")[0];
        assert!(text.contains("fault.http.abort.abort_percent"), "{text}");
        assert!(!report.to_string().contains("hush"), "{report:#}");
    });
}

#[test]
fn settings_of_the_pod_that_hurt_are_told() {
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        config.options = vec!["--log-level", "debug"];
        config.metadata["ANNOTATIONS"] = json!({
            "sidecar.istio.io/proxyMemoryLimit": "8Mi",
            "sidecar.istio.io/rewriteAppHTTPProbers": "false",
            "traffic.sidecar.istio.io/excludeOutboundPort": "hush-annotation",
            "example.com/token": "hush-token",
        });
        let pod = Pod::start(&config);
        // Named by its file, as the kernel names processes.
        let directory = crate::support::directory::Directory::new();
        let nginx = directory.join("nginx");
        symlink("/bin/sleep", &nginx).unwrap();
        let _nginx = Process::spawn(std::process::Command::new(&nginx).arg("60"));
        let report = pod.report(&[]);
        assert_eq!(
            troubles(&report),
            [("proxy-memory", "error"), ("annotation-unknown", "warning")],
            "{report:#}"
        );
        for code in ["debug-logging", "probes-not-rewritten", "http10-refused"] {
            assert_eq!(findings(&report, code).len(), 1, "{code}: {report:#}");
        }
        assert!(!report.to_string().contains("hush"), "{report:#}");
        let text = pod.doctor().run();
        assert!(!text.stdout.contains("hush"), "{}", text.stdout);
    });
}

/// Outside of a namespace of its own, where the oldest process is older than any test.
#[test]
fn a_proxy_that_is_minutes_younger_was_started_anew() {
    let envoy = Envoy::start(&Bootstrap::with_admin("127.0.0.1", 0));
    let url = envoy.admin_url();
    let doctor = Meshim::does("doctor").with(["--mesh=envoy", "--output=json", "--admin-url"]);
    let report = report_of(&doctor.with([url]).run());
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
    let is_old = oldest_start().is_some_and(|started| uptime - started > 130.0);
    assert_eq!(findings(&report, "proxy-restarted").len(), usize::from(is_old), "{report:#}");
}

/// When the oldest process started that shows to have our root, in seconds of uptime: those of
/// another user do not show it.
fn oldest_start() -> Option<f64> {
    let ours = std::fs::read_link("/proc/self/ns/mnt").ok()?;
    let starts = std::fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let path = entry.path();
        std::fs::read_link(path.join("ns/mnt")).ok().filter(|theirs| *theirs == ours)?;
        let stat = std::fs::read_to_string(path.join("stat")).ok()?;
        let ticks: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        Some(ticks / 100.0)
    });
    starts.reduce(f64::min)
}

#[test]
fn a_locked_page_is_told_by_whom_it_blinds() {
    if minor_version() < 37 {
        // Without allow_paths there is nothing to lock.
        return;
    }
    let _fetched = binary();
    inside(|| {
        let mut config = Config::healthy();
        let paths = ["/server_info", "/ready", "/stats", "/runtime", "/init_dump"];
        let paths: Vec<Value> = paths.iter().map(|path| json!({ "prefix": path })).collect();
        let at = json!({ "socket_address": { "address": "127.0.0.1", "port_value": 15000 } });
        config.bootstrap = json!({ "admin": { "address": at, "allow_paths": paths } });
        let report = Pod::start(&config).report(&[]);
        let blind = report["not_seen"].as_array().unwrap().iter();
        let locked: Vec<&str> = blind
            .filter(|blind| blind["reason"] == "locked")
            .map(|blind| blind["judge"].as_str().unwrap())
            .collect();
        for judge in ["route-to-missing-cluster", "certificate", "authorization-denies-all"] {
            assert!(locked.contains(&judge), "{report:#}");
        }
        // What `check` judges by is locked as well.
        let codes: Vec<&str> = troubles(&report).iter().map(|trouble| trouble.0).collect();
        assert!(codes.iter().all(|code| code.starts_with("listens-on")), "{report:#}");
    });
}
