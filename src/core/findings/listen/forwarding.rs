//! How the proxy forwards inbound traffic: to the pod address, to loopback, or per port as its
//! clusters say.
//!
//! Owns the order of the sources (inbound clusters, else the mesh's version, else its default) and
//! the destinations that follow; must never ask a proxy itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::core::envoy::inbound_clusters::{Inbound, InboundClusters, Target};
use crate::core::findings::listen::capture::Capture;
use crate::core::findings::pod::{Addresses, Pod};
use crate::core::mesh::Mesh;

/// What the judgement about inbound traffic rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The proxy's own inbound clusters.
    Clusters,
    /// Istio's version alone.
    Version(String),
    /// Nothing but the mesh's default: the proxy told neither.
    Default,
    /// What this mesh's proxies do in every version.
    Profile,
    /// The proxy intercepts nothing: the kernel delivers to the pod's address.
    NoInterception,
    /// There is no proxy: the kernel delivers to the pod's address.
    NoProxy,
}

/// How one proxy forwards inbound traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    /// The ports that Services (or a Sidecar resource) name; `None` where the proxy did not tell.
    pub named: Option<Vec<Inbound>>,
    /// Where the traffic of every other port goes.
    pub otherwise: Target,
    /// What it rests on.
    pub source: Source,
    /// What gets to the proxy at all.
    pub capture: Capture,
}

/// From this Istio version on inbound traffic keeps the pod's address
/// (istio: `PILOT_ENABLE_INBOUND_PASSTHROUGH`, true since 1.10.0).
const FIRST_TO_THE_POD: (u32, u32) = (1, 10);

impl Forwarding {
    /// By the best source there is: the clusters the proxy showed, else its version, else the
    /// default.
    ///
    /// `None` where nothing is known about how this mesh's proxy forwards.
    #[must_use]
    pub fn of(pod: &Pod) -> Option<Self> {
        let manifest = pod.manifest.said();
        let version = manifest.and_then(|manifest| manifest.server.istio_version.as_deref());
        let capture = manifest.map(Capture::of).unwrap_or_default();
        let clusters = pod.clusters.said().filter(|clusters| !clusters.is_empty());
        Self::by(pod.proxy.mesh, clusters, version, capture)
    }

    fn by(
        mesh: Mesh,
        clusters: Option<&InboundClusters>,
        version: Option<&str>,
        capture: Capture,
    ) -> Option<Self> {
        let to_the_pod =
            |named, source, capture| Some(Self { named, otherwise: Target::Pod, source, capture });
        match (mesh, clusters) {
            (Mesh::None, _) => to_the_pod(None, Source::NoProxy, Capture::default()),
            // linkerd2-proxy keeps the address that the client has used (seen on edge-26.8.3).
            (Mesh::Linkerd, _) => to_the_pod(None, Source::Profile, capture),
            // `--admin-url` alone means Envoy; Istio's cluster names then tell whose it is.
            (Mesh::Istio | Mesh::Envoy, Some(InboundClusters { named, passthrough })) => {
                let otherwise = passthrough.clone().unwrap_or(Target::Pod);
                Some(Self {
                    named: Some(named.clone()),
                    otherwise,
                    source: Source::Clusters,
                    capture,
                })
            }
            (Mesh::Istio, None) if capture.is_off => {
                to_the_pod(Some(Vec::new()), Source::NoInterception, capture)
            }
            (Mesh::Istio, None) => Some(Self::unseen(version, capture)),
            _ => None,
        }
    }

    fn unseen(version: Option<&str>, capture: Capture) -> Self {
        match version.and_then(|text| Some((text, release(text)?))) {
            Some((text, release)) => {
                let otherwise =
                    if release < FIRST_TO_THE_POD { Target::Loopback } else { Target::Pod };
                Self { named: None, otherwise, source: Source::Version(text.to_owned()), capture }
            }
            None => Self { named: None, otherwise: Target::Pod, source: Source::Default, capture },
        }
    }

    /// Whether a Service, or a Sidecar resource, names `port`; `None` where that is not known.
    #[must_use]
    pub fn is_named(&self, port: u16) -> Option<bool> {
        Some(self.inbound(port)?.next().is_some())
    }

    /// Does the kernel deliver the traffic for `port`, past the proxy?
    #[must_use]
    pub fn is_by_the_kernel(&self, port: u16) -> bool {
        self.source == Source::NoProxy
            || self.capture.excludes(port)
            || self.capture.is_off && self.is_named(port) != Some(true)
    }

