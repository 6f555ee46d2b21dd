//! Gathers what listen addresses are judged by: sockets, their holders, the pod's addresses, how
//! the proxy forwards.
//!
//! Everything that could not be seen is kept in words; nothing is guessed silently.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::core::endpoint::Endpoint;
use crate::core::envoy::inbound_clusters::{InboundClusters, InboundClustersPage};
use crate::core::envoy::page::Page as _;
use crate::core::envoy::server_info::{ServerInfo, ServerInfoPage};
use crate::core::findings::identity::proxy_uid;
use crate::core::findings::listen::cases::Facts;
use crate::core::findings::listen::forwarding::Forwarding;
use crate::core::findings::listen::sockets::{Bound, Holder, Socket};
use crate::core::mesh::{self, Detected, Mesh};
use crate::core::proxy::Proxy;
use crate::io::admin::Admin;
use crate::io::sockets::listener::Listener;
use crate::io::sockets::{addresses, listening, owners};

/// The pod as it was seen.
#[derive(Debug)]
pub(super) struct Pod {
    pub(super) mesh: Mesh,
    /// Could the pod's sockets be read at all?
    pub(super) readable: bool,
    /// Does the node's ztunnel carry this pod's traffic?
    pub(super) ambient: bool,
    pub(super) istio_version: Option<String>,
    /// The user that owns the proxy's sockets, where there are any.
    pub(super) proxy_owner: Option<u32>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) sockets: Vec<Socket>,
    pub(super) not_seen: Vec<String>,
}

/// When `/server_info` is worth its price, which is 13 times that of `/ready`: one run asks for it
/// twice at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Somebody wants to read the version.
    Always,
    /// The version decides how inbound traffic is forwarded, or nothing else tells the pod's
    /// addresses.
    WhereNeeded,
    /// The version has been asked for before.
    ForAddresses,
}

impl Need {
    const fn is_worth_it(self, has_clusters: bool, has_addresses: bool) -> bool {
        match self {
            Self::Always => true,
            Self::WhereNeeded => !has_clusters || !has_addresses,
            Self::ForAddresses => !has_addresses,
        }
    }
}

impl Pod {
    /// Looks at everything. `given` is the proxy that the user named; `None` is learnt from what
    /// listens.
    pub(super) async fn of(given: Option<&Proxy>, request_timeout: Duration) -> Self {
        let mut pod = Self::of_sockets(given.map(|proxy| proxy.mesh));
        if given.is_none() && !pod.readable {
            pod.not_seen.push(
                "which mesh this is, so no listen address is judged; name it with --mesh"
                    .to_owned(),
            );
        } else {
            let proxy = given.cloned().unwrap_or_else(|| Proxy::of(pod.mesh));
            pod.look_at_forwarding(&proxy, request_timeout, Need::Always).await;
        }
        pod.look_at_addresses();
        pod
    }

    /// Looks at what listens beside a known proxy, and at how that forwards: after start.
    pub(super) async fn of_listening(proxy: &Proxy, request_timeout: Duration) -> Self {
        let mut pod = Self::of_sockets(Some(proxy.mesh));
        pod.look_at_forwarding(proxy, request_timeout, Need::ForAddresses).await;
        pod.look_at_addresses();
        pod
    }

    /// Looks at nothing but how a known proxy forwards, and at the pod's addresses: before start.
    pub(super) async fn of_forwarding(proxy: &Proxy, request_timeout: Duration) -> Self {
        let mut pod = Self::new(proxy.mesh);
        pod.look_at_forwarding(proxy, request_timeout, Need::WhereNeeded).await;
        pod.look_at_addresses();
        pod
    }

    /// Looks at nothing but the sockets and whose they are.
    pub(super) fn of_sockets(given: Option<Mesh>) -> Self {
        let mut pod = Self::new(given.unwrap_or(Mesh::None));
        pod.readable = pod.look_at_sockets();
        if pod.readable && given.is_none() {
            pod.name_the_mesh();
        }
        pod.learn_the_proxys_owner();
        pod
    }

    const fn new(mesh: Mesh) -> Self {
        Self {
            mesh,
            readable: false,
            ambient: false,
            istio_version: None,
            proxy_owner: None,
            addresses: Vec::new(),
            forwarding: None,
            sockets: Vec::new(),
            not_seen: Vec::new(),
        }
    }

    /// All that the judgement needs.
    pub(super) fn facts<'a>(&'a self, declared: &'a [SocketAddr]) -> Facts<'a> {
        Facts {
            mesh: self.mesh,
            proxy_uid: proxy_uid(self.mesh, self.proxy_owner),
            pod: &self.addresses,
            forwarding: self.forwarding.as_ref(),
            sockets: &self.sockets,
            declared,
        }
    }

    fn name_the_mesh(&mut self) {
        let ports: Vec<u16> =
            self.sockets.iter().map(|socket| socket.bound.address.port()).collect();
        let detected = mesh::detect(&ports, &[]);
        self.ambient = detected == Detected::Ambient;
        self.mesh = if let Detected::Sidecar(mesh) = detected { mesh } else { Mesh::None };
    }

