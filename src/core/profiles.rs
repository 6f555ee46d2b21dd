//! What is known about each mesh's proxy, as data: one profile a mesh.
//!
//! Owns the profiles, with the sources of their numbers and words; must never look at a socket, and
//! must not know which of them is meant.

/// What is known about one mesh's proxy, seen from inside the pod.
#[derive(Debug)]
pub struct Profile {
    /// The name that `--mesh` takes.
    pub name: &'static str,
    /// Who configures the proxy.
    pub control_plane: &'static str,
    /// The program that starts Envoy, where that is not Envoy itself.
    pub agent: Option<Agent>,
    /// Envoy's admin API, where the application's container can reach one.
    pub admin: Option<&'static str>,
    /// Where readiness is asked, in the order to try; the first that gives the proxy's own word
    /// decides.
    pub ready: &'static [Ready<&'static str>],
    /// What to POST to end the proxy, in the order to try; one that agrees is enough.
    pub quit: &'static [&'static str],
    /// The user id that the mesh's traffic rules let pass.
    pub uid: Option<u32>,
    /// The group id that they let pass.
    pub gid: Option<u32>,
    /// Ports that only the proxy listens on: their sockets' owner is the proxy's user.
    pub owned_ports: &'static [u16],
    /// Sets of listening ports, any of which shows this mesh before it has got a configuration.
    /// None for a mesh that has to be named.
    pub signs: &'static [&'static [u16]],
}

/// The program of a sidecar that starts Envoy, and may run while Envoy does not.
#[derive(Clone, Copy, Debug)]
pub struct Agent {
    /// What it is called.
    pub name: &'static str,
    /// The port on which it listens as soon as it runs.
    pub port: u16,
    /// The container to look at.
    pub container: &'static str,
}

/// A readiness endpoint and what it says when the proxy is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready<T> {
    /// Where.
    pub url: T,
    /// What "ready" looks like there.
    pub expect: Expect,
}

/// What makes an answer mean "ready".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Status 200, whatever the body: a URL of the user's own.
    Ok,
    /// Status 200 to 399, as the kubelet judges an httpGet probe: `--wait-for http://`.
    Healthy,
    /// A connection is taken, as the kubelet judges a tcpSocket probe: `--wait-for tcp://`.
    Accepts,
    /// One of these words means ready.
    Says(&'static [Word]),
    /// Envoy's `/server_info`: 200 and `state` is `LIVE`. Costs the proxy 13 times what `/ready`
    /// does.
    ServerInfo,
}

/// One answer that a proxy gives at its readiness endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word {
    /// With this status.
    pub status: u16,
    /// With this body, white space around it apart; `None` is any.
    pub body: Option<&'static str>,
    /// From a server that calls itself this (`server`, else `x-powered-by`).
    pub server: Option<&'static str>,
    /// What it means.
    pub means: Means,
}

/// What a word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The proxy is ready.
    Ready,
    /// The proxy is not.
    NotReady,
    /// The program that starts the proxy runs; that says nothing about the proxy.
    AgentRuns,
    /// The proxy does not let us see it yet. Another server could answer the same.
    Withheld,
}

const fn word(status: u16, body: &'static str, server: Option<&'static str>, means: Means) -> Word {
    Word { status, body: Some(body), server, means }
}

const fn any_body(status: u16, server: &'static str, means: Means) -> Word {
    Word { status, body: None, server: Some(server), means }
}

const BY_ENVOY: Option<&str> = Some("envoy");

/// Envoy's `/ready` (envoy: `server_info_handler.cc`, `handlerReady`).
pub const ENVOYS_WORDS: &[Word] = &[
    word(200, "LIVE", BY_ENVOY, Means::Ready),
    word(503, "PRE_INITIALIZING", BY_ENVOY, Means::NotReady),
    word(503, "INITIALIZING", BY_ENVOY, Means::NotReady),
    word(503, "DRAINING", BY_ENVOY, Means::NotReady),
];

/// The agent's `/healthz/ready` through a listener of Envoy's, which writes the header
/// (`envoy_bootstrap.json`). Without a word, or with Envoy's own where the agent does not answer.
const ISTIOS_WORDS: &[Word] =
    &[any_body(200, "envoy", Means::Ready), any_body(503, "envoy", Means::NotReady)];

/// linkerd2-proxy (`linkerd/app/admin/src/server.rs`). Until its inbound policy has arrived, or
/// where that forbids it, each path is refused without a body (seen with `defaultInboundPolicy:
/// deny`).
const LINKERDS_WORDS: &[Word] = &[
    word(200, "ready", None, Means::Ready),
    word(503, "not ready", None, Means::NotReady),
    word(403, "", None, Means::Withheld),
    word(404, "", None, Means::Withheld),
];

/// kuma-dp's readiness reporter (`app/kuma-dp/pkg/dataplane/readiness/component.go`), which hands
/// on Envoy's own answer where Envoy's admin API is a Unix socket. Where it is a TCP port, `READY`
/// means that kuma-dp runs: seen up to seven seconds before Envoy was LIVE.
const KUMAS_WORDS: &[Word] = &[
    word(200, "LIVE", BY_ENVOY, Means::Ready),
    word(200, "READY", Some("kuma-dp"), Means::AgentRuns),
    word(503, "NOT_READY", Some("kuma-dp"), Means::NotReady),
    word(503, "TERMINATING", Some("kuma-dp"), Means::NotReady),
    word(503, "envoy not ready", None, Means::NotReady),
    word(503, "PRE_INITIALIZING", BY_ENVOY, Means::NotReady),
    word(503, "INITIALIZING", BY_ENVOY, Means::NotReady),
    word(503, "DRAINING", BY_ENVOY, Means::NotReady),
];

