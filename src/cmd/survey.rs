//! Gathers what listen addresses are judged by: sockets, their holders, the pod's addresses, how the proxy forwards.
//!
//! Everything that could not be seen is kept in words; nothing is guessed silently.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::core::endpoint::{Address, Endpoint};
use crate::core::envoy::{Answer, Fault};
use crate::core::findings::proxy_uid;
use crate::core::forwarding::Forwarding;
use crate::core::inbound::{self, Inbound};
use crate::core::listen::{Bound, Holder, Socket};
use crate::core::listen_findings::Facts;
use crate::core::mesh::{self, Detected, Mesh};
use crate::core::proxy::Proxy;
use crate::core::proxy_facts::ProxyFacts;
use crate::io::http::Client;
use crate::io::{addresses, owners, sock_diag, sockets};

/// The pod as it was seen.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) mesh: Mesh,
    /// Could the pod's sockets be read at all?
    readable: bool,
    /// Does the node's ztunnel carry this pod's traffic?
    pub(super) ambient: bool,
    pub(super) istio_version: Option<String>,
    /// The user that owns the proxy's sockets, where there are any.
    pub(super) proxy_owner: Option<u32>,
    pub(super) pod: Vec<IpAddr>,
    pub(super) forwarding: Option<Forwarding>,
    pub(super) sockets: Vec<Socket>,
    pub(super) not_seen: Vec<String>,
}

/// When `/server_info` is worth its price, which is 13 times that of `/ready`: one run asks for it twice at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerInfo {
    /// Somebody wants to read the version.
    Always,
    /// The version decides how inbound traffic is forwarded, or nothing else tells the pod's addresses.
    WhereNeeded,
    /// The version has been asked for before.
    ForAddresses,
}

impl ServerInfo {
    const fn is_worth_it(self, has_clusters: bool, has_addresses: bool) -> bool {
        match self {
            Self::Always => true,
            Self::WhereNeeded => !has_clusters || !has_addresses,
            Self::ForAddresses => !has_addresses,
        }
    }
}

impl Survey {
    /// Looks at everything. `given` is the proxy that the user named; `None` is learnt from what listens.
    pub(super) async fn of(given: Option<&Proxy>, request_timeout: Duration) -> Self {
        let mut survey = Self::of_sockets(given.map(|proxy| proxy.mesh));
        if given.is_none() && !survey.readable {
            survey.not_seen.push("which mesh this is, so no listen address is judged; name it with --mesh".to_owned());
        } else {
            let proxy = given.cloned().unwrap_or_else(|| Proxy::of(survey.mesh));
            survey.look_at_forwarding(&proxy, request_timeout, ServerInfo::Always).await;
        }
        survey.look_at_addresses();
        survey
    }

    /// Looks at what listens beside a known proxy, and at how that forwards: after start.
    pub(super) async fn of_listening(proxy: &Proxy, request_timeout: Duration) -> Self {
        let mut survey = Self::of_sockets(Some(proxy.mesh));
        survey.look_at_forwarding(proxy, request_timeout, ServerInfo::ForAddresses).await;
        survey.look_at_addresses();
        survey
    }

    /// Looks at nothing but how a known proxy forwards, and at the pod's addresses: before start.
    pub(super) async fn of_forwarding(proxy: &Proxy, request_timeout: Duration) -> Self {
        let mut survey = Self::new(proxy.mesh);
        survey.look_at_forwarding(proxy, request_timeout, ServerInfo::WhereNeeded).await;
        survey.look_at_addresses();
        survey
    }

    /// Looks at nothing but the sockets and whose they are.
    pub(super) fn of_sockets(given: Option<Mesh>) -> Self {
        let mut survey = Self::new(given.unwrap_or(Mesh::None));
        survey.readable = survey.look_at_sockets();
        if survey.readable && given.is_none() {
            survey.name_the_mesh();
        }
        survey.learn_the_proxys_owner();
        survey
    }

    const fn new(mesh: Mesh) -> Self {
        Self {
            mesh,
            readable: false,
            ambient: false,
            istio_version: None,
            proxy_owner: None,
            pod: Vec::new(),
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
            pod: &self.pod,
            forwarding: self.forwarding.as_ref(),
            sockets: &self.sockets,
            declared,
        }
    }

    fn name_the_mesh(&mut self) {
        let ports: Vec<u16> = self.sockets.iter().map(|socket| socket.bound.address.port()).collect();
        let detected = mesh::detect(&ports, &[]);
        self.ambient = detected == Detected::Ambient;
        self.mesh = if let Detected::Sidecar(mesh) = detected { mesh } else { Mesh::None };
    }

