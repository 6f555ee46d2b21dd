//! The sidecar: a real Envoy as UID 1337 with a bootstrap shaped like Istio's, and the agent beside
//! it.
//!
//! Its clusters come from a file (CDS by path), since Envoy shows static ones elsewhere than
//! Istio's dynamic ones.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::{Value, json};

use super::agent;
use super::pod::{Families, Pod};
use crate::support::directory::Directory;
use crate::support::envoy;
use crate::support::process::Process;
use crate::support::shared::poll;

/// Istio's proxy's user and group.
pub(crate) const PROXY: u32 = 1337;

/// How the proxy forwards inbound traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forwards {
    /// `ORIGINAL_DST` from 127.0.0.6: Istio 1.10 and later.
    ToThePod,
    /// `STATIC` 127.0.0.1: before, and under `LOCALHOST`.
    ToLoopback,
}

/// What meshim may read of the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admin {
    /// Everything.
    Open,
    /// `/ready`, `/stats` and `/server_info`, which tells the version (Envoy 1.37 or later).
    VersionOnly,
}

/// A running sidecar; ended with the test.
#[derive(Debug)]
pub(crate) struct Sidecar {
    envoy: Process,
    _agent: Process,
    _directory: Directory,
    admin: SocketAddr,
}

impl Sidecar {
    /// Starts one that forwards the traffic of `port`, and waits until the agent says it is ready.
    pub(crate) fn start(pod: &Pod, port: u16, forwards: Forwards, admin: Admin) -> Self {
        let loopback = if pod.families == Families::V6 { "::1" } else { "127.0.0.1" };
        let directory = Directory::new();
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o777))
            .expect("it is ours");
        let clusters = clusters(pod, port, forwards, loopback);
        let cds = directory
            .file("cds.json", &json!({ "version_info": "1", "resources": clusters }).to_string());
        let mut bootstrap = bootstrap(pod, port, forwards, loopback);
        bootstrap["dynamic_resources"] = json!({
            "cds_config": { "resource_api_version": "V3", "path_config_source": { "path": cds } },
        });
        if admin == Admin::VersionOnly {
            // By prefix: Envoy matches the query, too.
            let paths = ["/ready", "/stats", "/server_info"].map(|path| json!({ "prefix": path }));
            bootstrap["admin"]["allow_paths"] = json!(paths);
        }
        let config = directory.file("bootstrap.json", &bootstrap.to_string());
        let log = directory.join("log");
        let mut command = Command::new("/bin/sh");
        // The binary may be where only its owner can go: the shell opens it first.
        command.args([
            "-c",
            r#"exec 9<"$1"; shift
               exec setpriv --reuid 1337 --regid 1337 --clear-groups /proc/self/fd/9 "$@""#,
            "sh",
        ]);
        command.arg(envoy::binary()).arg("--config-path").arg(config).arg("--log-path").arg(&log);
        command.args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "info",
            "--drain-time-s",
            "45",
        ]);
        let envoy = Process::spawn(command.current_dir(directory.path()));
        let admin = SocketAddr::new(loopback.parse().expect("an address"), 15000);
        let agent = agent::start(admin, PROXY);
        let sidecar = Self { envoy, _agent: agent, _directory: directory, admin };
        let last_words = || {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            log.lines().rev().take(20).collect::<Vec<&str>>().join("\n")
        };
        let ready = poll(|| {
            assert!(
                !sidecar.envoy.has_ended(),
                "Envoy has ended; its log, backwards:\n{}",
                last_words()
            );
            sidecar.stat("listener_manager.workers_started").filter(|started| *started == 1)
        });
        assert!(ready.is_some(), "Envoy is not ready; its log, backwards:\n{}", last_words());
        sidecar
    }

    /// How many connections the outbound listener has taken so far.
    pub(crate) fn outbound_connections(&self) -> u64 {
        self.stat("listener.0.0.0.0_15001.downstream_cx_total").unwrap_or(0)
    }

    fn stat(&self, name: &str) -> Option<u64> {
        let stats = agent::stats(self.admin).ok()?;
        stats
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.trim().parse().ok())
    }
}

fn address(ip: &str, port: u16) -> Value {
    json!({ "socket_address": { "address": ip, "port_value": port } })
}