    /// The targets of the traffic that ends at `port` of this pod.
    #[must_use]
    pub fn targets(&self, port: u16) -> Vec<Target> {
        if self.is_by_the_kernel(port) {
            return vec![Target::Pod];
        }
        let named = self.inbound(port).into_iter().flatten();
        let named: Vec<Target> = named.map(|inbound| inbound.target.clone()).collect();
        if named.is_empty() { vec![self.otherwise.clone()] } else { named }
    }

    /// The ports whose traffic goes to something that is no TCP socket, and what that is.
    pub fn elsewhere(&self) -> impl Iterator<Item = (u16, &str)> {
        self.named.iter().flatten().filter_map(|inbound| match &inbound.target {
            Target::Other(what) => Some((inbound.port, what.as_str())),
            _ => None,
        })
    }

    fn inbound(&self, port: u16) -> Option<impl Iterator<Item = &Inbound>> {
        // What goes to no TCP socket is named all the same.
        let is_it = move |inbound: &&Inbound| inbound.receiver().unwrap_or(inbound.port) == port;
        self.named.as_ref().map(|named| named.iter().filter(is_it))
    }
}

impl fmt::Display for Forwarding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = match self.otherwise {
            Target::Loopback => "loopback",
            _ => "the pod's address",
        };
        match &self.source {
            Source::Clusters => {
                let each = self.named.iter().flatten();
                let ports: Vec<String> =
                    each.map(|inbound| format!("{} -> {}", inbound.port, inbound.target)).collect();
                let ports = if ports.is_empty() {
                    "none that a Service names".to_owned()
                } else {
                    ports.join(", ")
                };
                write!(
                    f,
                    "by port: {ports}; others to the pod's address (read from the proxy's inbound \
                     clusters)"
                )
            }
            Source::Version(version) => {
                write!(
                    f,
                    "to {to} (by Istio's version {version}; its inbound clusters are not known)"
                )
            }
            Source::Default => {
                write!(
                    f,
                    "to {to} (Istio's default since 1.10; the proxy told neither clusters nor \
                     version)"
                )
            }
            Source::Profile => write!(f, "to {to} (as this mesh's proxies do)"),
            Source::NoInterception => {
                write!(f, "to {to} (interception is NONE: the kernel delivers it)")
            }
            Source::NoProxy => write!(f, "to {to} (no sidecar: the kernel delivers it)"),
        }
    }
}

/// One way that a client may use, and the addresses it may end at: of several, one is enough.
pub type Destination = Vec<SocketAddr>;

/// Where the traffic for `port` goes, in a pod with these addresses: one destination for each
/// family that clients may use. Empty where the target is no TCP socket.
#[must_use]
pub fn destinations(target: &Target, port: u16, pod: &Addresses) -> Vec<Destination> {
    let of = |is: fn(&IpAddr) -> bool| -> Destination {
        pod.of_family(is).into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
    };
    let (v4, v6) = (of(IpAddr::is_ipv4), of(IpAddr::is_ipv6));
    match target {
        Target::Pod => [v4, v6].into_iter().filter(|addresses| !addresses.is_empty()).collect(),
        Target::Loopback if v4.is_empty() && !v6.is_empty() => {
            vec![vec![(Ipv6Addr::LOCALHOST, port).into()]]
        }
        Target::Loopback => vec![vec![(Ipv4Addr::LOCALHOST, port).into()]],
        Target::Fixed(address) => vec![vec![*address]],
        Target::Other(_) => Vec::new(),
    }
}

