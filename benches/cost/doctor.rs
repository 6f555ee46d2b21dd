//! What a diagnosis costs: the main thread of a real Envoy that holds a whole mesh, and meshim's
//! own memory; beside the whole `/config_dump`, which `istioctl proxy-config all` fetches.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; here a process is watched while it runs"
)]

use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::Plan;
use super::figures::{Goal, Row};
use super::peers::Peers;
use super::support::directory::Directory;
use super::support::envoy::{Bootstrap, Envoy};
use super::support::process::Process;
use super::support::shared::poll;

const CLUSTERS: usize = 3_000;
const LISTENERS: usize = 1_000;
const VIRTUAL_HOSTS: usize = 1_500;

const CERTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/doctor/certs");

pub(crate) fn rows(peers: &Peers, plan: &Plan) -> Vec<Row> {
    let files = Directory::new();
    let envoy = Envoy::start(&whole_mesh(&files));
    let admin = envoy.admin_url();
    let live = poll(|| (envoy.asks("GET", "/ready").1 == "LIVE\n").then_some(()));
    assert!(live.is_some(), "{}", envoy.log());
    let (mut asked, mut memory, mut dumped) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.choose(5, 1) {
        let before = main_thread_milliseconds(&envoy);
        let mut doctor = Command::new(&peers.meshim);
        doctor.args(["doctor", "--mesh=istio", "--admin-url", &admin, "--output=json"]);
        memory.push(peak_kibibytes(&Process::spawn(&mut doctor)));
        asked.push(main_thread_milliseconds(&envoy) - before);
        let before = main_thread_milliseconds(&envoy);
        assert!(envoy.asks("GET", "/config_dump").1.len() > 1_000_000);
        dumped.push(main_thread_milliseconds(&envoy) - before);
    }
    let of = format!(
        "a real Envoy with {CLUSTERS} clusters, {LISTENERS} listeners, {VIRTUAL_HOSTS} virtual \
         hosts"
    );
    vec![
        Row::new("doctor_load", format!("`meshim doctor`: main thread of {of}"), "ms")
            .goal(Goal::median(500.0))
            .with("meshim", asked)
            .with("/config_dump, as istioctl proxy-config all", dumped),
        Row::new("doctor_memory", "the same: its own memory at most", "KiB")
            .goal(Goal::median(8192.0))
            .with("meshim", memory),
    ]
}

fn main_thread_milliseconds(envoy: &Envoy) -> f64 {
    let pid = envoy.pid();
    let path = format!("/proc/{pid}/task/{pid}/schedstat");
    let text = fs::read_to_string(path).expect("Linux counts what each thread has run");
    let nanoseconds = text.split_whitespace().next().and_then(|text| text.parse::<f64>().ok());
    nanoseconds.expect("it is the first number") / 1e6
}

/// The most memory that it has used when it was last seen, a moment before its end.
fn peak_kibibytes(process: &Process) -> f64 {
    let mut peak = 0.0;
    while !process.has_ended() {
        let status = fs::read_to_string(format!("/proc/{}/status", process.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = seen.unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(1));
    }
    peak
}

/// As istiod sends a mesh without a `Sidecar`: a cluster, a listener, a virtual host each.
fn whole_mesh(files: &Directory) -> Bootstrap {
    let source = |name: &str| {
        let path = json!({ "path": files.join(name) });
        json!({ "resource_api_version": "V3", "path_config_source": path })
    };
    let write = |name: &str, kind: &str, resources: Vec<Value>| {
        let typed = resources.into_iter().map(|mut resource| {
            resource["@type"] = format!("type.googleapis.com/envoy.config.{kind}").into();
            resource
        });
        let all = json!({ "version_info": "1", "resources": typed.collect::<Vec<Value>>() });
        files.file(name, &all.to_string());
    };
    let host = |number: usize| format!("service{number}.team{}.svc.cluster.local", number % 50);
    let cluster = |number: usize| format!("outbound|80||{}", host(number));
    write(
        "cds.json",
        "cluster.v3.Cluster",
        (0..CLUSTERS).map(|n| one_cluster(&cluster(n))).collect(),
    );
    let route = |number: usize| {
        json!({
            "name": "default", "match": { "prefix": "/" },
            "route": { "cluster": cluster(number), "timeout": "0s",
                       "retry_policy": { "retry_on": "connect-failure", "num_retries": 2 } },
        })
    };
    let hosts = (0..VIRTUAL_HOSTS).map(|number| {
        json!({
            "name": format!("{}:80", host(number)), "domains": [host(number)],
            "routes": [route(number)],
        })
    });
    let routes = json!({ "name": "80", "virtual_hosts": hosts.collect::<Vec<Value>>() });
    write("rds.json", "route.v3.RouteConfiguration", vec![routes]);
    let listeners = (0..LISTENERS).map(|n| {
        let filter = tcp(&cluster(n));
        listener(&format!("l{n}"), 20_000 + n, &filter)
    });
    let http = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.\
                      http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "outbound", "rds": { "route_config_name": "80",
                                                "config_source": source("rds.json") },
            "http_filters": [{ "name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }],
        },
    });
    let named = [
        listener("virtualInbound", 15006, &tcp(&cluster(0))),
        listener("virtualOutbound", 15001, &tcp(&cluster(0))),
        listener("0.0.0.0_80", 19_999, &http),
    ];
    write("lds.json", "listener.v3.Listener", listeners.chain(named).collect());
    let mut bootstrap = Bootstrap::with_admin("127.0.0.1", 0);
    bootstrap.0["dynamic_resources"] =
        json!({ "cds_config": source("cds.json"), "lds_config": source("lds.json") });
    bootstrap
}

fn one_cluster(name: &str) -> Value {
    let endpoint = |number: usize| {
        let address = json!({ "address": format!("10.1.2.{number}"), "port_value": 80 });
        json!({ "endpoint": { "address": { "socket_address": address } } })
    };
    let endpoints: Vec<Value> = (1..6).map(endpoint).collect();
    let file = |name: &str| json!({ "filename": format!("{CERTS}/{name}.pem") });
    let certificate = json!({ "certificate_chain": file("good"), "private_key": file("key") });
    // Istio gives each cluster a TLS context of its own.
    let tls = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.\
                      UpstreamTlsContext",
            "common_tls_context": { "tls_certificates": [certificate] },
        },
    });
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "10s", "transport_socket": tls,
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] },
    })
}

fn tcp(cluster: &str) -> Value {
    json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type":
                "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": cluster, "cluster": cluster,
        },
    })
}

/// One that has no socket, as all of Istio's but two.
fn listener(name: &str, port: usize, filter: &Value) -> Value {
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    json!({
        "name": name, "address": address, "bind_to_port": false,
        "filter_chains": [{ "filters": [filter] }],
    })
}
