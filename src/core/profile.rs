//! What may be known about a mesh's proxy: the form of a profile.
//!
//! Owns the types and what their values mean; the values are `profiles`'. Must never name a mesh.

use std::time::Duration;

/// What is known about one mesh's proxy, seen from inside the pod.
#[derive(Debug)]
pub struct Profile {
    /// The name that `--mesh` takes.
    pub name: &'static str,
    /// Who configures the proxy.
    pub control_plane: &'static str,
    /// The sidecar's container.
    pub container: &'static str,
    /// The program that starts Envoy, where that is not Envoy itself.
    pub agent: Option<Agent>,
    /// Envoy's admin API, where the application's container can reach one.
    pub admin: Option<&'static str>,
    /// Where readiness is asked, in the order to try; the first that tells the proxy's own state
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
    /// How the mesh's rules take the application's traffic to the proxy, where they do.
    pub redirect: Option<Redirect>,
    /// What a classic sidecar of this mesh does at SIGTERM, where that is known.
    pub at_sigterm: Option<AtSigterm>,
    /// What its endpoints say, all of it, once it was told to end; empty where that does not show.
    pub ending: &'static [Evidence],
    /// How it shows that it cannot be ended from the application's container, where that can be.
    pub endless: Option<Endless>,
}

/// How a mesh's rules take the application's traffic to the proxy.
#[derive(Clone, Copy, Debug)]
pub struct Redirect {
    /// The ports to which they send what the application opens.
    pub outbound: &'static [u16],
    /// Every port that is the proxy's, also those that only some features open.
    pub own: &'static [u16],
}

/// What a classic sidecar does at SIGTERM, unless it is set up otherwise.
#[derive(Clone, Copy, Debug)]
pub enum AtSigterm {
    /// It closes all its ports: what follows, and what to do, as a sentence.
    Closes(&'static str),
    /// It serves for this long; and the setting that says how long.
    Serves(Duration, &'static str),
}

/// A proxy that cannot be ended from the application's container.
#[derive(Clone, Copy, Debug)]
pub struct Endless {
    /// What its endpoints say then, all of it.
    pub evidence: &'static [Evidence],
    /// Why, and what to do: the rest of a sentence.
    pub why: &'static str,
}

/// What one endpoint says, as a part of what shows how a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Which of the proxy's servers is asked, wherever the user moved it.
    pub server: Server,
    /// What is asked for there; `None` is what that endpoint is for anyway. Harmless.
    pub path: Option<&'static str>,
    /// What it must say.
    pub says: Says,
}

/// One of a proxy's servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// That of its first readiness endpoint.
    Ready,
    /// That of its first endpoint to end it.
    Quit,
    /// Envoy's admin API.
    Admin,
}

/// What an endpoint says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// Nobody listens there.
    Closed,
    /// Somebody does.
    Open,
    /// It answers with this status.
    Status(u16),
    /// The body is this word.
    Word(&'static str),
    /// The JSON body has this name, and another value than `"true"` for it.
    Off(&'static str),
}

/// The program of a sidecar that starts Envoy, and may run while Envoy does not.
#[derive(Clone, Copy, Debug)]
pub struct Agent {
    /// What it is called.
    pub name: &'static str,
    /// The port on which it listens as soon as it runs.
    pub port: u16,
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
