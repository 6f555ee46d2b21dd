//! The inbound side of a proxy, port by port.
//!
//! Owns which chains belong to which port of the application; must never judge.

use crate::core::envoy::filter_chain::{Chain, Direction, Protocol, Transport};
use crate::core::envoy::listeners::Listeners;
use crate::core::sorted::SortedMap;

/// Istio's own inbound port: what is sent there on purpose is refused on purpose.
const ISTIO_INBOUND: u64 = 15006;

/// A port, and the chains that serve it.
#[derive(Clone, Debug)]
pub struct Port<'a> {
    /// Its number; `None` for all ports that nobody named.
    pub number: Option<u64>,
    /// Its chains.
    pub chains: Vec<&'a Chain>,
}

/// The ports that traffic to the application arrives at. A plain Envoy does not say which listeners
/// are inbound: each of its listeners is a port.
#[must_use]
pub fn inbound(listeners: &Listeners) -> Vec<Port<'_>> {
    let mut ports: SortedMap<Option<u64>, Vec<&Chain>> = SortedMap::new();
    for chain in &listeners.chains {
        let is_virtual = chain.listener == "virtualInbound";
        let number = if is_virtual { chain.port } else { chain.port.or(chain.listener_port) };
        let is_inbound =
            chain.direction != Direction::Outbound && chain.listener != "virtualOutbound";
        if is_inbound && chain.port != Some(ISTIO_INBOUND) {
            ports.get_or_default(number).push(chain);
        }
    }
    ports.into_iter().map(|(number, chains)| Port { number, chains }).collect()
}

impl Port<'_> {
    /// Plaintext and TLS are both taken. A second TLS chain without a certificate of its own passes
    /// foreign TLS through, so that plaintext's chain decides.
    #[must_use]
    pub fn is_permissive(&self) -> bool {
        let has = |transport| self.chains.iter().any(|chain| chain.transport == transport);
        has(Transport::Raw) && has(Transport::Tls)
    }

    /// Nobody named its protocol: the proxy looks at the first bytes.
    #[must_use]
    pub fn is_sniffed(&self) -> bool {
        let has = |protocol| self.chains.iter().any(|chain| chain.protocol == protocol);
        has(Protocol::Http)
            && has(Protocol::Tcp)
            && self.chains.iter().any(|chain| chain.is_sniffed)
    }
}
