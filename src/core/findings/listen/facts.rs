//! What a judgement rests on, as a name and a sentence each, for a reader of the report.
//!
//! Owns these sentences; must never judge.

use crate::core::findings::listen::forwarding::Forwarding;
use crate::core::findings::listen::messages::spoken_ports;
use crate::core::findings::pod::Pod;
use crate::core::mesh::Mesh;
use crate::core::sockets::bound::Bound;
use crate::core::sockets::owner::Owner;

/// The facts of one pod, in the order in which a reader wants them.
#[must_use]
pub fn of(pod: &Pod) -> Vec<(&'static str, String)> {
    let addresses: Vec<String> = pod.addresses.all().iter().map(ToString::to_string).collect();
    let addresses =
        if addresses.is_empty() { "not known".to_owned() } else { addresses.join(", ") };
    let mut facts = vec![("mesh", mesh(pod))];
    facts.extend(
        pod.identity.map(|ours| ("identity", format!("user {}, group {}", ours.uid, ours.gid))),
    );
    facts.push(("pod addresses", addresses));
    facts.push(("listening", listening(pod)));
    facts.extend(Forwarding::of(pod).map(|forwarding| ("inbound traffic", forwarding.to_string())));
    facts
}

fn mesh(pod: &Pod) -> String {
    let version = pod.manifest.said().and_then(|manifest| manifest.server.istio_version.as_deref());
    match (pod.proxy.mesh, version) {
        (Mesh::None, _) if pod.is_ambient => {
            "none in this pod (ambient: the node's ztunnel carries the traffic)".to_owned()
        }
        (Mesh::None, _) => "none: no mesh's proxy listens in this pod".to_owned(),
        (mesh, Some(version)) => format!("{mesh} {version}"),
        (mesh, None) => mesh.to_string(),
    }
}

/// `0.0.0.0 port 8080; 127.0.0.1 ports 9000-9002`
fn listening(pod: &Pod) -> String {
    if pod.sockets.unread.is_some() {
        return "not known".to_owned();
    }
    let application = pod.application();
    let of = |whose: Owner| {
        let sockets = application.iter().filter(|(_, owner)| *owner == whose);
        places(sockets.map(|(socket, _)| socket.bound))
    };
    match (of(Owner::Application), of(Owner::Unsure)) {
        (ours, unsure) if ours.is_empty() && unsure.is_empty() => {
            "no process of this container listens on a TCP port".to_owned()
        }
        (ours, unsure) if unsure.is_empty() => ours,
        (ours, unsure) if ours.is_empty() => format!("{unsure}: {WHOSE}"),
        (ours, unsure) => format!("{ours}; and {unsure}: {WHOSE}"),
    }
}

/// What is not known of a socket whose process could not be seen.
const WHOSE: &str = "of the application or of other containers, which cannot be seen";

fn places(sockets: impl Iterator<Item = Bound>) -> String {
    let mut places: Vec<(String, Vec<u16>)> = Vec::new();
    for bound in sockets {
        let address = bound.address;
        let only = bound.v6only == Some(true) && address.ip().is_unspecified();
        let place = format!("{}{}", address.ip(), if only { " (IPv6 only)" } else { "" });
        match places.iter_mut().find(|(known, _)| *known == place) {
            Some((_, ports)) => ports.push(address.port()),
            None => places.push((place, vec![address.port()])),
        }
    }
    let each = places.iter().map(|(place, ports)| format!("{place} {}", spoken_ports(ports)));
    each.collect::<Vec<String>>().join("; ")
}
