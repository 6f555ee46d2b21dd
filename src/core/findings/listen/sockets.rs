//! Does traffic through the mesh arrive where the application listens? Sockets, pod addresses and
//! forwarding in, verdicts out.
//!
//! Owns whose a socket is and whether a destination reaches it; the words are in `listen_findings`.
//! Must never look at a socket itself.

use std::net::{IpAddr, SocketAddr};

use crate::core::findings::listen::forwarding::{Forwarding, destinations};
use crate::core::mesh::Mesh;

/// Where a socket listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether an IPv6 wildcard leaves IPv4 out; `None` where that could not be seen.
    pub v6only: Option<bool>,
}

impl Bound {
    /// Does the kernel hand a connection to `destination` to this socket? Where `v6only` is not
    /// known, Linux's default holds, which is no.
    #[must_use]
    pub fn accepts(self, destination: SocketAddr) -> bool {
        let (ours, theirs) = (self.address.ip().to_canonical(), destination.ip().to_canonical());
        let same_port = self.address.port() == destination.port();
        same_port
            && match (ours, theirs) {
                (IpAddr::V6(ip), IpAddr::V4(_)) => ip.is_unspecified() && self.v6only != Some(true),
                (IpAddr::V4(_), IpAddr::V6(_)) => false,
                _ => ours.is_unspecified() || ours == theirs,
            }
    }
}

/// What is known about the process behind a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process of this container.
    Here {
        /// Its command's name.
        command: String,
        /// Its id, as this container sees it.
        pid: u32,
    },
    /// A process of another container, in a pod that shares its process ids.
    Elsewhere,
    /// None of the processes that could be looked into, and all could be.
    Nobody,
    /// None of those that could be looked into, but not all could be.
    Unseen,
}

/// A listening socket of the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where it listens.
    pub bound: Bound,
    /// Who owns it, as our user namespace sees it.
    pub uid: u32,
    /// Which process has it.
    pub holder: Holder,
}

/// Whose a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The application's, certainly.
    Application,
    /// The application's or another container's: its process could not be seen.
    Unsure,
    /// Another container's, and not the proxy's.
    Neighbour,
    /// The proxy's; never blamed on the application.
    Proxy,
}

impl Owner {
    /// Is the application to answer for it?
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Application | Self::Unsure)
    }
}

/// Ports of Istio's that are only open with some of its features (istio: application requirements).
const ISTIO_SOMETIMES: [u16; 3] = [15004, 15008, 15053];

/// Is this port the proxy's in this mesh?
#[must_use]
pub fn is_reserved(mesh: Mesh, port: u16) -> bool {
    mesh.profile().owned_ports.contains(&port)
        || mesh == Mesh::Istio && ISTIO_SOMETIMES.contains(&port)
}

/// Whose `socket` is, where `proxy_uid` is the user that the proxy runs as.
#[must_use]
pub fn owner(socket: &Socket, mesh: Mesh, proxy_uid: Option<u32>) -> Owner {
    let by_user = proxy_uid == Some(socket.uid);
    let by_port = is_reserved(mesh, socket.bound.address.port());
    match socket.holder {
        // Where nothing separates the two (no containers at all), user and port together tell.
        Holder::Here { .. } if by_user && by_port => Owner::Proxy,
        Holder::Here { .. } => Owner::Application,
        _ if by_user || by_port => Owner::Proxy,
        Holder::Elsewhere | Holder::Nobody => Owner::Neighbour,
        Holder::Unseen => Owner::Unsure,
    }
}

/// Where the application can be reached, for who watches its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The ports of its listening sockets, sorted, each once.
    pub ports: Vec<u16>,
    /// Those of them that may be another container's: their process could not be seen.
    pub unsure: Vec<u16>,
}

/// The application's ports among `sockets`; `proxys` are ports that the user named as the proxy's.
#[must_use]
pub fn served(sockets: &[Socket], mesh: Mesh, proxy_uid: Option<u32>, proxys: &[u16]) -> Served {
    let ports = |is_wanted: fn(Owner) -> bool| {
        let wanted = sockets.iter().filter(|socket| is_wanted(owner(socket, mesh, proxy_uid)));
        let ports = wanted.map(|socket| socket.bound.address.port());
        let mut ports: Vec<u16> = ports.filter(|port| !proxys.contains(port)).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    };
    Served { ports: ports(Owner::is_ours), unsure: ports(|owner| owner == Owner::Unsure) }
}

