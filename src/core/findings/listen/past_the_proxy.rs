//! Which of the pod's traffic goes past the proxy, or is not the proxy's to take: excluded ports,
//! interception that is off, IPv6 without rules.
//!
//! Owns these three judgements and their words; must never ask anybody.

use std::net::IpAddr;

use crate::core::envoy::inbound_clusters::Inbound;
use crate::core::findings::codes::Code;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::findings::judged::Judged;
use crate::core::findings::listen::capture::Capture;
use crate::core::findings::listen::messages::{sorted, spoken_ports};
use crate::core::findings::listen::unseen;
use crate::core::findings::pod::Pod;
use crate::core::mesh::Mesh;
use crate::core::sockets::owner::{Owner, is_of_a_profile};

/// Where Envoy takes inbound traffic under Istio.
const INBOUND: u16 = 15006;

/// What the proxy says is taken to it; or why that is not known, where it is asked for.
fn capture(pod: &Pod) -> Result<Option<Capture>, Judged> {
    match (pod.proxy.mesh, unseen::manifest(pod)) {
        (Mesh::Istio, Some(why)) => Err(Judged::blind(why)),
        (Mesh::Istio, None) => Ok(pod.manifest.said().map(Capture::of)),
        _ => Ok(None),
    }
}

/// Ports that an annotation takes past the proxy although mesh clients expect it there.
#[must_use]
pub fn excluded_ports(pod: &Pod) -> Judged {
    let capture = match capture(pod) {
        Ok(Some(capture)) => capture,
        Ok(None) => return Judged::default(),
        Err(blind) => return blind,
    };
    let clusters = pod.clusters.said().filter(|clusters| !clusters.is_empty());
    let named = clusters.into_iter().flat_map(|clusters| &clusters.named);
    let named = named.map(|inbound: &Inbound| inbound.port);
    let ours = pod.application();
    let ours = ours.iter().map(|(socket, _)| socket.bound.address.port());
    let known = clusters.is_some();
    let candidates = if known { sorted(named) } else { sorted(ours) };
    let excluded: Vec<u16> = candidates
        .into_iter()
        .filter(|port| !is_of_a_profile(*port) && capture.excludes(*port))
        .collect();
    let Some(first) = excluded.first() else { return Judged::default() };
    let (ports, annotation) = (spoken_ports(&excluded), capture.annotation(*first));
    let (severity, who) = if known {
        (Severity::Warning, "a Service names")
    } else {
        (Severity::Info, "the application listens on")
    };
    vec![Finding {
        code: Code::PortExcludedFromMesh,
        severity,
        seen: format!("{annotation} takes {ports}, which {who}, past the proxy"),
        why: "so clients in the mesh, which speak mTLS to a Service of this mesh, get 503: the \
              application gets their TLS handshake; clients outside of it are served in plain text"
            .to_owned(),
        remedy: "drop the port from the annotation; or, where only clients outside of the mesh \
                 use it, leave it, and set a DestinationRule with tls mode DISABLE for the rest"
            .to_owned(),
        source: "the pod's annotations as the proxy knows them; its inbound clusters name the \
                 Service's ports",
    }]
    .into()
}

