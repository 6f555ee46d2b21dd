//! A request that fails for a reason nobody sees, the diagnosis, and the same after the fix:
//! `cargo run --example doctor`.
//!
//! A real Envoy (fetched once) with the configuration that istiod makes of a `VirtualService` whose
//! subset no `DestinationRule` defines. In a pod: `kubectl exec POD -- /meshim-bin/meshim doctor`.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "an example waits for what it started, and talks"
)]

mod common;

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use common::support::directory::Directory;
use common::support::envoy::{Bootstrap, Envoy, fetched};
use common::support::namespace::bring_loopback_up;
use common::support::reply::Reply;
use common::support::shared::poll;
use common::support::standin::StandIn;
use serde_json::{Value, json};

/// Runs this program in namespaces of its own, where the ports of a pod are free.
const INSIDE: &str = "--inside";

const SERVICE: u16 = 9080;
const SUBSET: &str = "outbound|9080|v2|reviews.shop.svc.cluster.local";

fn main() -> Result<(), Box<dyn Error>> {
    let meshim = common::meshim()?;
    if std::env::args().nth(1).as_deref() == Some(INSIDE) {
        bring_loopback_up();
        return play(&meshim);
    }
    fetched()?;
    let mut unshare = Command::new("unshare");
    unshare.args(["-Urnpmf", "--kill-child", "--mount-proc"]).arg(std::env::current_exe()?);
    let status = unshare.arg(INSIDE).env_remove("CARGO").status()?;
    status.success().then_some(()).ok_or_else(|| format!("the play ended with {status}").into())
}

fn play(meshim: &Path) -> Result<(), Box<dyn Error>> {
    let files = Directory::new();
    write(&files, "cds.json", &[cluster("inbound|8080||", 8080)]);
    write(&files, "lds.json", &[listener(&files)]);
    write(&files, "rds.json", &[routes()]);
    let envoy = Envoy::start(&bootstrap(&files));
    let ready = StandIn::on_port(15021);
    ready.says("/healthz/ready", Reply::plain(200, ""));
    let agent = StandIn::on_port(15020);
    agent.says("/metrics", Reply::plain(200, "istio_agent_go_gc_gomemlimit_bytes 1.07e+09\n"));
    let backend = StandIn::on_port(9999);
    backend.says("/", Reply::plain(200, "reviews"));
    let application = StandIn::on_port(8080);
    application.says("/", Reply::plain(200, "shop"));
    println!("A proxy needs ten seconds until all of its configuration has come.");
    let settled = poll(|| {
        let info: Value = serde_json::from_str(&envoy.asks("GET", "/server_info").1).ok()?;
        let uptime = info["uptime_current_epoch"].as_str()?.trim_end_matches('s').parse::<u64>();
        (info["state"] == "LIVE" && uptime.ok()? >= 10).then_some(())
    });
    settled.ok_or_else(|| envoy.log())?;

    println!("\n$ curl reviews:9080      # HTTP {}", call()?);
    diagnose(meshim)?;
    println!("\nThe DestinationRule is applied: the proxy gets the subset's cluster.");
    write(&files, "cds.json", &[cluster("inbound|8080||", 8080), cluster(SUBSET, 9999)]);
    poll(|| (call().ok()? == 200).then_some(())).ok_or_else(|| envoy.log())?;
    println!("\n$ curl reviews:9080      # HTTP {}", call()?);
    diagnose(meshim)
}

/// From a mount namespace of its own, as from another container of the pod.
fn diagnose(meshim: &Path) -> Result<(), Box<dyn Error>> {
    println!("$ meshim doctor");
    let output = Command::new("unshare").arg("-m").arg(meshim).arg("doctor").output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

fn call() -> Result<u16, Box<dyn Error>> {
    let mut stream = TcpStream::connect(("127.0.0.1", SERVICE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: reviews\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.get(9..12).ok_or("no status")?.parse()?)
}

/// Moved into its place: Envoy watches for that.
fn write(files: &Directory, name: &str, resources: &[Value]) {
    let text = json!({ "version_info": "1", "resources": resources }).to_string();
    let new = files.file(&format!("{name}.new"), &text);
    std::fs::rename(new, files.join(name)).expect("both are in one directory");
}

fn source(files: &Directory, name: &str) -> Value {
    let path = json!({ "path": files.join(name) });
    json!({ "resource_api_version": "V3", "path_config_source": path })
}

fn bootstrap(files: &Directory) -> Bootstrap {
    let mut bootstrap = Bootstrap::with_admin("127.0.0.1", 15000);
    let value = &mut bootstrap.0;
    value["node"]["id"] = "sidecar~10.0.0.7~shop-5d4f.shop~shop.svc.cluster.local".into();
    value["node"]["metadata"] =
        json!({ "ISTIO_VERSION": "1.28.0", "NAMESPACE": "shop", "INSTANCE_IPS": "10.0.0.7" });
    value["dynamic_resources"] =
        json!({ "cds_config": source(files, "cds.json"), "lds_config": source(files, "lds.json") });
    bootstrap
}

fn cluster(name: &str, port: u16) -> Value {
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let endpoints = json!([{ "lb_endpoints": [{ "endpoint": { "address": address } }] }]);
    json!({
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": { "cluster_name": name, "endpoints": endpoints },
    })
}

/// As istiod writes it: with the resource that it was made of.
fn routes() -> Value {
    let config = "/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews";
    let route = json!({
        "match": { "prefix": "/" }, "route": { "cluster": SUBSET },
        "metadata": { "filter_metadata": { "istio": { "config": config } } },
    });
    let host = "reviews.shop.svc.cluster.local:9080";
    json!({
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "9080",
        "virtual_hosts": [{ "name": host, "domains": ["*"], "routes": [route] }],
    })
}

fn listener(files: &Directory) -> Value {
    let filters = "type.googleapis.com/envoy.extensions.filters";
    let manager = json!({
        "@type": format!("{filters}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "outbound",
        "rds": { "route_config_name": "9080", "config_source": source(files, "rds.json") },
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": { "@type": format!("{filters}.http.router.v3.Router") },
        }],
    });
    let name = "envoy.filters.network.http_connection_manager";
    json!({
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": "0.0.0.0_9080", "traffic_direction": "OUTBOUND",
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": SERVICE } },
        "filter_chains": [{ "filters": [{ "name": name, "typed_config": manager }] }],
    })
}
