//! A late control plane: an xDS server over REST that answers when the test lets it.
//!
//! A real Envoy with it is `PRE_INITIALIZING` until its clusters have come, `INITIALIZING` until
//! its listeners have, then `LIVE`. The answers are empty but valid.

use super::reply::{Gate, Reply};
use super::standin::StandIn;

const CLUSTERS: &str = "/v3/discovery:clusters";
const LISTENERS: &str = "/v3/discovery:listeners";

/// An xDS server that holds back its answers.
#[derive(Debug)]
pub(crate) struct LateXds {
    server: StandIn,
    clusters: Gate,
    listeners: Gate,
}

impl LateXds {
    pub(crate) fn new() -> Self {
        let (server, clusters, listeners) = (StandIn::new(), Gate::default(), Gate::default());
        let table = [
            (CLUSTERS, "cluster.v3.Cluster", &clusters),
            (LISTENERS, "listener.v3.Listener", &listeners),
        ];
        for (path, kind, gate) in table {
            let kind = format!("type.googleapis.com/envoy.config.{kind}");
            let body =
                serde_json::json!({ "version_info": "1", "type_url": kind, "resources": [] })
                    .to_string();
            server.says(
                path,
                Reply::plain(200, body).header("content-type", "application/json").held(gate),
            );
        }
        Self { server, clusters, listeners }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    /// Waits until Envoy asks for its clusters.
    pub(crate) fn wait_until_asked(&self) {
        self.server.wait_for_requests(CLUSTERS, 1);
    }

    /// From now on Envoy has clusters: it goes on to `INITIALIZING`.
    pub(crate) fn release_clusters(&self) {
        self.clusters.open();
    }

    /// From now on it has listeners, too: it goes on to `LIVE`.
    pub(crate) fn release_listeners(&self) {
        self.listeners.open();
    }
}