/// What comes by CDS: `inbound|PORT||`, and the two passthroughs.
fn clusters(pod: &Pod, port: u16, forwards: Forwards, loopback: &str) -> Vec<Value> {
    let name = format!("inbound|{port}||");
    let endpoint = json!({ "endpoint": { "address": address(loopback, port) } });
    let inbound = match forwards {
        Forwards::ToThePod => to_the_original_destination(&name, pod.families),
        Forwards::ToLoopback => json!({
            "@type": CLUSTER,
            "name": name,
            "type": "STATIC",
            "connect_timeout": "10s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{ "lb_endpoints": [endpoint] }],
            },
        }),
    };
    let mut passthrough = to_the_original_destination("PassthroughCluster", pod.families);
    passthrough.as_object_mut().expect("it is one").remove("upstream_bind_config");
    vec![
        inbound,
        to_the_original_destination("InboundPassthroughCluster", pod.families),
        passthrough,
    ]
}

const ORIGINAL_DST: &str =
    "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst";

const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// From 127.0.0.6 or `::6`, which Istio's rules let pass (istio: `cluster_builder.go`).
fn to_the_original_destination(name: &str, families: Families) -> Value {
    let source = |ip: &str| json!({ "address": ip, "port_value": 0 });
    let bind = match families {
        Families::V4 => json!({ "source_address": source("127.0.0.6") }),
        Families::V6 => json!({ "source_address": source("::6") }),
        Families::Dual => json!({
            "source_address": source("127.0.0.6"),
            "extra_source_addresses": [{ "address": source("::6") }],
        }),
    };
    json!({
        "@type": CLUSTER,
        "name": name,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "10s",
        "upstream_bind_config": bind,
    })
}

/// Admin on 15000, 15001, 15006 with the original destination, 15021, 15090 (istio:
/// `envoy_bootstrap.json`).
fn bootstrap(pod: &Pod, port: u16, forwards: Forwards, loopback: &str) -> Value {
    let version = if forwards == Forwards::ToThePod { "1.24.0" } else { "1.9.9" };
    let ips: Vec<String> = pod.addresses().iter().map(ToString::to_string).collect();
    let both = [(pod.families.v4(), "0.0.0.0"), (pod.families.v6(), "::")];
    let mut listeners = Vec::new();
    for (_, ip) in both.into_iter().filter(|(has, _)| *has) {
        let original = json!([{
            "name": "envoy.filters.listener.original_dst",
            "typed_config": { "@type": ORIGINAL_DST },
        }]);
        let outbound = json!([{ "filters": [tcp_proxy("PassthroughCluster")] }]);
        let named = http(&format!("inbound|{port}||"), "/");
        let inbound = json!([
            { "filter_chain_match": { "destination_port": port }, "filters": [named] },
            { "filters": [tcp_proxy("InboundPassthroughCluster")] },
        ]);
        let (ready, metrics) =
            (http("agent", "/healthz/ready"), http("prometheus_stats", "/stats/prometheus"));
        listeners.extend([
            json!({
                "name": "virtualOutbound", "address": address(ip, 15001),
                "filter_chains": outbound, "listener_filters": original,
                "traffic_direction": "OUTBOUND",
            }),
            json!({
                "name": "virtualInbound", "address": address(ip, 15006),
                "filter_chains": inbound, "listener_filters": original,
                "traffic_direction": "INBOUND",
            }),
            json!({ "address": address(ip, 15021), "filter_chains": [{ "filters": [ready] }] }),
            json!({ "address": address(ip, 15090), "filter_chains": [{ "filters": [metrics] }] }),
        ]);
    }
    for (index, listener) in listeners.iter_mut().enumerate() {
        // Names are unique; the two of a family have the same otherwise.
        let name = listener["name"].as_str().unwrap_or("static").to_owned();
        listener["name"] = format!("{name}-{index}").into();
    }
    json!({
        "node": { "id": "sidecar~x", "cluster": "app", "metadata": {
            "ISTIO_VERSION": version, "INSTANCE_IPS": ips.join(","),
            "NAME": "app", "NAMESPACE": "demo",
        } },
        "admin": { "address": address(loopback, 15000) },
        "static_resources": {
            "clusters": [
                static_cluster("agent", loopback, 15020),
                static_cluster("prometheus_stats", loopback, 15000),
            ],
            "listeners": listeners,
        },
    })
}

fn static_cluster(name: &str, ip: &str, port: u16) -> Value {
    let endpoint = json!({ "endpoint": { "address": address(ip, port) } });
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [endpoint] }] },
    })
}

fn tcp_proxy(cluster: &str) -> Value {
    json!({
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": cluster, "cluster": cluster,
        },
    })
}

fn http(cluster: &str, prefix: &str) -> Value {
    let route = json!({ "match": { "prefix": prefix }, "route": { "cluster": cluster } });
    json!({
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": envoy::HTTP_MANAGER,
            "stat_prefix": cluster,
            "route_config": {
                "validate_clusters": false,
                "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [route] }],
            },
            "http_filters": [{
                "name": "envoy.filters.http.router",
                "typed_config": { "@type": envoy::ROUTER },
            }],
        },
    })
}
