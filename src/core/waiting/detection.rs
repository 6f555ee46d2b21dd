//! Which mesh the pod's listening sockets show.
//!
//! Owns how a sign is read: ports, owners, and which addresses count. A sign is a guess: the owner
//! of a socket confirms it, else an answer has to. Must never look at a socket itself.

use std::net::SocketAddr;

use crate::core::mesh::Mesh;
use crate::core::sockets::listener::Listener;

/// What ztunnel listens on inside an ambient pod (istio/ztunnel: `ARCHITECTURE.md`).
const ZTUNNEL: [u16; 3] = [15001, 15006, 15008];

/// What only a sidecar listens on; ztunnel has these in its own network namespace.
const SIDECAR_ONLY: [u16; 3] = [15000, 15020, 15021];

/// What the listening sockets of a pod show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// No proxy yet, or none at all.
    Nothing,
    /// Istio ambient: the node's ztunnel carries the traffic, there is nothing to wait for.
    Ambient,
    /// This mesh's proxy, or a program on its ports.
    Sidecar(Sign),
}

/// That a mesh's proxy seems to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// Whose proxy it would be.
    pub mesh: Mesh,
    /// How much that is worth.
    pub strength: Strength,
}

/// How much a sign is worth, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// One port of those that such a proxy listens on: anybody may have it.
    Lone,
    /// The ports that tell this mesh from all others.
    Ports,
    /// The mesh's own user owns one of its sockets: nobody else is that user.
    Owner,
}

/// Which mesh `listening` shows, other than those that an answer has `refuted`: a refutation does
/// not hold against the mesh's own user.
#[must_use]
pub fn detect(listening: &[Listener], refuted: &[Mesh]) -> Detected {
    let has = |port: &u16| listening.iter().any(|listener| listener.address.port() == *port);
    let signs = Mesh::ALL.iter().filter_map(|mesh| sign_of(*mesh, listening));
    let counts = |sign: &Sign| sign.strength == Strength::Owner || !refuted.contains(&sign.mesh);
    match signs.filter(|sign| sign.strength > Strength::Lone).find(counts) {
        Some(sign) => Detected::Sidecar(sign),
        None if ZTUNNEL.iter().all(has) && !SIDECAR_ONLY.iter().any(has) => Detected::Ambient,
        None => Detected::Nothing,
    }
}

/// Is anybody there who could be a proxy, on whatever little evidence? What is asked before a pod
/// is taken for one without a mesh.
#[must_use]
pub fn suspect(listening: &[Listener], refuted: &[Mesh]) -> Option<Sign> {
    let suspects = Mesh::ALL.iter().filter(|mesh| !refuted.contains(mesh));
    suspects.filter_map(|mesh| sign_of(*mesh, listening)).max_by_key(|sign| sign.strength)
}

/// The strongest sign of one mesh.
#[must_use]
pub fn sign_of(mesh: Mesh, listening: &[Listener]) -> Option<Sign> {
    let profile = mesh.profile();
    // A mesh that shows no signs has to be named.
    if profile.signs.is_empty() {
        return None;
    }
    let asked: Vec<u16> = asked_ports(mesh).collect();
    let listens = |port: &u16| {
        let counts = |at: SocketAddr| is_reached_by_loopback(at) || !asked.contains(port);
        listening
            .iter()
            .any(|listener| listener.address.port() == *port && counts(listener.address))
    };
    let is_owned = |listener: &Listener| {
        Some(listener.uid) == profile.uid
            && profile.owned_ports.contains(&listener.address.port())
            && listens(&listener.address.port())
    };
    let strength = if listening.iter().any(is_owned) {
        Strength::Owner
    } else if profile.signs.iter().any(|sign| sign.iter().all(listens)) {
        Strength::Ports
    } else if asked.iter().any(listens) {
        Strength::Lone
    } else {
        return None;
    };
    Some(Sign { mesh, strength })
}

/// The ports at which this mesh's proxy is asked. They are asked over loopback, so that only what
/// listens there counts: Kuma's 9901 on the pod's own address is a listener for the control plane.
fn asked_ports(mesh: Mesh) -> impl Iterator<Item = u16> {
    let profile = mesh.profile();
    let urls = profile.ready.iter().map(|ready| ready.url).chain(profile.admin);
    urls.filter_map(|url| {
        let authority = url.strip_prefix("http://")?.split('/').next()?;
        authority.rsplit_once(':')?.1.parse().ok()
    })
}

