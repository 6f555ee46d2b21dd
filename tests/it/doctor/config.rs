//! The configuration of a real Envoy as Istio would send it, from files: a healthy pod to begin
//! with, which a test breaks in one place.

use serde_json::{Value, json};

use crate::support::directory::Directory;
use crate::support::envoy::{Bootstrap, Envoy};
use crate::support::meshim::Meshim;
use crate::support::process::Ended;
use crate::support::reply::Reply;
use crate::support::shared::poll;
use crate::support::standin::StandIn;

/// Where the doctor finds an Istio proxy, and where the application calls it.
pub(crate) const ADMIN: u16 = 15000;
pub(crate) const REVIEWS: u16 = 9080;
const INBOUND: u16 = 15006;
const OUTBOUND: u16 = 15001;
const APPLICATION: u16 = 8080;
const BACKEND: u16 = 9999;

/// The cluster that a healthy pod calls.
pub(crate) const KNOWN: &str = "outbound|9080||reviews.shop.svc.cluster.local";

/// Where istiod says which resource a route was made of.
const VIRTUAL_SERVICE: &str =
    "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews";

const CERTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/doctor/certs");

fn typed(kind: &str, mut value: Value) -> Value {
    value["@type"] = format!("type.googleapis.com/envoy.{kind}").into();
    value
}

/// A filter by name with its configuration.
pub(crate) fn filter(name: &str, kind: &str, config: Value) -> Value {
    json!({ "name": name, "typed_config": typed(kind, config) })
}

/// An RBAC filter of HTTP with these rules.
pub(crate) fn rbac(rules: &Value) -> Value {
    filter(
        "envoy.filters.http.rbac",
        "extensions.filters.http.rbac.v3.RBAC",
        json!({ "rules": rules }),
    )
}

/// An RBAC filter of TCP with these rules.
pub(crate) fn tcp_rbac(rules: &Value) -> Value {
    filter(
        "envoy.filters.network.rbac",
        "extensions.filters.network.rbac.v3.RBAC",
        json!({ "rules": rules, "stat_prefix": "tcp." }),
    )
}

/// A policy that means nobody, as an ALLOW policy without rules becomes.
pub(crate) fn nobody(name: &str) -> Value {
    json!({ "policies": { name: {
        "permissions": [{ "not_rule": { "any": true } }],
        "principals": [{ "not_id": { "any": true } }],
    } } })
}

/// An HTTP connection manager with this routing, these filters before the router, and more.
pub(crate) fn http(routing: &Value, filters: &[Value], more: &Value) -> Value {
    let router =
        filter("envoy.filters.http.router", "extensions.filters.http.router.v3.Router", json!({}));
    let filters: Vec<Value> = filters.iter().cloned().chain([router]).collect();
    let mut config = json!({ "stat_prefix": "inbound_0.0.0.0_8080", "http_filters": filters });
    for part in [routing, more] {
        for (name, value) in part.as_object().expect("an object") {
            config[name] = value.clone();
        }
    }
    filter(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        config,
    )
}

pub(crate) fn tcp(cluster: &str) -> Value {
    filter(
        "envoy.filters.network.tcp_proxy",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        json!({ "stat_prefix": "tcp", "cluster": cluster }),
    )
}

/// TLS with one of the certificates of `tests/fixtures/doctor/certs`.
pub(crate) fn tls(certificate: &str) -> Value {
    let file = |name: &str| json!({ "filename": format!("{CERTS}/{name}.pem") });
    let certificate = json!({ "certificate_chain": file(certificate), "private_key": file("key") });
    let context = json!({ "common_tls_context": { "tls_certificates": [certificate] } });
    filter(
        "envoy.transport_sockets.tls",
        "extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        context,
    )
}

/// A filter chain for this port of the application, with TLS as STRICT mTLS has it.
pub(crate) fn chain(port: u16, filters: &[Value]) -> Value {
    json!({
        "filter_chain_match": { "destination_port": port, "transport_protocol": "tls" },
        "filters": filters,
        "transport_socket": tls("good"),
    })
}

/// The same for plaintext.
pub(crate) fn plain_chain(port: u16, filters: &[Value]) -> Value {
    json!({
        "filter_chain_match": { "destination_port": port, "transport_protocol": "raw_buffer" },
        "filters": filters,
    })
}

/// Everything to one cluster.
pub(crate) fn all_to(cluster: &str) -> Value {
    let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": cluster } });
    let host = json!({ "name": "inbound|http", "domains": ["*"], "routes": [route] });
    json!({ "route_config": { "name": cluster, "virtual_hosts": [host] } })
}

pub(crate) fn cluster(name: &str, ports: &[u16]) -> Value {
    let endpoint = |port: &u16| {
        let address = json!({ "address": "127.0.0.1", "port_value": port });
        json!({ "endpoint": { "address": { "socket_address": address } } })
    };
    let endpoints: Vec<Value> = ports.iter().map(endpoint).collect();
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": endpoints }] },
    })
}