/// Interception NONE: the proxy's own outbound listeners take Service ports on loopback.
#[must_use]
pub fn interception(pod: &Pod) -> Judged {
    let capture = match capture(pod) {
        Ok(Some(capture)) => capture,
        Ok(None) => return Judged::default(),
        Err(blind) => return blind,
    };
    if !capture.is_off {
        return Judged::default();
    }
    let owners = pod.owners();
    let is_proxys = |socket: &&crate::core::sockets::owner::Socket| {
        owners.owner(socket) == Owner::Proxy && !is_of_a_profile(socket.bound.address.port())
    };
    let held = pod.sockets.all.iter().filter(is_proxys);
    let held = sorted(held.map(|socket| socket.bound.address.port()));
    if held.is_empty() {
        return Judged::default();
    }
    let ports = spoken_ports(&held);
    // An application that found its port taken does not listen.
    let severity = if pod.application().is_empty() { Severity::Warning } else { Severity::Info };
    vec![Finding {
        code: Code::PortHeldByProxy,
        severity,
        seen: format!(
            "interception is NONE, and the proxy itself listens on loopback {ports}, the Services' \
             ports"
        ),
        why: "so an application that binds 0.0.0.0 or [::] on one of these after the proxy is \
              ready fails with EADDRINUSE"
            .to_owned(),
        remedy: "let the application bind the pod's own address, or set the annotation \
                 sidecar.istio.io/interceptionMode to REDIRECT"
            .to_owned(),
        source: "INTERCEPTION_MODE in the proxy's metadata; the kernel's table of listening \
                 sockets",
    }]
    .into()
}

