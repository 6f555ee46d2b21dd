//! What was read of one pod: each page, or why not.
//!
//! Owns the type, and the preconditions that several judges share; must never judge, and never ask.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::core::envoy::certs::Certs;
use crate::core::envoy::counters::Counters;
use crate::core::envoy::endpoints::Endpoints;
use crate::core::envoy::listeners::Listeners;
use crate::core::envoy::manifest::Manifest;
use crate::core::envoy::routes::Routes;
use crate::core::envoy::state::State;
use crate::core::envoy::usage::Usage;
use crate::core::findings::doctor::diagnosis::NotSeen;
use crate::core::findings::pod::Pod;
use crate::core::mesh::Mesh;
use crate::core::metrics::agent::AgentMetrics;
use crate::core::metrics::linkerd::Linkerd;
use crate::core::sockets::connection::Connection;
use crate::core::sockets::owner::Socket;
use crate::core::sorted::SortedSet;

/// A page, or why there is none.
pub type Read<T> = Result<T, NotSeen>;

/// How long after its start a proxy's clusters and routes may still be on their way.
const SETTLES_WITHIN: Duration = Duration::from_secs(10);

/// Everything that judges judge by.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Which mesh's proxy it is.
    pub mesh: Mesh,
    /// What time it was, since 1970.
    pub now: Duration,
    /// `/server_info`.
    pub manifest: Read<Manifest>,
    /// `/stats`.
    pub counters: Read<Counters>,
    /// `/stats` again, where something needs a second look: how much later, and what it said.
    pub later: Option<(Duration, Counters)>,
    /// The active and the rejected listeners.
    pub listeners: Read<Listeners>,
    /// The routes that somebody wrote.
    pub routes: Read<Routes>,
    /// The clusters that those routes lead to.
    pub endpoints: Read<AskedClusters>,
    /// `/certs`.
    pub certs: Read<Certs>,
    /// What somebody changed by hand in `/runtime`.
    pub runtime: Read<Vec<String>>,
    /// Secrets that the proxy waits for; asked only where it is not LIVE or has no certificate.
    pub warming_secrets: Read<Vec<String>>,
    /// Istio's agent.
    pub agent: Read<AgentMetrics>,
    /// Linkerd's proxy.
    pub linkerd: Read<Linkerd>,
    /// Which clusters were used (`--deep`).
    pub usage: Option<Read<Usage>>,
    /// The pod's sockets.
    pub sockets: Read<PodSockets>,
    /// This container.
    pub container: Read<Container>,
}

/// What the proxy said about the clusters that it was asked about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedClusters {
    /// By these names.
    pub names: SortedSet<String>,
    /// Those that it has.
    pub found: Endpoints,
    /// Those of them that have no endpoints by nature.
    pub original_destinations: SortedSet<String>,
    /// There were more names than are ever asked about.
    pub is_cut: bool,
}

/// The pod's TCP sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSockets {
    /// Those that are connected.
    pub connections: Vec<Connection>,
    /// Those that listen.
    pub listening: Vec<SocketAddr>,
    /// The pod's own addresses.
    pub addresses: Vec<IpAddr>,
    /// The user that the proxy runs as, as far as it is known.
    pub proxy_uid: Option<u32>,
    /// There are more connections than were read.
    pub is_cut: bool,
}

/// What can be seen of the application's container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// How long its oldest process but meshim has run.
    pub age: Option<Duration>,
    /// The names of its processes, each once.
    pub commands: SortedSet<String>,
}

impl PodSockets {
    /// Those of this pod, without its connections. Under TPROXY the proxy's sockets are root's, and
    /// so are its connections, whatever its user is.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        let own = pod.proxy.mesh.profile().owned_ports;
        let is_roots =
            |socket: &Socket| socket.uid == 0 && own.contains(&socket.bound.address.port());
        let all = &pod.sockets.all;
        Self {
            listening: all.iter().map(|socket| socket.bound.address).collect(),
            addresses: pod.addresses.all(),
            proxy_uid: if all.iter().any(is_roots) { Some(0) } else { pod.owners().proxy_uid() },
            ..Self::default()
        }
    }
}

impl Pages {
    /// A pod of which nothing could be read, for this reason.
    #[must_use]
    pub fn unread(mesh: Mesh, now: Duration, why: &NotSeen) -> Self {
        Self {
            mesh,
            now,
            manifest: Err(why.clone()),
            counters: Err(why.clone()),
            later: None,
            listeners: Err(why.clone()),
            routes: Err(why.clone()),
            endpoints: Err(why.clone()),
            certs: Err(why.clone()),
            runtime: Err(why.clone()),
            warming_secrets: Err(why.clone()),
            agent: Err(why.clone()),
            linkerd: Err(why.clone()),
            usage: None,
            sockets: Err(why.clone()),
            container: Err(why.clone()),
        }
    }

    /// Is all that the control plane sends there by now?
    ///
    /// # Errors
    /// [`NotSeen::Loading`], or why that cannot be told.
    pub fn settled(&self) -> Result<(), NotSeen> {
        let manifest = page(&self.manifest)?;
        let state = &manifest.server.state;
        let is_live = matches!(state, Some(State::Live | State::Draining));
        let warming = self.counters.as_ref().ok().and_then(|counters| counters.warming_clusters);
        let is_old = manifest.uptime.is_none_or(|uptime| uptime >= SETTLES_WITHIN);
        if is_live && is_old && warming.unwrap_or_default() == 0 {
            Ok(())
        } else {
            Err(NotSeen::Loading(state.clone()))
        }
    }

    /// Why a judge of another mesh's proxy has nothing to look at.
    #[must_use]
    pub fn not_this_mesh(&self) -> NotSeen {
        match (&self.manifest, self.mesh) {
            (Err(why), Mesh::None) => why.clone(),
            (_, mesh) => NotSeen::AnotherMesh(mesh),
        }
    }

    /// How long the proxy has run, in words: `3 h`; `its start` where that is unknown.
    #[must_use]
    pub fn since(&self) -> String {
        let uptime = self.manifest.as_ref().ok().and_then(|manifest| manifest.uptime);
        let counted = self.counters.as_ref().ok().and_then(|counters| counters.uptime);
        let uptime = uptime.or_else(|| counted.map(Duration::from_secs));
        uptime.map_or_else(
            || "since the proxy's start".to_owned(),
            |uptime| format!("in {}", super::when::spoken(uptime)),
        )
    }
}

/// The page, or why there is none, to be passed on with `?`.
///
/// # Errors
/// Why there is none.
pub fn page<T>(read: &Read<T>) -> Result<&T, NotSeen> {
    read.as_ref().map_err(Clone::clone)
}
