//! A classic sidecar of Istio as its three ports show it, scripted as real ones were recorded.

use super::reply::Reply;
use super::standin::StandIn;

/// What agent and Envoy are asked to end with.
pub(crate) const QUIT: &str = "/quitquitquit";

/// Envoy's answer to the question what is in flight: nothing.
pub(crate) const IDLE: &str = "http.inbound_0.0.0.0_8080;.downstream_rq_active: 0\n";

/// Agent, readiness port and Envoy.
pub(crate) struct Sidecar {
    pub(crate) agent: StandIn,
    pub(crate) ready: StandIn,
    pub(crate) envoy: StandIn,
}

impl Sidecar {
    /// Its agent runs, and its Envoy is not ready yet.
    pub(crate) fn starting() -> Self {
        let (agent, ready, envoy) =
            (StandIn::on_port(15020), StandIn::on_port(15021), StandIn::on_port(15000));
        agent.says(QUIT, Reply::plain(200, "OK"));
        ready.says("/healthz/ready", Reply::envoy(503, ""));
        envoy
            .says("/ready", Reply::not_ready("INITIALIZING"))
            .says(QUIT, Reply::envoy(200, "OK\n"));
        envoy.says("/stats", Reply::envoy(200, IDLE));
        Self { agent, ready, envoy }
    }

    /// One that is ready.
    pub(crate) fn serving() -> Self {
        let sidecar = Self::starting();
        sidecar.becomes_ready();
        sidecar
    }

    pub(crate) fn becomes_ready(&self) {
        self.ready.says("/healthz/ready", Reply::envoy(200, ""));
        self.envoy.says("/ready", Reply::live());
    }

    /// What the agent does at its SIGTERM: its own port closes, Envoy answers 503 for it, and goes
    /// on.
    pub(crate) fn is_told_to_end(&mut self) {
        self.agent.close();
        self.ready.says("/healthz/ready", Reply::envoy(503, ""));
    }

    /// How often agent and Envoy were asked to end.
    pub(crate) fn asked(&self) -> (usize, usize) {
        (self.agent.count(QUIT), self.envoy.count(QUIT))
    }
}
