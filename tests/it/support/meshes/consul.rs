//! consul-dataplane as consul-k8s runs it. Only read in source (28a963a); its Envoy's answers are
//! those of a real Envoy 1.40.0.

use std::net::Ipv4Addr;

use super::super::reply::Reply;
use super::super::standin::StandIn;
use super::{Phase, Traffic};

/// Nothing listens before a Consul server has answered; then Envoy's admin API, then the lifecycle
/// server, then, with the first configuration, the listener for traffic.
#[derive(Debug)]
pub(crate) struct Consul {
    /// 19000: Envoy's admin API.
    pub(crate) admin: StandIn,
    /// 20600: the lifecycle server. Each method of `/graceful_shutdown` ends the proxy.
    pub(crate) lifecycle: StandIn,
    traffic: Vec<Traffic>,
}

impl Consul {
    /// No server has answered: no port shows it.
    pub(crate) fn start() -> Self {
        let at = |port| StandIn::late_at((Ipv4Addr::LOCALHOST, port).into());
        let (admin, lifecycle) = (at(19000), at(20600));
        admin.says("/quitquitquit", Reply::envoy(200, "OK\n"));
        admin.says("/drain_listeners", Reply::envoy(200, "OK\n"));
        lifecycle.says_otherwise(Reply::plain(404, "404 page not found\n"));
        // At once and without a body, whatever becomes of it.
        lifecycle.says("/graceful_shutdown", Reply::plain(200, ""));
        // Also while nothing is ready: no authority.
        lifecycle.says("/graceful_startup", Reply::plain(200, ""));
        Self { admin, lifecycle, traffic: Vec::new() }
    }

    /// A server has answered: Envoy starts.
    pub(crate) fn has_a_server(&mut self) {
        self.is(Phase::PreInitializing);
        self.admin.open();
        self.lifecycle.open();
    }

    /// Envoy's own word.
    pub(crate) fn is(&mut self, phase: Phase) {
        if matches!(phase, Phase::Live) && self.traffic.is_empty() {
            self.traffic.push(Traffic::on(20000));
        }
        self.admin.says("/ready", phase.of_envoy());
    }

    /// A proxy that has served for a while.
    pub(crate) fn live() -> Self {
        let mut consul = Self::start();
        consul.has_a_server();
        consul.is(Phase::Live);
        consul
    }
}
