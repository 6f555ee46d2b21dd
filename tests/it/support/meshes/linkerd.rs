//! linkerd2-proxy, release of 2026-08-21, as recorded.

use super::super::reply::Reply;
use super::super::standin::StandIn;
use super::{Traffic, recorded};

/// It has all three ports 4 ms after its start, before any control plane has answered.
#[derive(Debug)]
pub(crate) struct Linkerd {
    /// 4191: what meshim may ask.
    pub(crate) admin: StandIn,
    outbound: Traffic,
    inbound: Traffic,
    is_certified: bool,
}

impl Linkerd {
    /// Without an identity.
    pub(crate) fn start() -> Self {
        let linkerd = Self {
            outbound: Traffic::on(4140),
            inbound: Traffic::on(4143),
            admin: StandIn::on_port(4191),
            is_certified: false,
        };
        let admin = &linkerd.admin;
        admin.says_otherwise(recorded!("linkerd-no-such-path"));
        admin.says("/ready", recorded!("linkerd-not-ready"));
        admin.says("/live", recorded!("linkerd-live"));
        admin.says("GET /shutdown", recorded!("linkerd-shutdown-by-get"));
        admin.says("POST /shutdown", recorded!("linkerd-shutdown-switched-off"));
        linkerd.tells_its_switch("false");
        linkerd.counts(0);
        linkerd
    }

    /// Only that variable, as it answers where one is asked for.
    fn tells_its_switch(&self, value: &str) {
        let text = format!("{{\"LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED\":\"{value}\"}}");
        let reply = Reply::plain(200, text).header("content-type", "application/json");
        self.admin.says("/env.json", reply);
    }

    /// `defaultInboundPolicy: deny`, until the policy controller answers: each path is withheld.
    pub(crate) fn withholds(&self) {
        self.admin.says("/ready", recorded!("linkerd-policy-deny"));
    }

    /// Its policy has arrived, its identity has not.
    pub(crate) fn waits_for_identity(&self) {
        self.admin.says("/ready", recorded!("linkerd-not-ready"));
    }

    /// It has its identity: from then on it is ready to its end.
    pub(crate) fn is_certified(&mut self) {
        self.is_certified = true;
        self.admin.says("/ready", recorded!("linkerd-ready"));
    }

    /// Started with `proxy.enableShutdownEndpoint`.
    pub(crate) fn allows_shutdown(&self) {
        self.tells_its_switch("true");
        self.admin.says("POST /shutdown", recorded!("linkerd-shutdown"));
    }

    /// Its counters, with this many requests to the application without a response. The names and
    /// labels are recorded; the page of 52 KB is not repeated here.
    pub(crate) fn counts(&self, in_flight: u64) {
        let labels = |port: u16| {
            format!(
                "direction=\"inbound\",target_addr=\"10.77.0.2:{port}\",target_ip=\"10.77.0.2\",\
                 target_port=\"{port}\",tls=\"true\",client_id=\"a.test.serviceaccount.\
                 identity.linkerd.cluster.local\",srv_kind=\"default\""
            )
        };
        let (requests, responses) = (40 + in_flight, 40);
        let (ours, own) = (labels(8080), labels(4191));
        let text = format!(
            "# HELP request_total Total count of HTTP requests.\n# TYPE request_total counter\n\
             request_total{{{ours}}} {requests}\nrequest_total{{{own}}} 7\n\
             # TYPE response_total counter\nresponse_total{{{ours},status_code=\"200\"}} \
             {responses}\n"
        );
        self.admin.says("/metrics", Reply::plain(200, text).header("content-type", "text/plain"));
    }

    /// SIGTERM. With an identity all ports close within 50 ms; without, 4191 alone, and the process
    /// stays.
    pub(crate) fn is_told_to_end(&mut self) {
        self.admin.close();
        if self.is_certified {
            self.outbound.close();
            self.inbound.close();
        }
    }

    /// Its process is gone.
    pub(crate) fn ends(&mut self) {
        self.is_certified = true;
        self.is_told_to_end();
    }
}
