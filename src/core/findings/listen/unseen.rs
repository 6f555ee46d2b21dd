//! What the judgement about listen addresses would rest on and could not be seen.
//!
//! Owns the sentences, and that only what mattered is told; must never judge.

use crate::core::findings::listen::cases::Facts;
use crate::core::findings::listen::forwarding::Source;
use crate::core::findings::pod::{Pod, Requested};
use crate::core::mesh::Mesh;
use crate::core::sockets::owner::{Holder, Owner};

/// All of it, where sockets are judged.
pub(super) fn all(facts: &Facts<'_>) -> Vec<String> {
    let sockets = &facts.pod.sockets;
    if let Some(unread) = &sockets.unread {
        return vec![format!("the pod's sockets: {unread}")];
    }
    let mut not_seen = of_forwarding(facts);
    let application = facts.pod.application();
    let is_unclear = |address: std::net::SocketAddr, v6only: Option<bool>| {
        address.is_ipv6() && address.ip().is_unspecified() && v6only.is_none()
    };
    if application.iter().any(|(socket, _)| is_unclear(socket.bound.address, socket.bound.v6only)) {
        not_seen.push(
            "which [::] sockets leave IPv4 out, since sock_diag does not answer: taken for open to \
             IPv4, too, as Linux's default is"
                .to_owned(),
        );
    }
    let mut unsure = application.iter().filter(|(_, owner)| *owner == Owner::Unsure).peekable();
    if unsure.peek().is_none() {
        return not_seen;
    }
    if let Some(unread) = &sockets.unread_holders {
        not_seen.push(format!("which process has which socket: {unread}"));
    } else if unsure.any(|(socket, _)| socket.holder == Holder::Unseen) {
        not_seen.push(format!(
            "the sockets of other users' processes ({}; run the check as the application's user): \
             a socket is taken for the application's unless its user or port is the proxy's",
            sockets.unseen_processes
        ));
    } else {
        not_seen.push(
            "which sockets are the application's, since no process of this container listens (is \
             it a debug container?): every socket is taken for it unless its user or port is the \
             proxy's"
                .to_owned(),
        );
    }
    not_seen
}

/// What the proxy knows of its pod. One sentence for all who ask, so that it is told once.
pub(super) fn manifest(pod: &Pod) -> Option<String> {
    let why = pod.manifest.why_not()?;
    Some(format!("the mesh's version, and which traffic is taken to the proxy: {why}"))
}

/// How traffic is forwarded, and to which addresses.
pub(super) fn of_forwarding(facts: &Facts<'_>) -> Vec<String> {
    let mut not_seen = Vec::new();
    let (pod, mesh) = (facts.pod, facts.pod.proxy.mesh);
    let Some(forwarding) = &facts.forwarding else {
        let how = pod.clusters.why_not().map(|why| format!(" ({why})")).unwrap_or_default();
        return vec![format!(
            "how the {mesh} proxy forwards inbound traffic{how}: listen addresses are judged by \
             the proxy's ports only"
        )];
    };
    let clusters = match (&pod.clusters, &pod.proxy.admin) {
        (Requested::Said(clusters), _) if !clusters.is_empty() => None,
        (Requested::Said(_), Some(admin)) => Some(format!("{admin}: the proxy has none yet")),
        (Requested::Not, None) => Some("there is no admin URL; add --admin-url".to_owned()),
        (clusters, _) => clusters.why_not(),
    };
    if let (Some(why), Mesh::Istio) = (clusters, mesh)
        && forwarding.source != Source::NoInterception
    {
        not_seen.push(format!(
            "the proxy's inbound clusters: {why}; which ports Services name is not known"
        ));
        not_seen.extend(manifest(pod));
    }
    if pod.addresses.all().is_empty() {
        let why = pod.addresses.unread.as_deref().unwrap_or("no interface has one");
        not_seen.push(format!("the pod's addresses, so that no listen address is judged: {why}"));
    }
    not_seen
}