fn is_reached_by_loopback(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    ip.is_loopback() || ip.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, uid: u32) -> Listener {
        Listener { address: address.parse().unwrap(), uid, inode: 0, v6only: None }
    }

    fn on_loopback(ports: &[u16]) -> Vec<Listener> {
        ports.iter().map(|port| listener(&format!("127.0.0.1:{port}"), 1000)).collect()
    }

    fn sidecar(mesh: Mesh, strength: Strength) -> Detected {
        Detected::Sidecar(Sign { mesh, strength })
    }

    #[test]
    fn listening_ports_show_the_mesh() {
        let by_ports = |mesh| sidecar(mesh, Strength::Ports);
        let table: [(&[u16], Detected); 20] = [
            (&[], Detected::Nothing),
            (&[8080], Detected::Nothing),
            (&[15020], by_ports(Mesh::Istio)),
            (&[8080, 15000, 15001, 15006, 15020, 15021, 15090], by_ports(Mesh::Istio)),
            (&[15001, 15006, 15008, 15053], Detected::Ambient),
            (&[15001, 15006], Detected::Nothing),
            (&[15000, 15001, 15006, 15008], Detected::Nothing),
            (&[4140, 4143, 4191], by_ports(Mesh::Linkerd)),
            // Told to end before it had an identity.
            (&[4140, 4143], by_ports(Mesh::Linkerd)),
            (&[4191], Detected::Nothing),
            // Before the first configuration, with the lifecycle port of consul-k8s and of
            // consul-dataplane itself.
            (&[19000, 20600], by_ports(Mesh::Consul)),
            (&[19000, 20300], by_ports(Mesh::Consul)),
            (&[19000, 20000], by_ports(Mesh::Consul)),
            (&[19000], Detected::Nothing),
            (&[20000, 20600], Detected::Nothing),
            (&[9902], by_ports(Mesh::Kuma)),
            (&[9901, 15006], by_ports(Mesh::Kuma)),
            (&[9901], by_ports(Mesh::Envoy)),
            // Retired meshes have to be named.
            (&[9901, 15000, 15001], by_ports(Mesh::Envoy)),
            (&[15000, 15001, 15003], Detected::Nothing),
        ];
        for (listening, detected) in table {
            assert_eq!(detect(&on_loopback(listening), &[]), detected, "{listening:?}");
        }
    }

    #[test]
    fn the_owner_of_one_port_confirms_the_mesh() {
        for (address, uid, mesh) in [
            ("0.0.0.0:15021", 1337, Mesh::Istio),
            ("127.0.0.1:15000", 1337, Mesh::Istio),
            ("[::]:4191", 2102, Mesh::Linkerd),
            ("127.0.0.1:19000", 5995, Mesh::Consul),
            ("127.0.0.1:9901", 5678, Mesh::Kuma),
        ] {
            let listening = [listener(address, uid)];
            assert_eq!(detect(&listening, &[mesh]), sidecar(mesh, Strength::Owner), "{address}");
        }
        assert_eq!(detect(&[listener("0.0.0.0:8080", 1337)], &[]), Detected::Nothing);
    }

    #[test]
    fn a_port_that_is_asked_counts_where_loopback_reaches_it_and_others_everywhere() {
        assert_eq!(detect(&[listener("10.1.2.3:9901", 5678)], &[]), Detected::Nothing);
        assert_eq!(suspect(&[listener("10.1.2.3:9902", 5678)], &[]), None);
        for any in ["0.0.0.0:9901", "[::]:9901", "[::1]:9901", "[::ffff:127.0.0.1]:9901"] {
            let detected = detect(&[listener(any, 1)], &[]);
            assert_eq!(detected, sidecar(Mesh::Envoy, Strength::Ports), "{any}");
        }
        // Consul's public listener is on the pod's address.
        let consul = [listener("127.0.0.1:19000", 1), listener("10.1.2.3:20000", 1)];
        assert_eq!(detect(&consul, &[]), sidecar(Mesh::Consul, Strength::Ports));
    }

    #[test]
    fn a_refuted_guess_is_not_made_again() {
        let both = on_loopback(&[9901, 15020]);
        assert_eq!(detect(&both, &[Mesh::Istio]), sidecar(Mesh::Envoy, Strength::Ports));
        assert_eq!(detect(&on_loopback(&[9901]), &[Mesh::Envoy]), Detected::Nothing);
    }

    #[test]
    fn one_port_is_enough_for_a_suspicion() {
        for (port, mesh) in [(15000, Mesh::Istio), (4191, Mesh::Linkerd), (19000, Mesh::Consul)] {
            let listening = on_loopback(&[port, 8080]);
            let sign = Sign { mesh, strength: Strength::Lone };
            assert_eq!(suspect(&listening, &[]), Some(sign));
            assert_eq!(suspect(&listening, &[mesh]), None);
        }
        assert_eq!(suspect(&on_loopback(&[8080, 15001, 20000]), &[]), None);
    }
}