    /// `false` where they could not be read at all.
    fn look_at_sockets(&mut self) -> bool {
        let listening = match sockets::listening() {
            Ok(listening) => listening,
            Err(error) => {
                self.not_seen.push(format!(
                    "the pod's sockets: neither sock_diag nor /proc/net/tcp tells them: {error}; mount /proc"
                ));
                return false;
            }
        };
        let wildcard =
            |listener: &sockets::Listener| listener.address.is_ipv6() && listener.address.ip().is_unspecified();
        let v6only = if listening.iter().any(wildcard) { sock_diag::v6only() } else { Ok(Vec::new()) };
        let v6only = v6only.unwrap_or_else(|error| {
            let default = "taken for open to IPv4, too, as Linux's default is";
            self.not_seen.push(format!("which [::] sockets leave IPv4 out: sock_diag fails: {error}; {default}"));
            Vec::new()
        });
        let holders = owners::holders(Path::new("/proc"), listening.iter().map(|listener| listener.inode));
        if let Some(problem) = &holders.problem {
            self.not_seen.push(format!("which process has which socket: {problem}"));
        }
        if holders.unseen > 0 {
            self.not_seen.push(format!(
                "the sockets of {} processes of other users (run the check as the application's user): a socket is \
                 taken for the application's unless its user or port is the proxy's",
                holders.unseen
            ));
        }
        let v6only = |inode| v6only.iter().find(|known| known.0 == inode).map(|known| known.1);
        self.sockets.extend(listening.iter().map(|listener| Socket {
            bound: Bound { address: listener.address, v6only: v6only(listener.inode) },
            uid: listener.uid,
            holder: holders.of(listener.inode),
        }));
        true
    }

    /// From its sockets; an application that sits on one of its ports is not it.
    fn learn_the_proxys_owner(&mut self) {
        let ports = self.mesh.profile().owned_ports;
        let proxys = |socket: &&Socket| {
            ports.contains(&socket.bound.address.port()) && !matches!(socket.holder, Holder::Here { .. })
        };
        self.proxy_owner = self.sockets.iter().find(proxys).map(|socket| socket.uid);
    }

    /// The inbound clusters, else the version, else the default.
    async fn look_at_forwarding(&mut self, proxy: &Proxy, request_timeout: Duration, asks: ServerInfo) {
        let speaks_istio = matches!(self.mesh, Mesh::Istio | Mesh::Envoy);
        let (mut clusters, mut node) = (None, ProxyFacts::default());
        match proxy.admin.as_ref().filter(|_| speaks_istio) {
            Some(admin) => {
                let mut client = Client::new(admin.address.clone());
                clusters = self.inbound_clusters(&mut client, &admin.address, request_timeout).await;
                let needed = clusters.is_none();
                let has_addresses = addresses::of_interfaces().is_ok_and(|found| !found.is_empty());
                if asks.is_worth_it(!needed, has_addresses) {
                    node = self.node(&mut client, &admin.address, request_timeout, needed).await;
                }
            }
            None if self.mesh == Mesh::Istio => {
                self.not_seen.push("the proxy's inbound clusters: there is no admin URL; add --admin-url".to_owned());
            }
            None => {}
        }
        self.forwarding = Forwarding::of(self.mesh, clusters, node.istio_version.as_deref());
        if self.forwarding.is_none() {
            self.not_seen.push(format!(
                "how the {} proxy forwards inbound traffic: meshim knows that of Istio alone; listen addresses are \
                 judged by the proxy's ports only",
                self.mesh
            ));
        }
        self.istio_version = node.istio_version;
        self.pod = node.instance_ips;
    }

    async fn inbound_clusters(
        &mut self,
        client: &mut Client,
        admin: &Address,
        timeout: Duration,
    ) -> Option<Vec<Inbound>> {
        let answer = client.get(inbound::QUERY, Instant::now() + timeout).await;
        let why = match said(answer) {
            Ok(body) => match inbound::decode(&body) {
                Ok(clusters) => return Some(clusters),
                Err(error) => error.to_string(),
            },
            Err(why) => why,
        };
        let url = Endpoint { address: admin.clone(), path: "/config_dump".to_owned() };
        self.not_seen
            .push(format!("the proxy's inbound clusters: {url}: {why}; which ports Services name is not known"));
        None
    }

    /// What cannot be read is only worth a word where something was to rest on it.
    async fn node(&mut self, client: &mut Client, admin: &Address, timeout: Duration, needed: bool) -> ProxyFacts {
        match said(client.get("/server_info", Instant::now() + timeout).await) {
            Ok(body) => ProxyFacts::read(&body).unwrap_or_default(),
            Err(why) => {
                if needed {
                    let url = Endpoint { address: admin.clone(), path: "/server_info".to_owned() };
                    self.not_seen.push(format!("the mesh's version: {url}: {why}"));
                }
                ProxyFacts::default()
            }
        }
    }

    /// Where the proxy did not tell the pod's addresses, the interfaces do.
    fn look_at_addresses(&mut self) {
        if !self.pod.is_empty() {
            return;
        }
        match addresses::of_interfaces() {
            Ok(found) if !found.is_empty() => self.pod = found,
            Ok(_) => {
                self.not_seen
                    .push("the pod's addresses: no interface has one, so no listen address is judged".to_owned());
            }
            Err(error) => self.not_seen.push(format!("the pod's addresses, so no listen address is judged: {error}")),
        }
    }
}

fn said(answer: Result<Answer, Fault>) -> Result<Vec<u8>, String> {
    match answer {
        Ok(answer) if answer.status == 200 => Ok(answer.body),
        Ok(answer) if answer.status == 403 => Err("403, this path is locked (allow_paths?)".to_owned()),
        Ok(answer) => Err(format!("status {}", answer.status)),
        Err(fault) => Err(fault.to_string()),
    }
}
