//! What is known about each mesh's proxy, as data: one profile a mesh.
//!
//! Owns the profiles, with the sources of their numbers and words; must never look at a socket, and
//! must not know which of them is meant.

use std::time::Duration;

use crate::core::profile::{
    Agent, AtSigterm, Endless, Evidence, Expect, Means, Profile, Ready, Redirect, Says, Server,
    Word,
};

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

const fn evidence(server: Server, path: Option<&'static str>, says: Says) -> Evidence {
    Evidence { server, path, says }
}

/// Linkerd's variable for its `/shutdown`, which `/env.json` tells to anybody in the pod.
const LINKERDS_SWITCH: &str = "LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED";

const fn says(url: &'static str, words: &'static [Word]) -> Ready<&'static str> {
    Ready { url, expect: Expect::Says(words) }
}

/// istio: `envoy_bootstrap.json`, `pilot/cmd/pilot-agent/status/server.go`, injection template. The
/// agent's `/quitquitquit` ends agent and Envoy; where it is missing, an agent whose Envoy has
/// ended ends, too. After SIGTERM pilot-agent closes its port within 0.3 s, while Envoy goes on and
/// answers 503 for it on the readiness port (seen with real agents).
pub const ISTIO: Profile = Profile {
    name: "istio",
    control_plane: "istiod",
    container: "istio-proxy",
    agent: Some(Agent { name: "pilot-agent", port: 15020 }),
    admin: Some("http://localhost:15000"),
    ready: &[says("http://localhost:15021/healthz/ready", ISTIOS_WORDS)],
    quit: &["http://localhost:15020/quitquitquit", "http://localhost:15000/quitquitquit"],
    uid: Some(1337),
    gid: Some(1337),
    owned_ports: &[15000, 15001, 15006, 15020, 15021, 15090],
    signs: &[&[15020], &[15000, 15021]],
    redirect: Some(Redirect {
        outbound: &[15001],
        own: &[15000, 15001, 15006, 15008, 15020, 15021, 15053, 15090],
    }),
    at_sigterm: None,
    ending: &[
        evidence(Server::Quit, Some("/"), Says::Closed),
        evidence(Server::Ready, None, Says::Status(503)),
        evidence(Server::Admin, Some("/ready"), Says::Open),
    ],
    endless: None,
};

/// linkerd2-proxy: admin server on 4191, outbound 4140, inbound 4143, all from its first
/// milliseconds on; its group is not set. A proxy that is told to end before it has an identity
/// closes 4191 alone.
pub const LINKERD: Profile = Profile {
    name: "linkerd",
    control_plane: "linkerd's identity and destination service",
    container: "linkerd-proxy",
    agent: None,
    admin: None,
    ready: &[says("http://localhost:4191/ready", LINKERDS_WORDS)],
    quit: &["http://localhost:4191/shutdown"],
    uid: Some(2102),
    gid: None,
    owned_ports: &[4140, 4143, 4190, 4191],
    signs: &[&[4143, 4191], &[4140, 4143]],
    redirect: Some(Redirect { outbound: &[4140], own: &[4140, 4143, 4190, 4191] }),
    at_sigterm: Some(AtSigterm::Closes(
        "a classic Linkerd sidecar closes all its ports at SIGTERM, so nobody can be served while \
         draining; make it a native one (config.beta.linkerd.io/proxy-enable-native-sidecar: \
         \"true\", the default since 2.20), or have it wait with \
         config.alpha.linkerd.io/proxy-wait-before-exit-seconds",
    )),
    ending: &[],
    endless: Some(Endless {
        evidence: &[evidence(
            Server::Quit,
            Some("/env.json?LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED"),
            Says::Off(LINKERDS_SWITCH),
        )],
        why: "its shutdown endpoint is switched off; unless it is a native sidecar, which \
              Kubernetes ends, make it one, or set proxy.enableShutdownEndpoint in Linkerd's Helm \
              values",
    }),
};

