//! Draining: turn the proxy's clients away where it takes that, keep serving, and watch what is in
//! flight. `meshim drain` is the preStop hook; the supervisor does the same between the stop signal
//! and the application.
//!
//! Owns the looks and their log lines; when it is over is `core::stopping::drain`'s. Must never
//! fail because of a proxy that does not answer.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::ending::stopped;
use super::found::{Found, found_now};
use super::pod;
use super::runtime::until_stopped;
use crate::config::DrainSettings;
use crate::core::duration::millis;
use crate::core::envoy::clusters::Clusters;
use crate::core::envoy::server_info::{ServerInfo, ServerInfoPage};
use crate::core::envoy::state::State;
use crate::core::envoy::stats::StatsPage;
use crate::core::envoy::unread::Unread;
use crate::core::exit::{Exit, Failure};
use crate::core::mesh::Mesh;
use crate::core::metrics::in_flight::InFlightPage;
use crate::core::proxy::Proxy;
use crate::core::sockets::owner::Served;
use crate::core::stopping::drain::{self, Counted, CounterSource, Drain, DrainEnd, DrainStep};
use crate::core::stopping::drained;
use crate::core::stopping::idle::{ConnectionSample, Rule};
use crate::core::stopping::plan::{self, DrainPlan, Times};
use crate::io::admin::Admin;
use crate::io::signals::StopSignals;
use crate::io::sockets::connections::Connections;

/// One look at the proxy.
const TIMEOUT: Duration = Duration::from_secs(1);

/// `meshim drain`: 0, whatever came of it, so that the kubelet has no failed hook to tell of.
///
/// # Errors
/// The kernel refuses what every job needs.
pub fn drain(settings: &DrainSettings, mut stop: StopSignals) -> Result<Exit, Failure> {
    let began = Instant::now();
    let drained = match found_now(&settings.given, &mut stop) {
        Ok(Found { proxy, .. }) => {
            until_stopped(&mut stop, until_idle(proxy, settings.times, None, began))?
        }
        Err(signal) => Err(signal),
    };
    Ok(drained.map_or_else(|signal| stopped(signal, "draining"), |()| Exit::Yes))
}

/// Drains, counting from `began`, the stop signal, and comes back when it is over. `facts` are read
/// where they are not known yet.
pub(super) async fn until_idle(
    proxy: Option<Proxy>,
    times: Times,
    facts: Option<ServerInfo>,
    began: Instant,
) {
    let mut looks = DrainLooks::new(proxy.as_ref(), times, began);
    let facts = looks.turn_clients_away(facts).await;
    let plan = DrainPlan::new(times, facts.as_ref());
    tracing::info!(
        event = "draining",
        min_ms = millis(plan.min),
        max_ms = millis(plan.max),
        quiet_ms = millis(plan.quiet),
        ports = %looks.served(),
        "draining"
    );
    let reason = looks.watch(plan, began).await;
    let after_ms = millis(began.elapsed());
    let sentence = drained::sentence(&reason, plan.quiet);
    match reason {
        DrainEnd::Idle(_) => tracing::info!(event = "drained", after_ms, "{sentence}"),
        DrainEnd::OutOfTime(left) => {
            let drain::Left { requests, connections, at_work } = left;
            tracing::warn!(
                event = "drained",
                after_ms,
                requests,
                connections,
                at_work,
                "{sentence}"
            );
        }
    }
}

/// Where one drain looks.
struct DrainLooks {
    /// The proxy's counters, and whether it can be told to drain there.
    proxy: Option<(Admin, CounterSource)>,
    connections: Connections,
    /// The application's ports at the stop signal; `None` where the kernel shows no sockets.
    served: Option<Served>,
    rule: Rule,
    /// No look takes longer than this.
    over: Instant,
}

impl DrainLooks {
    fn new(proxy: Option<&Proxy>, times: Times, began: Instant) -> Self {
        let counters = proxy.and_then(drain::counters_of);
        Self {
            proxy: counters.map(|(endpoint, counters)| (Admin::new(&endpoint), counters)),
            connections: Connections::open(),
            served: application_ports(proxy),
            rule: Rule { quiet: times.quiet },
            over: began + times.max,
        }
    }

    /// Tells the proxy to drain, unless it does already, and reads what it says about itself. A
    /// proxy that does not listen any more is none of the failures.
    async fn turn_clients_away(&mut self, facts: Option<ServerInfo>) -> Option<ServerInfo> {
        let Some((admin, CounterSource::Stats)) = &mut self.proxy else { return facts };
        let told = match admin.state(self.over).await {
            Ok(State::Draining) => Ok(()),
            Err(Unread::Gone) => Err(Unread::Gone),
            _ => admin.drain_listeners(self.over).await,
        };
        match told {
            Ok(()) => {}
            Err(Unread::Gone) => tracing::info!(
                event = "proxy_gone",
                "there is no proxy left that could turn clients away; serving on"
            ),
            Err(unread) => tracing::warn!(
                event = "drain_refused",
                "the proxy cannot be told to turn its clients away: {unread}; new requests may \
                 still come"
            ),
        }
        match facts {
            None => admin.read::<ServerInfoPage>(self.over).await.ok(),
            facts => facts,
        }
    }

