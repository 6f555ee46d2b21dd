//! How the proxy forwards inbound traffic: to the pod address, to loopback, or per port as its
//! clusters say.
//!
//! Owns the order of the sources (inbound clusters, else Istio's version, else the default) and the
//! destinations that follow; must never ask a proxy itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::core::envoy::inbound_clusters::{Inbound, InboundClusters, Target};
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
}

/// From this Istio version on inbound traffic keeps the pod's address
/// (istio: `PILOT_ENABLE_INBOUND_PASSTHROUGH`, true since 1.10.0).
const FIRST_TO_THE_POD: (u32, u32) = (1, 10);

impl Forwarding {
    /// The best source there is: the `clusters` the proxy showed, else its `version`, else the
    /// default.
    ///
    /// `None` where nothing is known about how this mesh's proxy forwards.
    #[must_use]
    pub fn of(
        mesh: Mesh,
        clusters: Option<InboundClusters>,
        version: Option<&str>,
    ) -> Option<Self> {
        match (mesh, clusters) {
            (Mesh::None, _) => {
                Some(Self { named: None, otherwise: Target::Pod, source: Source::NoProxy })
            }
            // A port without a Service goes through Istio's passthrough cluster, in every version.
            // `--admin-url` alone means Envoy; Istio's cluster names then tell whose it is.
            (Mesh::Istio | Mesh::Envoy, Some(InboundClusters { named, passthrough })) => {
                let otherwise = passthrough.unwrap_or(Target::Pod);
                Some(Self { named: Some(named), otherwise, source: Source::Clusters })
            }
            (Mesh::Istio, None) => Some(Self::unseen(version)),
            _ => None,
        }
    }

    fn unseen(version: Option<&str>) -> Self {
        match version.and_then(|text| Some((text, release(text)?))) {
            Some((text, release)) => {
                let otherwise =
                    if release < FIRST_TO_THE_POD { Target::Loopback } else { Target::Pod };
                Self { named: None, otherwise, source: Source::Version(text.to_owned()) }
            }
            None => Self { named: None, otherwise: Target::Pod, source: Source::Default },
        }
    }

    /// Whether a Service, or a Sidecar resource, names `port`; `None` where that is not known.
    #[must_use]
    pub fn is_named(&self, port: u16) -> Option<bool> {
        let named = self.named.as_ref()?;
        Some(named.iter().any(|inbound| inbound.receiver() == Some(port)))
    }

    /// The targets of the traffic that ends at `port` of this pod.
    #[must_use]
    pub fn targets(&self, port: u16) -> Vec<Target> {
        let named = self.named.iter().flatten();
        let named: Vec<Target> = named
            .filter(|inbound| inbound.receiver() == Some(port))
            .map(|inbound| inbound.target.clone())
            .collect();
        if named.is_empty() { vec![self.otherwise.clone()] } else { named }
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
                let ports: Vec<String> = self
                    .named
                    .iter()
                    .flatten()
                    .map(|inbound| format!("{} -> {}", inbound.port, inbound.target))
                    .collect();
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
                    "to {to} (by Istio's version {version}; the inbound clusters could not be read)"
                )
            }
            Source::Default => {
                write!(
                    f,
                    "to {to} (Istio's default since 1.10; the proxy told neither clusters nor \
                     version)"
                )
            }
            Source::NoProxy => write!(f, "to {to} (no sidecar: the kernel delivers it)"),
        }
    }
}

/// Where the traffic for `port` goes, in a pod with these addresses: one destination for each
/// family that clients may use. Empty where the target is no TCP socket.
#[must_use]
pub fn destinations(target: &Target, port: u16, pod: &[IpAddr]) -> Vec<SocketAddr> {
    let first =
        |is: fn(&IpAddr) -> bool| pod.iter().find(|ip| is(ip)).map(|ip| SocketAddr::new(*ip, port));
    let (v4, v6) = (first(IpAddr::is_ipv4), first(IpAddr::is_ipv6));
    match target {
        Target::Pod => v4.into_iter().chain(v6).collect(),
        Target::Loopback if v4.is_none() && v6.is_some() => {
            vec![(Ipv6Addr::LOCALHOST, port).into()]
        }
        Target::Loopback => vec![(Ipv4Addr::LOCALHOST, port).into()],
        Target::Fixed(address) => vec![*address],
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

    fn otherwise(version: Option<&str>) -> (Target, Source) {
        let forwarding = Forwarding::of(Mesh::Istio, None, version).unwrap();
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
        let forwarding = Forwarding::of(Mesh::Istio, Some(clusters), Some("1.9.0")).unwrap();
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
        for mesh in [Mesh::Linkerd, Mesh::Consul, Mesh::Kuma, Mesh::AppMesh, Mesh::Osm, Mesh::Envoy]
        {
            assert_eq!(Forwarding::of(mesh, None, Some("1.24.0")), None, "{mesh}");
        }
        assert_eq!(Forwarding::of(Mesh::None, None, None).unwrap().source, Source::NoProxy);
    }

    #[test]
    fn each_family_that_clients_may_use_has_its_destination() {
        let pod =
            |text: &[&str]| text.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
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
            let found: Vec<String> =
                destinations(&target, 80, &pod(ips)).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{target:?} {ips:?}");
        }
    }
}