const fn says(url: &'static str, words: &'static [Word]) -> Ready<&'static str> {
    Ready { url, expect: Expect::Says(words) }
}

/// istio: `envoy_bootstrap.json`, `pilot/cmd/pilot-agent/status/server.go`, injection template. The
/// agent's `/quitquitquit` ends agent and Envoy; where it is missing, an agent whose Envoy has
/// ended ends, too.
pub const ISTIO: Profile = Profile {
    name: "istio",
    control_plane: "istiod",
    agent: Some(Agent { name: "pilot-agent", port: 15020, container: "istio-proxy" }),
    admin: Some("http://localhost:15000"),
    ready: &[says("http://localhost:15021/healthz/ready", ISTIOS_WORDS)],
    quit: &["http://localhost:15020/quitquitquit", "http://localhost:15000/quitquitquit"],
    uid: Some(1337),
    gid: Some(1337),
    owned_ports: &[15000, 15001, 15006, 15020, 15021, 15090],
    signs: &[&[15020], &[15000, 15021]],
};

/// linkerd2-proxy: admin server on 4191, outbound 4140, inbound 4143, all from its first
/// milliseconds on; its group is not set. A proxy that is told to end before it has an identity
/// closes 4191 alone.
pub const LINKERD: Profile = Profile {
    name: "linkerd",
    control_plane: "linkerd's identity and destination service",
    agent: None,
    admin: None,
    ready: &[says("http://localhost:4191/ready", LINKERDS_WORDS)],
    quit: &["http://localhost:4191/shutdown"],
    uid: Some(2102),
    gid: None,
    owned_ports: &[4140, 4143, 4190, 4191],
    signs: &[&[4143, 4191], &[4140, 4143]],
};

/// consul-k8s: the first service's admin port is 19000, its public listener 20000, which comes with
/// the first configuration. consul-dataplane's lifecycle server comes with Envoy: on 20600 as
/// consul-k8s sets it, on 20300 by its own default. Before a Consul server has answered, nothing
/// listens. Envoy's own end ends consul-dataplane at once; `/graceful_shutdown` would cost a Job
/// the 30 s of its grace period, and any method does it.
pub const CONSUL: Profile = Profile {
    name: "consul",
    control_plane: "the Consul server",
    agent: Some(Agent { name: "consul-dataplane", port: 20600, container: "consul-dataplane" }),
    admin: Some("http://localhost:19000"),
    ready: &[says("http://localhost:19000/ready", ENVOYS_WORDS)],
    quit: &["http://localhost:19000/quitquitquit", "http://localhost:20600/graceful_shutdown"],
    uid: Some(5995),
    gid: Some(5995),
    owned_ports: &[19000, 20000, 20300, 20600],
    signs: &[&[19000, 20600], &[19000, 20000], &[19000, 20300]],
};

/// kuma: readiness reporter on 9902 (the only one from 2.14 on, where the admin API moved to a Unix
/// socket of the sidecar's container), the admin API on 127.0.0.1:9901 before. 9901 on the pod's
/// own address is a listener for the control plane. Before kuma-cp has answered, nothing listens.
pub const KUMA: Profile = Profile {
    name: "kuma",
    control_plane: "kuma-cp",
    agent: Some(Agent { name: "kuma-dp", port: 9902, container: "kuma-sidecar" }),
    admin: None,
    ready: &[
        says("http://localhost:9902/ready", KUMAS_WORDS),
        says("http://localhost:9901/ready", ENVOYS_WORDS),
    ],
    quit: &["http://localhost:9901/quitquitquit"],
    uid: Some(5678),
    gid: Some(5678),
    owned_ports: &[9901, 9902, 15001, 15006],
    signs: &[&[9902], &[9901, 15006]],
};

/// aws-app-mesh, retired, so only by name: admin on 9901; 15000 is the ingress for traffic here,
/// not an admin API.
pub const APPMESH: Profile = Profile {
    name: "appmesh",
    control_plane: "the App Mesh endpoint",
    agent: None,
    admin: Some("http://localhost:9901"),
    ready: &[says("http://localhost:9901/ready", ENVOYS_WORDS)],
    quit: &["http://localhost:9901/quitquitquit"],
    uid: Some(1337),
    gid: None,
    owned_ports: &[9901, 15000, 15001],
    signs: &[],
};

/// osm, archived, so only by name: admin on 15000, inbound 15003.
pub const OSM: Profile = Profile {
    name: "osm",
    control_plane: "osm-controller",
    agent: None,
    admin: Some("http://localhost:15000"),
    ready: &[says("http://localhost:15000/ready", ENVOYS_WORDS)],
    quit: &["http://localhost:15000/quitquitquit"],
    uid: Some(1500),
    gid: None,
    owned_ports: &[15000, 15001, 15003, 15901, 15902, 15903],
    signs: &[],
};

/// Envoy's documentation puts the admin API on 9901. No traffic rules, so no reserved ids.
pub const ENVOY: Profile = Profile {
    name: "envoy",
    control_plane: "its xDS server",
    agent: None,
    admin: Some("http://localhost:9901"),
    ready: &[says("http://localhost:9901/ready", ENVOYS_WORDS)],
    quit: &["http://localhost:9901/quitquitquit"],
    uid: None,
    gid: None,
    owned_ports: &[9901],
    signs: &[&[9901]],
};

/// Nothing to wait for.
pub const NONE: Profile = Profile {
    name: "none",
    control_plane: "its xDS server",
    agent: None,
    admin: None,
    ready: &[],
    quit: &[],
    uid: None,
    gid: None,
    owned_ports: &[],
    signs: &[],
};