/// A route of the `VirtualService` shop/reviews.
pub(crate) fn route(prefix: &str, action: &Value) -> Value {
    json!({
        "match": { "prefix": prefix }, "route": action,
        "metadata": { "filter_metadata": { "istio": { "config": VIRTUAL_SERVICE } } },
    })
}

/// What a pod's proxy is configured with.
pub(crate) struct Config {
    /// Where its admin API is: at 15000 it is Istio's, with an agent beside it.
    pub(crate) admin: u16,
    pub(crate) clusters: Vec<Value>,
    /// The chains of `virtualInbound`.
    pub(crate) chains: Vec<Value>,
    /// Listeners beside the three of every pod.
    pub(crate) listeners: Vec<Value>,
    /// The routes of reviews, the first that matches counts.
    pub(crate) routes: Vec<Value>,
    /// What the agent passes on of the pod.
    pub(crate) metadata: Value,
    /// More members of the bootstrap.
    pub(crate) bootstrap: Value,
    pub(crate) options: Vec<&'static str>,
}

impl Config {
    /// A pod with nothing wrong: one HTTP port under STRICT mTLS, one service that it calls.
    pub(crate) fn healthy() -> Self {
        let inbound = http(&all_to("inbound|8080||"), &[], &json!({}));
        Self {
            admin: ADMIN,
            clusters: vec![
                cluster(KNOWN, &[BACKEND]),
                cluster("inbound|8080||", &[APPLICATION]),
                cluster("PassthroughCluster", &[1]),
            ],
            chains: vec![chain(APPLICATION, &[inbound])],
            listeners: Vec::new(),
            routes: vec![route("/", &json!({ "cluster": KNOWN }))],
            metadata: json!({
                "ISTIO_VERSION": "1.28.0", "NAMESPACE": "shop", "INSTANCE_IPS": "10.0.0.7",
                "INTERCEPTION_MODE": "REDIRECT", "ANNOTATIONS": {},
            }),
            bootstrap: json!({}),
            options: vec![],
        }
    }

    fn listeners(&self, rds: &str) -> Vec<Value> {
        let at =
            |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
        let source = json!({ "resource_api_version": "V3", "path_config_source": { "path": rds } });
        let reviews = json!({ "rds": { "route_config_name": "9080", "config_source": source } });
        // A client says by the PROXY protocol which port it wanted, as the original destination
        // would.
        let proxied = filter(
            "envoy.filters.listener.proxy_protocol",
            "extensions.filters.listener.proxy_protocol.v3.ProxyProtocol",
            json!({ "allow_requests_without_proxy_protocol": true }),
        );
        let inspected = filter(
            "envoy.filters.listener.tls_inspector",
            "extensions.filters.listener.tls_inspector.v3.TlsInspector",
            json!({}),
        );
        let mut listeners = vec![
            json!({
                "name": "virtualInbound", "address": at(INBOUND), "traffic_direction": "INBOUND",
                "listener_filters": [proxied, inspected], "filter_chains": self.chains,
            }),
            json!({
                "name": "virtualOutbound", "address": at(OUTBOUND), "traffic_direction": "OUTBOUND",
                "filter_chains": [{ "filters": [tcp("PassthroughCluster")] }],
            }),
            json!({
                "name": "0.0.0.0_9080", "address": at(REVIEWS), "traffic_direction": "OUTBOUND",
                "filter_chains": [{ "filters": [http(&reviews, &[], &json!({}))] }],
            }),
        ];
        listeners.extend(self.listeners.clone());
        listeners
    }
}

/// A pod with a real Envoy, an agent that says that it is ready, an application and a service that
/// it calls. In namespaces of its own: all ports are the real ones.
pub(crate) struct Pod {
    pub(crate) envoy: Envoy,
    files: Directory,
    _application: StandIn,
    _backend: StandIn,
    _agent: Option<[StandIn; 2]>,
}

impl Pod {
    /// Starts all of it, and waits until the proxy has settled.
    pub(crate) fn start(config: &Config) -> Self {
        let pod = Self::start_unsettled(config);
        pod.settle();
        pod
    }

    /// Starts all of it.
    pub(crate) fn start_unsettled(config: &Config) -> Self {
        let files = Directory::new();
        let path = |name: &str| files.join(name).display().to_string();
        write(&files, config);
        let source = |name: &str| {
            let path = json!({ "path": path(name) });
            json!({ "resource_api_version": "V3", "path_config_source": path })
        };
        let mut bootstrap = Bootstrap::with_admin("127.0.0.1", config.admin);
        let value = &mut bootstrap.0;
        value["node"]["id"] = "sidecar~10.0.0.7~shop-5d4f.shop~shop.svc.cluster.local".into();
        value["node"]["metadata"] = config.metadata.clone();
        value["dynamic_resources"] =
            json!({ "cds_config": source("cds.json"), "lds_config": source("lds.json") });
        // As Istio's bootstrap has it: names become long expressions.
        value["layered_runtime"] = json!({ "layers": [
            { "name": "global", "static_layer": { "re2.max_program_size.error_level": 32768 } },
            { "name": "admin", "admin_layer": {} },
        ] });
        for (name, part) in config.bootstrap.as_object().expect("an object") {
            value[name] = part.clone();
        }
        let says = |port, target: &str, body: &str| {
            let server = StandIn::on_port(port);
            server.says(target, Reply::plain(200, body));
            server
        };
        let metrics = "istio_agent_go_gc_gomemlimit_bytes 1.073741824e+09\n";
        Self {
            envoy: Envoy::start_with(&bootstrap, &config.options),
            files,
            _application: says(APPLICATION, "/", "the application"),
            _backend: says(BACKEND, "/", "reviews"),
            _agent: (config.admin == ADMIN)
                .then(|| [says(15020, "/metrics", metrics), says(15021, "/healthz/ready", "")]),
        }
    }

