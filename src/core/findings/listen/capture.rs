//! Which inbound traffic gets to the proxy at all.
//!
//! Owns what the mode of interception and the pod's annotations mean for one port; must never ask.

use crate::core::envoy::annotations::Ports;
use crate::core::envoy::manifest::{Interception, Manifest};

/// What is taken to the proxy on its way to this pod; all of it unless the proxy says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// No traffic is: the proxy has only what is sent to its own listeners.
    pub is_off: bool,
    /// What the annotations leave out.
    excluded: Ports,
    /// What they alone take in.
    included: Ports,
}

impl Capture {
    /// As the proxy knows it from its pod's manifest.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        Self {
            is_off: manifest.interception == Interception::None,
            excluded: manifest.annotations.excluded_inbound.clone(),
            included: manifest.annotations.included_inbound.clone(),
        }
    }

    /// Does an annotation leave this port out?
    #[must_use]
    pub fn excludes(&self, port: u16) -> bool {
        let left_out = match &self.included {
            Ports::Unset | Ports::All => false,
            Ports::Some(ports) => !ports.contains(&port),
        };
        !self.is_off && (left_out || self.excluded.has(port))
    }

    /// The annotation that leaves this port out.
    #[must_use]
    pub fn annotation(&self, port: u16) -> &'static str {
        if self.excluded.has(port) {
            "traffic.sidecar.istio.io/excludeInboundPorts"
        } else {
            "traffic.sidecar.istio.io/includeInboundPorts"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(included: Ports, excluded: Ports) -> Capture {
        Capture { is_off: false, excluded, included }
    }

    #[test]
    fn annotations_leave_ports_out_by_either_list() {
        let some = |port| Ports::Some(vec![port]);
        assert!(!Capture::default().excludes(80));
        assert!(capture(Ports::Unset, some(80)).excludes(80));
        assert!(!capture(Ports::All, some(80)).excludes(81));
        assert!(capture(some(80), Ports::Unset).excludes(81));
        assert!(capture(Ports::Some(Vec::new()), Ports::Unset).excludes(81));
        assert!(!capture(some(80), Ports::Unset).excludes(80));
        assert!(capture(some(81), some(80)).annotation(80).ends_with("excludeInboundPorts"));
        assert!(capture(some(81), Ports::Unset).annotation(80).ends_with("includeInboundPorts"));
    }
}
