//! An Istio proxy's admin API as `meshim check` reads it, scripted, on a Unix socket; and the
//! check's report, read.

use serde_json::{Value, json};

use super::directory::Directory;
use super::meshim::Meshim;
use super::process::Ended;
use super::reply::Reply;
use super::standin::StandIn;

/// The inbound clusters that a proxy shows: one to the pod address for each of these ports.
pub(crate) fn clusters(ports: &[u16]) -> Reply {
    let named = ports.iter().map(|port| original_dst(&format!("inbound|{port}||")));
    let configs: Vec<Value> = named.chain([original_dst("InboundPassthroughCluster")]).collect();
    Reply::envoy(200, json!({ "configs": configs }).to_string())
}

/// A cluster whose traffic keeps its address.
pub(crate) fn original_dst(name: &str) -> Value {
    json!({ "cluster": { "name": name, "type": "ORIGINAL_DST" } })
}

/// `/server_info` of Istio's proxy of this version, in the pod 10.0.0.5.
pub(crate) fn server_info(version: &str) -> Reply {
    server_info_of(&json!({ "ISTIO_VERSION": version, "INSTANCE_IPS": "10.0.0.5" }))
}

/// The same with this metadata.
pub(crate) fn server_info_of(metadata: &Value) -> Reply {
    let node = json!({ "metadata": metadata });
    let info = json!({ "version": "sha/1.32.2/Clean/RELEASE/x", "state": "LIVE", "node": node });
    Reply::envoy(200, info.to_string())
}

/// A proxy that is ready, whose admin API is on a Unix socket: a TCP port of this test's would be
/// taken for the application's.
pub(crate) struct Admin {
    pub(crate) proxy: StandIn,
    pub(crate) directory: Directory,
}

impl Admin {
    pub(crate) fn new() -> Self {
        let directory = Directory::new();
        let proxy = StandIn::late_unix(&directory.join("admin.sock")).opened();
        proxy.says("/ready", Reply::live());
        Self { proxy, directory }
    }

    /// Istio 1.24, whose Services name these ports.
    pub(crate) fn naming(ports: &[u16]) -> Self {
        let admin = Self::new();
        admin
            .proxy
            .says("/config_dump", clusters(ports))
            .says("/server_info", server_info("1.24.0"));
        admin
    }

    /// `unix:/…/admin.sock`
    pub(crate) fn url(&self) -> String {
        format!("unix:{}", self.directory.join("admin.sock").display())
    }

    /// `meshim check --mesh istio` against it.
    pub(crate) fn check(&self) -> Meshim {
        let (url, ready) = (self.url(), format!("{}:/ready", self.url()));
        Meshim::does("check")
            .with(["--mesh=istio", "--admin-url", &url, "--ready-url", &ready])
            .env("MESHIM_OUTPUT", "json")
            .env("PATH", "/usr/bin:/bin")
    }
}

/// The report of a check.
pub(crate) fn read(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:#?}"))
}

/// Code and severity of each finding.
pub(crate) fn codes(report: &Value) -> Vec<(&str, &str)> {
    let findings = report["findings"].as_array().expect("a list").iter();
    findings
        .map(|finding| {
            (finding["code"].as_str().unwrap_or("?"), finding["severity"].as_str().unwrap_or("?"))
        })
        .collect()
}

/// What could not be seen, in one text.
pub(crate) fn not_seen(report: &Value) -> String {
    report["not_seen"].to_string()
}