    /// Waits for what the doctor waits for: ten seconds of uptime, and being LIVE.
    fn settle(&self) {
        let settled = poll(|| {
            let info: Value =
                serde_json::from_str(&self.envoy.asks("GET", "/server_info").1).ok()?;
            let uptime =
                info["uptime_current_epoch"].as_str()?.trim_end_matches('s').parse::<u64>();
            (info["state"] == "LIVE" && uptime.ok()? >= 10).then_some(())
        });
        settled.unwrap_or_else(|| panic!("not LIVE for ten seconds:\n{}", self.envoy.log()));
    }

    /// Sends it another configuration.
    pub(crate) fn update(&self, config: &Config) {
        write(&self.files, config);
    }

    /// A run of the doctor, in a mount namespace of its own, as from another container: this
    /// test's stand-ins and Envoy are none of its processes.
    #[expect(clippy::unused_self, reason = "there has to be a pod")]
    pub(crate) fn doctor(&self) -> Meshim {
        from_another_container()
    }

    /// Its report.
    #[track_caller]
    pub(crate) fn report(&self, options: &[&str]) -> Value {
        let ended = self.doctor().with(["--output=json"]).with(options.iter().copied()).run();
        report_of(&ended)
    }

    /// Does `GET` through the proxy, as the application would call reviews.
    #[expect(clippy::unused_self, reason = "there has to be a pod")]
    pub(crate) fn calls(&self, path: &str) -> (u16, String) {
        exchange(REVIEWS, &get(path))
    }

    /// Calls this port of the pod in plaintext, through the proxy's inbound side; an empty answer
    /// is a connection that was closed.
    #[expect(clippy::unused_self, reason = "there has to be a pod")]
    pub(crate) fn is_called(&self, port: u16, path: &str) -> (u16, String) {
        let redirected = format!("PROXY TCP4 10.0.0.9 10.0.0.7 40000 {port}\r\n{}", get(path));
        exchange(INBOUND, &redirected)
    }
}

/// A run of the doctor in a mount namespace of its own.
pub(crate) fn from_another_container() -> Meshim {
    Meshim::does("doctor").behind(["unshare", "-m"])
}

/// The report that a run has printed; what it says fits its schema.
#[track_caller]
pub(crate) fn report_of(ended: &Ended) -> Value {
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
    super::schema::holds(&report);
    report
}

/// The codes and severities of what is worse than information.
pub(crate) fn troubles(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().expect("a list").iter();
    let pairs = findings.map(|finding| {
        let text = |name: &str| finding[name].as_str().expect("a text");
        (text("code"), text("severity"))
    });
    pairs.filter(|(_, severity)| *severity != "info").collect()
}

/// What the findings of one code have seen.
pub(crate) fn seen<'a>(report: &'a Value, code: &str) -> Vec<&'a str> {
    let found = findings(report, code).into_iter();
    found.map(|finding| finding["seen"].as_str().expect("a text")).collect()
}

/// The findings of one code.
pub(crate) fn findings<'a>(report: &'a Value, code: &str) -> Vec<&'a Value> {
    let findings = report["findings"].as_array().expect("a list").iter();
    findings.filter(|finding| finding["code"] == code).collect()
}

/// Files are moved into their place: Envoy watches for that.
fn write(files: &Directory, config: &Config) {
    let rds = files.join("rds.json").display().to_string();
    let hosts = json!([{
        "name": "reviews.shop.svc.cluster.local:9080", "domains": ["*"], "routes": config.routes,
    }]);
    let routes = json!({ "name": "9080", "virtual_hosts": hosts });
    let tables = [
        ("rds.json", "config.route.v3.RouteConfiguration", vec![routes]),
        ("cds.json", "config.cluster.v3.Cluster", config.clusters.clone()),
        ("lds.json", "config.listener.v3.Listener", config.listeners(&rds)),
    ];
    for (name, kind, resources) in tables {
        let resources: Vec<Value> =
            resources.into_iter().map(|resource| typed(kind, resource)).collect();
        let text = json!({ "version_info": "1", "resources": resources }).to_string();
        let written = files.file(&format!("{name}.new"), &text);
        std::fs::rename(written, files.join(name)).expect("both are in one directory");
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: reviews\r\nconnection: close\r\n\r\n")
}

fn exchange(port: u16, request: &str) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(crate::support::shared::DEADLINE)).expect("it is no zero");
    stream.write_all(request.as_bytes()).expect("it is small");
    let mut answer = Vec::new();
    // A reset is an answer, too.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, answer)
}
