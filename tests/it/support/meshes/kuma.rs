//! kuma-dp 2.14.3 with Envoy 1.40.0, as recorded: with Envoy's admin API on a Unix socket of the
//! sidecar's container, as from 2.14 on, and on a TCP port, as up to 2.13.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::namespace::give_loopback;
use super::super::reply::Reply;
use super::super::standin::StandIn;
use super::{Phase, Traffic, recorded};

/// The pod's own address.
const POD: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// What comes with the first configuration: inbound traffic, and on the pod's address the listener
/// `kuma:envoy:admin`, which is mTLS for the control plane and no admin API, though it has its
/// port.
fn first_configuration() -> [Traffic; 2] {
    give_loopback(POD);
    let at = |port| Traffic(StandIn::late_at(SocketAddr::from((POD, port))).opened());
    [at(8080), at(9901)]
}

/// What kuma-dp's reporter says from the moment that it is told to end, in the shape of its
/// recorded answers.
fn terminating() -> Reply {
    let reply = Reply::plain(503, "TERMINATING").header("Content-Type", "text/plain");
    reply.header("X-Powered-By", "kuma-dp").closing()
}

/// Nothing listens before kuma-cp has answered.
#[derive(Debug)]
pub(crate) struct KumaUnix {
    /// 9902: what meshim may ask.
    pub(crate) reporter: StandIn,
    traffic: Vec<Traffic>,
}

impl KumaUnix {
    /// kuma-dp runs, and kuma-cp does not answer: no port shows it.
    pub(crate) fn start() -> Self {
        let reporter = StandIn::late_at((Ipv4Addr::LOCALHOST, 9902).into());
        // From 2.14.2 on; read in source.
        reporter.says_otherwise(Reply::plain(404, "404 page not found\n"));
        Self { reporter, traffic: Vec::new() }
    }

    /// The bootstrap has come: the reporter listens, while kuma-dp's DNS has no configuration.
    pub(crate) fn has_its_bootstrap(&mut self) {
        self.reporter.says("/ready", recorded!("kuma-tcp-not-ready"));
        self.reporter.open();
    }

    /// Envoy has not bound its socket yet.
    pub(crate) fn starts_envoy(&self) {
        self.reporter.says("/ready", recorded!("kuma-unix-envoy-not-ready"));
    }

    /// The reporter hands Envoy's own answer on.
    pub(crate) fn is(&mut self, phase: Phase) {
        let reply = match phase {
            Phase::PreInitializing => recorded!("kuma-unix-pre-initializing"),
            Phase::Initializing => recorded!("kuma-unix-initializing"),
            Phase::Live => recorded!("kuma-unix-live"),
        };
        if matches!(phase, Phase::Live) && self.traffic.is_empty() {
            self.traffic.extend(first_configuration());
        }
        self.reporter.says("/ready", reply);
    }

    /// A proxy that has served for a while.
    pub(crate) fn live() -> Self {
        let mut kuma = Self::start();
        kuma.has_its_bootstrap();
        kuma.is(Phase::Live);
        kuma
    }

    /// SIGTERM, to a classic sidecar: it goes on serving for `KUMA_DATAPLANE_DRAIN_TIME`.
    pub(crate) fn is_told_to_end(&self) {
        self.reporter.says("/ready", terminating());
    }
}

/// The reporter says READY before Envoy has even been started.
#[derive(Debug)]
pub(crate) struct KumaTcp {
    /// 9902.
    pub(crate) reporter: StandIn,
    /// 127.0.0.1:9901, Envoy's own.
    pub(crate) admin: StandIn,
    has_envoy: bool,
    traffic: Vec<Traffic>,
}

impl KumaTcp {
    /// kuma-dp runs, and kuma-cp does not answer: no port shows it.
    pub(crate) fn start() -> Self {
        let at = |port| StandIn::late_at((Ipv4Addr::LOCALHOST, port).into());
        let (reporter, admin) = (at(9902), at(9901));
        reporter.says_otherwise(Reply::plain(404, "404 page not found\n"));
        admin.says("POST /quitquitquit", Reply::envoy(200, "OK\n"));
        Self { reporter, admin, has_envoy: false, traffic: Vec::new() }
    }

    /// The bootstrap has come, Envoy is about to start.
    pub(crate) fn has_its_bootstrap(&mut self) {
        self.reporter.says("/ready", recorded!("kuma-tcp-ready"));
        self.reporter.open();
    }

    /// Envoy's own word.
    pub(crate) fn is(&mut self, phase: Phase) {
        if matches!(phase, Phase::Live) && self.traffic.is_empty() {
            self.traffic.extend(first_configuration());
        }
        self.admin.says("/ready", phase.of_envoy());
        if !std::mem::replace(&mut self.has_envoy, true) {
            self.admin.open();
        }
    }

    /// A proxy that has served for a while.
    pub(crate) fn live() -> Self {
        let mut kuma = Self::start();
        kuma.has_its_bootstrap();
        kuma.is(Phase::Live);
        kuma
    }

    /// SIGTERM, to a classic sidecar: it goes on serving for `KUMA_DATAPLANE_DRAIN_TIME`.
    pub(crate) fn is_told_to_end(&self) {
        self.reporter.says("/ready", terminating());
    }
}