/// consul-k8s: the first service's admin port is 19000, its public listener 20000, which comes with
/// the first configuration. consul-dataplane's lifecycle server comes with Envoy: on 20600 as
/// consul-k8s sets it, on 20300 by its own default. Before a Consul server has answered, nothing
/// listens. Envoy's own end ends consul-dataplane at once; `/graceful_shutdown` would cost a Job
/// the 30 s of its grace period, and any method does it.
pub const CONSUL: Profile = Profile {
    name: "consul",
    control_plane: "the Consul server",
    container: "consul-dataplane",
    agent: Some(Agent { name: "consul-dataplane", port: 20600 }),
    admin: Some("http://localhost:19000"),
    ready: &[says("http://localhost:19000/ready", ENVOYS_WORDS)],
    quit: &["http://localhost:19000/quitquitquit", "http://localhost:20600/graceful_shutdown"],
    uid: Some(5995),
    gid: Some(5995),
    owned_ports: &[19000, 20000, 20300, 20600],
    signs: &[&[19000, 20600], &[19000, 20000], &[19000, 20300]],
    redirect: Some(Redirect {
        outbound: &[15001],
        own: &[15001, 19000, 20000, 20100, 20200, 20300, 20600],
    }),
    at_sigterm: Some(AtSigterm::Serves(
        Duration::from_secs(30),
        "consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds",
    )),
    ending: &[],
    endless: None,
};

/// kuma: readiness reporter on 9902 (the only one from 2.14 on, where the admin API moved to a Unix
/// socket of the sidecar's container), the admin API on 127.0.0.1:9901 before. 9901 on the pod's
/// own address is a listener for the control plane. Before kuma-cp has answered, nothing listens.
/// After SIGTERM kuma-dp says `TERMINATING` within 4 ms (seen with a real one).
pub const KUMA: Profile = Profile {
    name: "kuma",
    control_plane: "kuma-cp",
    container: "kuma-sidecar",
    agent: Some(Agent { name: "kuma-dp", port: 9902 }),
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
    redirect: Some(Redirect { outbound: &[15001], own: &[9901, 9902, 15001, 15006, 15010] }),
    at_sigterm: Some(AtSigterm::Serves(Duration::from_secs(30), "KUMA_DATAPLANE_DRAIN_TIME")),
    ending: &[evidence(Server::Ready, None, Says::Word("TERMINATING"))],
    endless: Some(Endless {
        evidence: &[
            evidence(Server::Quit, Some("/ready"), Says::Closed),
            evidence(Server::Ready, None, Says::Open),
        ],
        why: "from Kuma 2.14 on its admin API is a Unix socket in the sidecar's own container; \
              unless it is a native sidecar, which Kubernetes ends, make it one, or give the \
              control plane KUMA_BOOTSTRAP_SERVER_PARAMS_ENVOY_ADMIN_UNIX_SOCKET=false",
    }),
};

/// aws-app-mesh, retired, so only by name: admin on 9901; 15000 is the ingress for traffic here,
/// not an admin API.
pub const APPMESH: Profile = Profile {
    name: "appmesh",
    control_plane: "the App Mesh endpoint",
    container: "envoy",
    agent: None,
    admin: Some("http://localhost:9901"),
    ready: &[says("http://localhost:9901/ready", ENVOYS_WORDS)],
    quit: &["http://localhost:9901/quitquitquit"],
    uid: Some(1337),
    gid: None,
    owned_ports: &[9901, 15000, 15001],
    signs: &[],
    redirect: None,
    at_sigterm: None,
    ending: &[],
    endless: None,
};

/// osm, archived, so only by name: admin on 15000, inbound 15003.
pub const OSM: Profile = Profile {
    name: "osm",
    control_plane: "osm-controller",
    container: "envoy",
    agent: None,
    admin: Some("http://localhost:15000"),
    ready: &[says("http://localhost:15000/ready", ENVOYS_WORDS)],
    quit: &["http://localhost:15000/quitquitquit"],
    uid: Some(1500),
    gid: None,
    owned_ports: &[15000, 15001, 15003, 15901, 15902, 15903],
    signs: &[],
    redirect: None,
    at_sigterm: None,
    ending: &[],
    endless: None,
};

/// Envoy's documentation puts the admin API on 9901. No traffic rules, so no reserved ids.
pub const ENVOY: Profile = Profile {
    name: "envoy",
    control_plane: "its xDS server",
    container: "envoy",
    agent: None,
    admin: Some("http://localhost:9901"),
    ready: &[says("http://localhost:9901/ready", ENVOYS_WORDS)],
    quit: &["http://localhost:9901/quitquitquit"],
    uid: None,
    gid: None,
    owned_ports: &[9901],
    signs: &[&[9901]],
    redirect: None,
    at_sigterm: None,
    ending: &[],
    endless: None,
};

/// Nothing to wait for.
pub const NONE: Profile = Profile {
    name: "none",
    control_plane: "its xDS server",
    container: "",
    agent: None,
    admin: None,
    ready: &[],
    quit: &[],
    uid: None,
    gid: None,
    owned_ports: &[],
    signs: &[],
    redirect: None,
    at_sigterm: None,
    ending: &[],
    endless: None,
};