/// What becomes of the traffic for one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Where the proxy sends it, and whether a socket takes it there; one for each family that
    /// clients may use. Empty where the target is no TCP socket.
    pub reached: Vec<(SocketAddr, bool)>,
}

impl Verdict {
    /// Whether all of it, a part of it or none of it arrives; all where there is nothing to judge.
    #[must_use]
    pub fn arrives(&self) -> Arrives {
        match self.reached.iter().filter(|(_, reached)| *reached).count() {
            count if count == self.reached.len() => Arrives::All,
            0 => Arrives::None,
            _ => Arrives::Partly,
        }
    }
}

/// How much of a port's traffic arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrives {
    /// Whichever of the pod's addresses the client uses.
    All,
    /// Only for one family of the pod's addresses.
    Partly,
    /// Nothing.
    None,
}

/// Judges the traffic that ends at `port`, where `bound` are all the sockets of the pod that could
/// take it.
#[must_use]
pub fn verdict(port: u16, bound: &[Bound], forwarding: &Forwarding, pod: &[IpAddr]) -> Verdict {
    let mut to: Vec<SocketAddr> = Vec::new();
    for destination in
        forwarding.targets(port).iter().flat_map(|target| destinations(target, port, pod))
    {
        if !to.contains(&destination) {
            to.push(destination);
        }
    }
    let taken = |destination: SocketAddr| bound.iter().any(|bound| bound.accepts(destination));
    Verdict {
        reached: to.into_iter().map(|destination| (destination, taken(destination))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::inbound_clusters::Target;
    use crate::core::findings::listen::forwarding::Source;

    fn bound(address: &str) -> Bound {
        let (text, v6only) =
            address.strip_suffix(" v6only").map_or((address, false), |text| (text, true));
        Bound { address: text.parse().unwrap(), v6only: Some(v6only) }
    }

    fn to(otherwise: Target) -> Forwarding {
        Forwarding { named: None, otherwise, source: Source::Default }
    }

    fn arrives(address: &str, target: Target, pod: &[&str]) -> Arrives {
        let pod: Vec<IpAddr> = pod.iter().map(|ip| ip.parse().unwrap()).collect();
        verdict(80, &[bound(address)], &to(target), &pod).arrives()
    }

    const V4: &[&str] = &["10.0.0.5"];
    const V6: &[&str] = &["fd00::5"];
    const BOTH: &[&str] = &["10.0.0.5", "fd00::5"];

    #[test]
    fn every_listen_address_has_the_measured_verdict_for_both_ways_of_forwarding() {
        use Arrives::{All, None, Partly};
        // Address; to loopback and to the pod: in an IPv4 pod, an IPv6 pod, a dual-stack pod.
        let table = [
            ("0.0.0.0:80", [All, None, All], [All, None, Partly]),
            ("[::]:80", [All, All, All], [All, All, All]),
            ("[::]:80 v6only", [None, All, None], [None, All, Partly]),
            ("127.0.0.1:80", [All, None, All], [None, None, None]),
            ("[::1]:80", [None, All, None], [None, None, None]),
            ("10.0.0.5:80", [None, None, None], [All, None, Partly]),
            ("[fd00::5]:80", [None, None, None], [None, All, Partly]),
            ("[::ffff:10.0.0.5]:80", [None, None, None], [All, None, Partly]),
            ("127.0.0.2:80", [None, None, None], [None, None, None]),
            ("10.0.0.6:80", [None, None, None], [None, None, None]),
            ("0.0.0.0:81", [None, None, None], [None, None, None]),
        ];
        for (address, loopback, pod) in table {
            for (index, addresses) in [V4, V6, BOTH].into_iter().enumerate() {
                assert_eq!(
                    arrives(address, Target::Loopback, addresses),
                    loopback[index],
                    "{address} {addresses:?}"
                );
                assert_eq!(
                    arrives(address, Target::Pod, addresses),
                    pod[index],
                    "{address} {addresses:?}"
                );
            }
        }
    }

    #[test]
    fn a_fixed_target_needs_its_own_address_and_port() {
        let fixed = |text: &str| Target::Fixed(text.parse().unwrap());
        assert_eq!(arrives("127.0.0.1:80", fixed("127.0.0.1:80"), BOTH), Arrives::All);
        assert_eq!(arrives("0.0.0.0:80", fixed("127.0.0.1:80"), V4), Arrives::All);
        assert_eq!(arrives("[::]:80", fixed("127.0.0.1:80"), V4), Arrives::All);
        assert_eq!(arrives("10.0.0.5:80", fixed("127.0.0.1:80"), V4), Arrives::None);
        assert_eq!(arrives("127.0.0.1:80", fixed("[::1]:80"), V4), Arrives::None);
        assert_eq!(arrives("127.0.0.1:80", Target::Other("unix:/a".to_owned()), V4), Arrives::All);
    }

    #[test]
    fn two_sockets_of_one_port_may_share_its_traffic() {
        let pod: Vec<IpAddr> = BOTH.iter().map(|ip| ip.parse().unwrap()).collect();
        let pair = [bound("0.0.0.0:80"), bound("[::]:80 v6only")];
        assert_eq!(verdict(80, &pair, &to(Target::Pod), &pod).arrives(), Arrives::All);
    }

    #[test]
    fn where_v6only_could_not_be_seen_linuxs_default_holds() {
        let unseen = Bound { address: "[::]:80".parse().unwrap(), v6only: None };
        assert!(unseen.accepts("10.0.0.5:80".parse().unwrap()));
    }

    fn owned(port: u16, uid: u32, holder: &Holder) -> Owner {
        let socket = Socket {
            bound: Bound { address: ([0, 0, 0, 0], port).into(), v6only: None },
            uid,
            holder: holder.clone(),
        };
        owner(&socket, Mesh::Istio, Some(1337))
    }

    #[test]
    fn the_ports_that_the_application_serves_are_those_of_its_own_sockets() {
        let here = Holder::Here { command: "app".to_owned(), pid: 7 };
        let socket = |port: u16, uid: u32, holder: &Holder| Socket {
            bound: Bound { address: ([0, 0, 0, 0], port).into(), v6only: None },
            uid,
            holder: holder.clone(),
        };
        let sockets = [
            socket(8080, 1000, &here),
            socket(8080, 1000, &here),
            socket(80, 1000, &here),
            socket(7000, 1000, &here),
            socket(9000, 1000, &Holder::Elsewhere),
            socket(9100, 1001, &Holder::Unseen),
            socket(15006, 1337, &Holder::Unseen),
        ];
        let served = served(&sockets, Mesh::Istio, Some(1337), &[7000]);
        assert_eq!(served, Served { ports: vec![80, 8080, 9100], unsure: vec![9100] });
    }

    #[test]
    fn the_proxys_sockets_are_never_the_applications() {
        let here = Holder::Here { command: "app".to_owned(), pid: 7 };
        let table = [
            (15006, 1337, &here, Owner::Proxy),
            (15006, 1000, &here, Owner::Application),
            (8080, 1337, &here, Owner::Application),
            (8080, 1000, &here, Owner::Application),
            (15090, 0, &Holder::Unseen, Owner::Proxy),
            (15053, 1000, &Holder::Nobody, Owner::Proxy),
            (34567, 1337, &Holder::Unseen, Owner::Proxy),
            (34567, 1337, &Holder::Elsewhere, Owner::Proxy),
            (8080, 1000, &Holder::Elsewhere, Owner::Neighbour),
            (8080, 1000, &Holder::Nobody, Owner::Neighbour),
            (8080, 1000, &Holder::Unseen, Owner::Unsure),
        ];
        for (port, uid, holder, expected) in table {
            assert_eq!(owned(port, uid, holder), expected, "{port} {uid} {holder:?}");
        }
    }
}
