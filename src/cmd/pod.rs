//! One look at the pod: which proxy, which sockets, what the proxy says.
//!
//! Owns what is asked for, and in which order; must never judge it. What could not be seen is kept
//! as such.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::config::CheckSettings;
use crate::core::endpoint::Endpoint;
use crate::core::envoy::inbound_clusters::InboundClustersPage;
use crate::core::envoy::init_dump::InitDump;
use crate::core::envoy::manifest::ManifestPage;
use crate::core::envoy::page::Page;
use crate::core::envoy::server_info::{ServerInfo, ServerInfoPage};
use crate::core::findings::judged::Judged;
use crate::core::findings::listen::judge::{before_start, for_real, wants_the_manifest};
use crate::core::findings::pod::{
    Addresses, Expected, ListeningSockets, Pod, ReadinessFacts, Requested,
};
use crate::core::mesh::Mesh;
use crate::core::profile::{Expect, Ready};
use crate::core::profiles::ENVOYS_WORDS;
use crate::core::proxy::Proxy;
use crate::core::sockets::bound::Bound;
use crate::core::sockets::listener::Listener;
use crate::core::sockets::owner::{self, Holder, Socket};
use crate::core::waiting::detection::{self, Detected};
use crate::core::waiting::observation::{self, Observation, Trust};
use crate::io::admin::Admin;
use crate::io::http::client::Client;
use crate::io::identity;
use crate::io::sockets::{addresses, listening, owners};

/// Looks at everything that `check` judges.
pub(super) async fn look(settings: &CheckSettings) -> Pod {
    let sockets = sockets(|_| true);
    let timeout = settings.request_timeout;
    let detected = detection::detect(&listeners(&sockets), &[]);
    let given = &settings.given;
    let (proxy, expected) = match (given.mesh, detected) {
        (Some(mesh), _) => (Proxy::at(mesh, given), Expected::ByUser),
        (None, Detected::Sidecar(sign)) => (Proxy::at(sign.mesh, given), Expected::ByNobody),
        (None, _) => match Proxy::of_urls(given) {
            Some(proxy) => (proxy, Expected::ByUser),
            None if settings.injected == Some(true) => {
                (Proxy::of(Mesh::None), Expected::ByInjector)
            }
            None => (Proxy::of(Mesh::None), Expected::ByNobody),
        },
    };
    let mut pod = Pod {
        expected,
        is_ambient: given.mesh.is_none() && detected == Detected::Ambient,
        identity: Some(identity::own()),
        sockets,
        declared: settings.listen.clone(),
        ..Pod::of(proxy)
    };
    pod.readiness = readiness(&pod.proxy, timeout).await;
    pod.clusters = clusters(&pod.proxy, timeout).await;
    pod.manifest = manifest(&pod.proxy, timeout).await;
    pod.addresses = addresses(&pod.manifest);
    pod
}

/// Who this process is, beside whatever listens by now.
pub(super) fn of_identity(proxy: Proxy) -> Pod {
    let mut pod = Pod { in_its_container: true, ..Pod::of(proxy) };
    pod.identity = Some(identity::own());
    if pod.proxy.mesh.profile().uid.is_some() {
        pod.sockets = sockets(|_| false);
    }
    pod
}

/// Who listens beside a known proxy, seen from the container that the application was started in.
pub(super) fn of_sockets(proxy: Proxy) -> Pod {
    Pod { in_its_container: true, sockets: sockets(|_| true), ..Pod::of(proxy) }
}

/// Judges where the application is going to listen, by how a proxy that is ready forwards.
pub(super) async fn judge_before_start(
    proxy: &Proxy,
    declared: &[SocketAddr],
    timeout: Duration,
) -> Judged {
    let mut pod = Pod { in_its_container: true, ..Pod::of(proxy.clone()) };
    pod.declared = declared.to_vec();
    // Whose a socket is matters only where it is in the way.
    pod.sockets = sockets(|listener| {
        declared.iter().any(|address| address.port() == listener.address.port())
    });
    judge(pod, before_start, timeout).await
}

/// Judges where the application listens, once it has started.
pub(super) async fn judge_for_real(
    proxy: &Proxy,
    declared: &[SocketAddr],
    timeout: Duration,
) -> Judged {
    let mut pod = of_sockets(proxy.clone());
    pod.declared = declared.to_vec();
    judge(pod, for_real, timeout).await
}

async fn judge(mut pod: Pod, judge: fn(&Pod) -> Judged, timeout: Duration) -> Judged {
    pod.clusters = clusters(&pod.proxy, timeout).await;
    pod.addresses = addresses(&pod.manifest);
    let judged = judge(&pod);
    if !wants_the_manifest(&pod, &judged) {
        return judged;
    }
    pod.manifest = manifest(&pod.proxy, timeout).await;
    pod.addresses = addresses(&pod.manifest);
    judge(&pod)
}