    /// `false` where they could not be read at all.
    fn look_at_sockets(&mut self) -> bool {
        let listening = match listening::listening() {
            Ok(listening) => listening,
            Err(error) => {
                self.not_seen.push(format!(
                    "the pod's sockets: neither sock_diag nor /proc/net/tcp tells them: {error}; \
                     mount /proc"
                ));
                return false;
            }
        };
        let holders =
            owners::holders(Path::new("/proc"), listening.iter().map(|listener| listener.inode));
        if let Some(problem) = &holders.problem {
            self.not_seen.push(format!("which process has which socket: {problem}"));
        }
        if holders.unseen > 0 {
            self.not_seen.push(format!(
                "the sockets of {} processes of other users (run the check as the application's \
                 user): a socket is \
                 taken for the application's unless its user or port is the proxy's",
                holders.unseen
            ));
        }
        let is_unclear = |listener: &Listener| {
            listener.address.is_ipv6()
                && listener.address.ip().is_unspecified()
                && listener.v6only.is_none()
        };
        if listening.iter().any(is_unclear) {
            self.not_seen.push(
                "which [::] sockets leave IPv4 out, since sock_diag does not answer: taken for \
                 open to IPv4, too, as Linux's default is"
                    .to_owned(),
            );
        }
        self.sockets.extend(listening.iter().map(|listener| Socket {
            bound: Bound { address: listener.address, v6only: listener.v6only },
            uid: listener.uid,
            holder: holders.of(listener.inode),
        }));
        true
    }

    /// From its sockets; an application that sits on one of its ports is not it.
    fn learn_the_proxys_owner(&mut self) {
        let ports = self.mesh.profile().owned_ports;
        let proxys = |socket: &&Socket| {
            ports.contains(&socket.bound.address.port())
                && !matches!(socket.holder, Holder::Here { .. })
        };
        self.proxy_owner = self.sockets.iter().find(proxys).map(|socket| socket.uid);
    }

    /// The inbound clusters, else the version, else the default.
    async fn look_at_forwarding(&mut self, proxy: &Proxy, request_timeout: Duration, asks: Need) {
        let speaks_istio = matches!(self.mesh, Mesh::Istio | Mesh::Envoy);
        let (mut clusters, mut node) = (None, ServerInfo::default());
        match proxy.admin.as_ref().filter(|_| speaks_istio) {
            Some(admin) => {
                let mut admin = Admin::new(admin);
                clusters = self.inbound_clusters(&mut admin, request_timeout).await;
                let needed = clusters.is_none();
                let has_addresses = addresses::of_interfaces().is_ok_and(|found| !found.is_empty());
                if asks.is_worth_it(!needed, has_addresses) {
                    node = self.node(&mut admin, request_timeout, needed).await;
                }
            }
            None if self.mesh == Mesh::Istio => {
                self.not_seen.push(
                    "the proxy's inbound clusters: there is no admin URL; add --admin-url"
                        .to_owned(),
                );
            }
            None => {}
        }
        self.forwarding = Forwarding::of(self.mesh, clusters, node.istio_version.as_deref());
        if self.forwarding.is_none() {
            self.not_seen.push(format!(
                "how the {} proxy forwards inbound traffic: meshim knows that of Istio alone; \
                 listen addresses are \
                 judged by the proxy's ports only",
                self.mesh
            ));
        }
        self.istio_version = node.istio_version;
        self.addresses = node.instance_ips;
    }

    async fn inbound_clusters(
        &mut self,
        admin: &mut Admin,
        timeout: Duration,
    ) -> Option<InboundClusters> {
        let why = match admin.read::<InboundClustersPage>(Instant::now() + timeout).await {
            Ok(clusters) if !clusters.is_empty() => return Some(clusters),
            Ok(_) => "the proxy has none yet".to_owned(),
            Err(unread) => unread.to_string(),
        };
        let url = admin.url::<InboundClustersPage>();
        self.not_seen.push(format!(
            "the proxy's inbound clusters: {url}: {why}; which ports Services name is not known"
        ));
        None
    }

    /// What cannot be read is only worth a word where something was to rest on it.
    async fn node(&mut self, admin: &mut Admin, timeout: Duration, needed: bool) -> ServerInfo {
        let read = admin.read::<ServerInfoPage>(Instant::now() + timeout).await;
        read.unwrap_or_else(|unread| {
            if needed {
                let url = admin.url::<ServerInfoPage>();
                self.not_seen.push(format!("the mesh's version: {url}: {unread}"));
            }
            ServerInfo::default()
        })
    }

    /// Where the proxy did not tell the pod's addresses, the interfaces do.
    fn look_at_addresses(&mut self) {
        if !self.addresses.is_empty() {
            return;
        }
        match addresses::of_interfaces() {
            Ok(found) if !found.is_empty() => self.addresses = found,
            Ok(_) => {
                self.not_seen.push(
                    "the pod's addresses: no interface has one, so no listen address is judged"
                        .to_owned(),
                );
            }
            Err(error) => self
                .not_seen
                .push(format!("the pod's addresses, so no listen address is judged: {error}")),
        }
    }
}

/// Reads `/server_info`; `None`, and a word in the log, where that fails.
pub(super) async fn read_server_info(admin: &Endpoint) -> Option<ServerInfo> {
    let mut admin = Admin::new(admin);
    match admin.read::<ServerInfoPage>(Instant::now() + ServerInfoPage::WITHIN).await {
        Ok(facts) => {
            let envoy = facts.envoy_version.as_deref().unwrap_or("unknown");
            let istio = facts.istio_version.as_deref().unwrap_or("none");
            tracing::debug!(envoy, istio, native = facts.is_native(), lifetime = ?facts.lifetime(), "proxy facts");
            Some(facts)
        }
        Err(unread) => {
            let url = admin.url::<ServerInfoPage>();
            tracing::debug!("{url} says nothing about the proxy: {unread}");
            None
        }
    }
}

/// The proxy that the user gave, or whose ports are open now.
pub(super) fn proxy_now(given: Option<&Proxy>) -> Option<Proxy> {
    if given.is_some() {
        return given.cloned();
    }
    let ports: Vec<u16> =
        listening::listening().ok()?.iter().map(|listener| listener.address.port()).collect();
    match mesh::detect(&ports, &[]) {
        Detected::Sidecar(mesh) => Some(Proxy::of(mesh)),
        Detected::Ambient | Detected::Nothing => None,
    }
}