    /// The application's ports, for the log.
    fn served(&self) -> String {
        let ports = self.served.iter().flat_map(|served| &served.ports);
        let ports: Vec<String> = ports.map(u16::to_string).collect();
        if ports.is_empty() { "none".to_owned() } else { ports.join(",") }
    }

    async fn watch(&mut self, plan: DrainPlan, began: Instant) -> DrainEnd {
        let mut drain = Drain::new(plan, self.proxy.as_ref().map(|(_, counters)| *counters));
        let mut changes = Changes::default();
        loop {
            let before = began.elapsed();
            let took = |now: Duration| now.saturating_sub(before);
            match drain.next(before) {
                DrainStep::Over(reason) => return reason,
                DrainStep::Rest(until) => sleep_until(began + until).await,
                DrainStep::LookAtConnections => {
                    let seen = self.sample();
                    changes.tell_connections(seen);
                    let now = began.elapsed();
                    drain.on_connections(now, took(now), seen);
                }
                DrainStep::LookAt(counters) => {
                    let seen = self.count(counters).await;
                    changes.tell_counted(counters, seen);
                    let now = began.elapsed();
                    drain.on_counters(now, took(now), seen);
                }
            }
        }
    }

    /// `None` where the kernel says nothing.
    fn sample(&mut self) -> Option<ConnectionSample> {
        let (served, mut sample) = (self.served.as_ref()?, ConnectionSample::default());
        let seen = self.connections.each(|connection| {
            if served.ports.contains(&connection.local.port()) {
                sample.add(self.rule, &connection);
            }
        });
        seen.ok().map(|()| sample)
    }

    async fn count(&mut self, counters: CounterSource) -> Counted {
        let Some((admin, _)) = &mut self.proxy else { return Counted::Unreadable };
        let until = self.over.min(Instant::now() + TIMEOUT);
        let read = match counters {
            CounterSource::Stats => admin.read::<StatsPage>(until).await,
            CounterSource::Clusters => admin.read::<Clusters>(until).await,
            CounterSource::Metrics => admin.read::<InFlightPage>(until).await.map(Some),
        };
        match read {
            Ok(Some(activity)) => Counted::Activity(activity),
            Err(Unread::Gone) => Counted::Gone,
            Ok(None) | Err(_) => Counted::Unreadable,
        }
    }
}

/// What was said last, since only changes are worth a line; a source that fails is given up soon.
#[derive(Default)]
struct Changes {
    connections: Option<(u64, u64)>,
    counted: Option<(u64, u64)>,
}

impl Changes {
    fn tell_connections(&mut self, seen: Option<ConnectionSample>) {
        let seen = seen.map(|sample| (sample.open, sample.at_work));
        if seen.is_none() || self.connections != seen {
            let (open, at_work) = seen.unzip();
            tracing::debug!(open, at_work, "the application's connections");
        }
        self.connections = seen;
    }

    fn tell_counted(&mut self, counters: CounterSource, seen: Counted) {
        let seen = match seen {
            Counted::Activity(activity) => Some((activity.requests, activity.connections)),
            Counted::Unreadable | Counted::Gone => None,
        };
        if seen.is_none() || self.counted != seen {
            let (requests, connections) = seen.unzip();
            tracing::debug!(requests, connections, ?counters, "the proxy's counters");
        }
        self.counted = seen;
    }
}

/// Looked at once, at the stop signal: an application closes its listening sockets when it stops,
/// and goes on answering. `None`, and a line in the log, where sockets cannot be seen at all.
fn application_ports(proxy: Option<&Proxy>) -> Option<Served> {
    let pod = pod::of_sockets(proxy.cloned().unwrap_or_else(|| Proxy::of(Mesh::None)));
    if let Some(unread) = &pod.sockets.unread {
        tracing::warn!(
            event = "degraded",
            "the application's connections cannot be watched: {unread}"
        );
        return None;
    }
    let served = pod.owners().served(&pod.sockets.all);
    if !served.unsure.is_empty() {
        tracing::info!(
            event = "not_seen",
            ports = ?served.unsure,
            "whose these ports are cannot be seen; each counts as the application's"
        );
    }
    Some(served)
}

/// Says at the start what will not fit at the end.
pub(super) fn tell_misfits(times: Times, proxy: &Proxy, facts: Option<&ServerInfo>) {
    for misfit in plan::misfits(times, proxy.mesh, facts) {
        if misfit.is_certain {
            tracing::warn!(event = "misfit", "{}", misfit.sentence);
        } else {
            tracing::info!(event = "misfit", "{}", misfit.sentence);
        }
    }
}