/// `1.24.0`, `1.21-alpha.f1`, `1.20.3-asm.1`: major and minor.
fn release(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::annotations::Ports;
    use crate::core::envoy::manifest::{Interception, Manifest};

    fn by(
        mesh: Mesh,
        clusters: Option<&InboundClusters>,
        version: Option<&str>,
    ) -> Option<Forwarding> {
        Forwarding::by(mesh, clusters, version, Capture::default())
    }

    fn otherwise(version: Option<&str>) -> (Target, Source) {
        let forwarding = by(Mesh::Istio, None, version).unwrap();
        (forwarding.otherwise, forwarding.source)
    }

    #[test]
    fn the_version_decides_where_the_clusters_are_not_known() {
        for old in ["1.3.0", "1.9.9", "1.9-alpha.x"] {
            assert_eq!(otherwise(Some(old)), (Target::Loopback, Source::Version(old.to_owned())));
        }
        for new in ["1.10.0", "1.24.0", "1.21-alpha.0f", "2.0.0", "1.20.3-asm.1"] {
            assert_eq!(otherwise(Some(new)), (Target::Pod, Source::Version(new.to_owned())));
        }
        for unknown in [None, Some(""), Some("unknown"), Some("1")] {
            assert_eq!(otherwise(unknown), (Target::Pod, Source::Default), "{unknown:?}");
        }
    }

    #[test]
    fn the_clusters_come_before_the_version() {
        let named =
            vec![Inbound { port: 8080, target: Target::Fixed("127.0.0.1:9000".parse().unwrap()) }];
        let clusters = InboundClusters { named, passthrough: Some(Target::Pod) };
        let forwarding = by(Mesh::Istio, Some(&clusters), Some("1.9.0")).unwrap();
        assert_eq!(forwarding.source, Source::Clusters);
        assert_eq!(
            (forwarding.is_named(9000), forwarding.is_named(8080)),
            (Some(true), Some(false))
        );
        assert_eq!(forwarding.targets(9000), [Target::Fixed("127.0.0.1:9000".parse().unwrap())]);
        assert_eq!(forwarding.targets(8080), [Target::Pod]);
    }

    #[test]
    fn other_meshes_are_not_guessed_at() {
        for mesh in [Mesh::Consul, Mesh::Kuma, Mesh::AppMesh, Mesh::Osm, Mesh::Envoy] {
            assert_eq!(by(mesh, None, Some("1.24.0")), None, "{mesh}");
        }
        assert_eq!(by(Mesh::None, None, None).unwrap().source, Source::NoProxy);
        let linkerd = by(Mesh::Linkerd, None, None).unwrap();
        assert_eq!((linkerd.otherwise, linkerd.source), (Target::Pod, Source::Profile));
    }

    #[test]
    fn what_is_not_captured_the_kernel_delivers_to_the_pods_address() {
        let loopback = || Target::Fixed("127.0.0.1:8080".parse().unwrap());
        let named = vec![Inbound { port: 8080, target: loopback() }];
        let clusters = InboundClusters { named, passthrough: None };
        let mut manifest = Manifest::default();
        manifest.annotations.excluded_inbound = Ports::Some(vec![8080]);
        let excluded =
            Forwarding::by(Mesh::Istio, Some(&clusters), None, Capture::of(&manifest)).unwrap();
        assert_eq!(excluded.targets(8080), [Target::Pod]);
        let none = Manifest { interception: Interception::None, ..Manifest::default() };
        let off = Forwarding::by(Mesh::Istio, None, None, Capture::of(&none)).unwrap();
        assert_eq!((&off.source, off.is_named(8080)), (&Source::NoInterception, Some(false)));
        assert!(off.is_by_the_kernel(8080));
        // A Sidecar resource may have the proxy listen itself.
        let ingress =
            Forwarding::by(Mesh::Istio, Some(&clusters), None, Capture::of(&none)).unwrap();
        assert_eq!(ingress.targets(8080), [loopback()]);
        assert!(ingress.is_by_the_kernel(9090));
    }

    #[test]
    fn each_family_that_clients_may_use_has_its_destination() {
        let pod = |text: &[&str]| Addresses {
            own: text.iter().map(|ip| ip.parse().unwrap()).collect(),
            ..Addresses::default()
        };
        let table: [(Target, &[&str], &[&str]); 7] = [
            (Target::Pod, &["10.0.0.5"], &["10.0.0.5:80"]),
            (Target::Pod, &["10.0.0.5", "fd00::5"], &["10.0.0.5:80", "[fd00::5]:80"]),
            (Target::Pod, &["fd00::5"], &["[fd00::5]:80"]),
            (Target::Loopback, &["10.0.0.5", "fd00::5"], &["127.0.0.1:80"]),
            (Target::Loopback, &["fd00::5"], &["[::1]:80"]),
            (Target::Fixed("127.0.0.1:90".parse().unwrap()), &["10.0.0.5"], &["127.0.0.1:90"]),
            (Target::Other("unix:/a".to_owned()), &["10.0.0.5"], &[]),
        ];
        for (target, ips, expected) in table {
            let found = destinations(&target, 80, &pod(ips));
            let found: Vec<String> = found.iter().flatten().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{target:?} {ips:?}");
        }
    }
}