/// A pod with an IPv6 address whose rules, and whose proxy, know IPv4 only.
#[must_use]
pub fn ipv6(pod: &Pod) -> Judged {
    let capture = match capture(pod) {
        Ok(Some(capture)) => capture,
        Ok(None) => return Judged::default(),
        Err(blind) => return blind,
    };
    let Some(v6) = pod.addresses.all().into_iter().find(IpAddr::is_ipv6) else {
        return Judged::default();
    };
    // In a pod whose first address is IPv6, the rules are for both families.
    let is_v4_first = pod.addresses.own.first().is_some_and(IpAddr::is_ipv4);
    if capture.is_off || !is_v4_first || pod.sockets.unread.is_some() {
        return Judged::default();
    }
    let inbound = || {
        let sockets = pod.sockets.all.iter().map(|socket| socket.bound.address);
        sockets.filter(|address| address.port() == INBOUND)
    };
    // With dual stack, the proxy takes inbound traffic of both families. Before its first
    // configuration it takes none, and nothing is known.
    if inbound().next().is_none() || inbound().any(|address| address.is_ipv6()) {
        return Judged::default();
    }
    vec![Finding {
        code: Code::Ipv6BypassesProxy,
        severity: Severity::Warning,
        seen: format!(
            "the pod has the IPv6 address {v6}, and the proxy takes inbound traffic on IPv4 only \
             (port {INBOUND})"
        ),
        why: "so all IPv6 traffic, inbound and outbound, goes past the proxy: no mTLS, no policy, \
              no telemetry"
            .to_owned(),
        remedy: "switch dual stack on (ISTIO_DUAL_STACK for istiod and in the proxy's metadata), \
                 or give the pod IPv4 only"
            .to_owned(),
        source: "istio-iptables writes no ip6tables rules in a pod whose first address is IPv4, \
                 unless dual stack is on",
    }]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::annotations::Ports;
    use crate::core::envoy::inbound_clusters::{InboundClusters, Target};
    use crate::core::envoy::manifest::{Interception, Manifest};
    use crate::core::envoy::unread::Unread;
    use crate::core::findings::pod::Requested;
    use crate::core::proxy::Proxy;
    use crate::core::sockets::bound::Bound;
    use crate::core::sockets::owner::{Holder, Socket};

    fn socket(address: &str, uid: u32, holder: Holder) -> Socket {
        let bound = Bound { address: address.parse().unwrap(), v6only: Some(false) };
        Socket { bound, uid, holder }
    }

    fn app(address: &str) -> Socket {
        socket(address, 1000, Holder::Here { command: "app".to_owned(), pid: 7 })
    }

    fn proxys(address: &str) -> Socket {
        socket(address, 1337, Holder::Nobody)
    }

    /// An Istio pod whose Services name these ports.
    fn pod(named: &[u16], manifest: Manifest) -> Pod {
        let mut pod = Pod::of(Proxy::of(Mesh::Istio));
        let named = named.iter().map(|port| Inbound { port: *port, target: Target::Pod }).collect();
        pod.clusters = Requested::Said(InboundClusters { named, passthrough: Some(Target::Pod) });
        pod.manifest = Requested::Said(manifest);
        pod.sockets.all = vec![proxys("0.0.0.0:15006"), app("0.0.0.0:8080")];
        pod.addresses.own = vec!["10.0.0.5".parse().unwrap()];
        pod
    }

    fn found(judged: &Judged) -> Vec<(Code, Severity)> {
        judged.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
    }

    fn excluding(ports: Ports) -> Manifest {
        let mut manifest = Manifest::default();
        manifest.annotations.excluded_inbound = ports;
        manifest
    }

    #[test]
    fn a_port_that_is_excluded_and_that_a_service_names_is_told() {
        let code = Code::PortExcludedFromMesh;
        let ports = || Ports::Some(vec![8080, 15020]);
        let named = excluded_ports(&pod(&[8080, 15020], excluding(ports())));
        assert_eq!(found(&named), [(code, Severity::Warning)]);
        let text = named.findings[0].to_string();
        assert!(text.contains("excludeInboundPorts takes port 8080, which a Service"), "{text}");
        assert_eq!(found(&excluded_ports(&pod(&[9090], excluding(ports())))), []);
        let mut unknown = pod(&[], excluding(ports()));
        unknown.clusters = Requested::Not;
        assert_eq!(found(&excluded_ports(&unknown)), [(code, Severity::Info)]);
    }

    #[test]
    fn without_the_manifest_each_of_the_three_says_that_it_could_not_look() {
        let mut pod = pod(&[8080], Manifest::default());
        pod.manifest = Requested::Unread("http://localhost:15000".parse().unwrap(), Unread::Locked);
        for judge in [excluded_ports, interception, ipv6] {
            let judged = judge(&pod);
            assert!(judged.findings.is_empty() && judged.not_seen[0].contains("403"), "{judged:?}");
            let mut other = pod.clone();
            other.proxy = Proxy::of(Mesh::Linkerd);
            assert_eq!(judge(&other), Judged::default());
        }
    }

    #[test]
    fn with_interception_off_the_ports_that_the_proxy_holds_are_named() {
        let off = || Manifest { interception: Interception::None, ..Manifest::default() };
        let mut pod = pod(&[], off());
        assert_eq!(found(&interception(&pod)), []);
        pod.sockets.all.extend(["127.0.0.1:3306", "127.0.0.1:9080"].map(proxys));
        assert_eq!(found(&interception(&pod)), [(Code::PortHeldByProxy, Severity::Info)]);
        pod.sockets.all.retain(|socket| socket.uid == 1337);
        let judged = interception(&pod);
        assert_eq!(found(&judged), [(Code::PortHeldByProxy, Severity::Warning)]);
        assert!(judged.findings[0].seen.contains("ports 3306, 9080"), "{judged:?}");
        pod.manifest = Requested::Said(Manifest::default());
        assert_eq!(found(&interception(&pod)), []);
    }

    #[test]
    fn ipv6_goes_past_a_proxy_that_listens_on_ipv4_only() {
        let code = [(Code::Ipv6BypassesProxy, Severity::Warning)];
        let mut pod = pod(&[], Manifest::default());
        assert_eq!(found(&ipv6(&pod)), []);
        pod.addresses.of_interfaces.push("fd00::5".parse().unwrap());
        assert_eq!(found(&ipv6(&pod)), code);
        let dual = Pod {
            sockets: crate::core::findings::pod::ListeningSockets {
                all: vec![proxys("0.0.0.0:15006"), proxys("[::]:15006")],
                ..pod.sockets.clone()
            },
            ..pod.clone()
        };
        assert_eq!(found(&ipv6(&dual)), []);
        let v6_first = "fd00::5".parse().unwrap();
        pod.addresses.own.insert(0, v6_first);
        assert_eq!(found(&ipv6(&pod)), []);
    }
}