/// The pod's listening sockets, and the processes that hold those that are `wanted`.
fn sockets(wanted: impl Fn(&Listener) -> bool) -> ListeningSockets {
    let listening = match listening::listening() {
        Ok(listening) => listening,
        Err(error) => {
            let unread =
                format!("neither sock_diag nor /proc/net/tcp tells them: {error}; mount /proc");
            return ListeningSockets { unread: Some(unread), ..ListeningSockets::default() };
        }
    };
    let wanted: Vec<u64> = listening
        .iter()
        .filter(|listener| wanted(listener))
        .map(|listener| listener.inode)
        .collect();
    let holders =
        (!wanted.is_empty()).then(|| owners::holders(Path::new("/proc"), wanted.iter().copied()));
    let holder = |inode: u64| match &holders {
        Some(holders) if wanted.contains(&inode) => holders.of(inode),
        _ => Holder::Unseen,
    };
    let all = listening.iter().map(|listener| Socket {
        bound: Bound { address: listener.address, v6only: listener.v6only },
        uid: listener.uid,
        holder: holder(listener.inode),
    });
    ListeningSockets {
        all: all.collect(),
        unread: None,
        unread_holders: holders.as_ref().and_then(|holders| holders.problem.clone()),
        unseen_processes: holders.as_ref().map_or(0, |holders| holders.unseen),
    }
}

async fn readiness(proxy: &Proxy, timeout: Duration) -> ReadinessFacts {
    let mut readiness = ReadinessFacts::default();
    if let Some(cheap) = &proxy.cheap {
        let cheap = Ready { url: cheap.clone(), expect: Expect::Says(ENVOYS_WORDS) };
        readiness.cheap = Some((cheap.clone(), observe(&cheap, timeout).await));
    }
    for ready in &proxy.ready {
        readiness.endpoints.push((ready.clone(), observe(ready, timeout).await));
    }
    let mut seen = readiness.cheap.iter().chain(&readiness.endpoints).map(|(_, seen)| seen);
    let waits = seen.any(|seen| matches!(seen, Observation::NotReady { .. }));
    if let (Some(admin), true) = (&proxy.admin, waits) {
        let read = Admin::new(admin).read::<InitDump>(Instant::now() + timeout).await;
        readiness.unready = read.unwrap_or_default();
    }
    readiness
}

async fn observe(ready: &Ready<Endpoint>, timeout: Duration) -> Observation {
    let until = Instant::now() + timeout;
    if ready.expect == Expect::ServerInfo {
        let mut admin = Admin::new(&ready.url);
        return observation::of_server_info(admin.read::<ServerInfoPage>(until).await);
    }
    let mut client = Client::new(ready.url.address.clone());
    let answer = client.get(&ready.url.path, until).await;
    observation::decode(ready.expect, Trust::Certain, answer)
}

/// The inbound clusters of a proxy whose clusters have names that meshim knows.
async fn clusters(
    proxy: &Proxy,
    timeout: Duration,
) -> Requested<<InboundClustersPage as Page>::Content> {
    if !matches!(proxy.mesh, Mesh::Istio | Mesh::Envoy) {
        return Requested::Not;
    }
    ask::<InboundClustersPage>(proxy, timeout).await
}

async fn manifest(proxy: &Proxy, timeout: Duration) -> Requested<<ManifestPage as Page>::Content> {
    ask::<ManifestPage>(proxy, timeout).await
}

async fn ask<P: Page>(proxy: &Proxy, timeout: Duration) -> Requested<P::Content> {
    let Some(admin) = &proxy.admin else { return Requested::Not };
    let mut admin = Admin::new(admin);
    match admin.read::<P>(Instant::now() + timeout).await {
        Ok(said) => Requested::Said(said),
        Err(unread) => Requested::Unread(admin.url::<P>(), unread),
    }
}

fn addresses(manifest: &Requested<<ManifestPage as Page>::Content>) -> Addresses {
    let own = manifest.said().map(|manifest| manifest.server.instance_ips.clone());
    let own = own.unwrap_or_default();
    match addresses::of_interfaces() {
        Ok(of_interfaces) => Addresses { own, of_interfaces, unread: None },
        Err(error) => Addresses { own, of_interfaces: Vec::new(), unread: Some(error.to_string()) },
    }
}

/// The same sockets as detection takes them.
fn listeners(sockets: &ListeningSockets) -> Vec<Listener> {
    let listener = |socket: &Socket| Listener {
        address: socket.bound.address,
        uid: socket.uid,
        inode: 0,
        v6only: socket.bound.v6only,
    };
    sockets.all.iter().map(listener).collect()
}

/// Reads `/server_info`; `None`, and a line in the log, where that fails.
pub(super) async fn read_server_info(admin: &Endpoint) -> Option<ServerInfo> {
    let mut admin = Admin::new(admin);
    match admin.read::<ServerInfoPage>(Instant::now() + ServerInfoPage::WITHIN).await {
        Ok(facts) => {
            let envoy = facts.envoy_version.as_deref().unwrap_or("unknown");
            let istio = facts.istio_version.as_deref().unwrap_or("none");
            let (native, lifetime) = (facts.is_native(), facts.lifetime());
            tracing::debug!(envoy, istio, native, ?lifetime, "proxy facts");
            Some(facts)
        }
        Err(unread) => {
            let url = admin.url::<ServerInfoPage>();
            tracing::debug!("{url} says nothing about the proxy: {unread}");
            None
        }
    }
}

/// Does anybody listen where this proxy is?
pub(super) fn listens(proxy: &Proxy) -> bool {
    listener_of(proxy).is_some()
}

/// The user whose sockets listen where only this proxy does: on its mesh's ports, or where the user
/// says that it is.
pub(super) fn owner_of(proxy: &Proxy) -> Option<u32> {
    listener_of(proxy).map(|listener| listener.uid)
}

fn listener_of(proxy: &Proxy) -> Option<Listener> {
    owner::listener_of(proxy, &listening::listening().ok()?).copied()
}
