//! Reading what the proxy says about itself, and finding it without waiting for it.

use std::time::Duration;

use tokio::time::Instant;

use crate::core::endpoint::Endpoint;
use crate::core::mesh::{self, Detected};
use crate::core::proxy::Proxy;
use crate::core::proxy_facts::ProxyFacts;
use crate::io::http::Client;
use crate::io::sockets;

/// How long the proxy may take: the answer is over 100 KB under Istio.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Reads `/server_info`; `None`, and a word in the log, where that fails.
pub(super) async fn read(admin: &Endpoint) -> Option<ProxyFacts> {
    let url = admin.at("/server_info");
    let answer = Client::new(url.address.clone()).get(&url.path, Instant::now() + TIMEOUT).await;
    let read = match answer {
        Ok(answer) if answer.status == 200 => ProxyFacts::read(&answer.body),
        Ok(answer) => Err(answer.status.to_string()),
        Err(fault) => Err(fault.to_string()),
    };
    match read {
        Ok(facts) => {
            let envoy = facts.envoy_version.as_deref().unwrap_or("unknown");
            let istio = facts.istio_version.as_deref().unwrap_or("none");
            tracing::debug!(envoy, istio, native = facts.is_native(), lifetime = ?facts.lifetime(), "proxy facts");
            Some(facts)
        }
        Err(why) => {
            tracing::debug!("{url} says nothing about the proxy: {why}");
            None
        }
    }
}

/// The proxy that the user gave, or whose ports are open now.
pub(super) fn proxy_now(given: Option<&Proxy>) -> Option<Proxy> {
    if given.is_some() {
        return given.cloned();
    }
    let ports: Vec<u16> = sockets::listening().ok()?.iter().map(|listener| listener.address.port()).collect();
    match mesh::detect(&ports, &[]) {
        Detected::Sidecar(mesh) => Some(Proxy::of(mesh)),
        Detected::Ambient | Detected::Nothing => None,
    }
}
