//! Draining: turn the proxy's clients away, watch what is in flight. `meshim drain` is the preStop
//! hook; the supervisor does the same between the stop signal and the application.

use std::time::Duration;

use tokio::select;
use tokio::time::{Instant, sleep_until};

use super::pod;
use super::runtime::block_on;
use crate::config::Drain as Settings;
use crate::core::duration::Spoken;
use crate::core::envoy::activity::Activity;
use crate::core::envoy::clusters::Clusters;
use crate::core::envoy::server_info::ServerInfo;
use crate::core::envoy::state::State;
use crate::core::envoy::stats::StatsPage;
use crate::core::envoy::unread::Unread;
use crate::core::exit::{Exit, Failure};
use crate::core::proxy::Proxy;
use crate::core::stopping::drain::{self, Drain, Next, Plan, Reason, Seen, Source, Times};
use crate::io::admin::Admin;
use crate::io::signals::StopSignals;
use crate::io::sockets::{listening, proc_net};

/// One request to the admin API.
const TIMEOUT: Duration = Duration::from_secs(1);

/// `meshim drain`: 0 when idle after the shortest time, or after the longest; 1 when there is
/// nothing to drain with.
///
/// # Errors
/// No proxy, or none that can be drained; a stop signal.
pub fn drain(settings: &Settings, mut stop: StopSignals) -> Result<Exit, Failure> {
    block_on(async {
        let proxy = pod::proxy_now(settings.proxy.as_ref());
        let no = |sentence: String| Failure::new(Exit::No, sentence);
        let proxy = proxy.ok_or_else(|| {
            no("no mesh's proxy listens in this pod, so there is nothing to drain; name it with \
                --mesh or --admin-url"
                .to_owned())
        })?;
        let admin = proxy.admin.clone().ok_or_else(|| {
            no(format!(
                "the {} proxy has no Envoy admin API to drain through; set --admin-url if it has \
                 one",
                proxy.mesh
            ))
        })?;
        let draining = until_idle(proxy, settings.times, None, Instant::now());
        select! {
            biased;
            signal = stop.next() => Err(Failure::new(Exit::Signal(signal), format!("ended by {signal} while draining"))),
            end = draining => match end {
                Ok(()) => Ok(Exit::Yes),
                Err(why) => Err(no(format!("{admin} cannot be told to drain: {why}"))),
            },
        }
    })
}

/// Drains, counting from `began`, the stop signal. `facts` are read where they are not known yet.
///
/// Comes back when it is over, also with an error: why the proxy could not be told to turn its
/// clients away.
pub(super) async fn until_idle(
    proxy: Proxy,
    times: Times,
    facts: Option<ServerInfo>,
    began: Instant,
) -> Result<(), String> {
    let admin = proxy.admin.clone().ok_or("it has no admin API")?;
    let mut client = Admin::new(&admin);
    let refusal = match begin(&mut client, began + times.max).await {
        Ok(()) => None,
        Err(Unread::Gone) => {
            tracing::info!("there is no proxy left to drain: nobody listens at {admin}");
            return Ok(());
        }
        Err(unread) => {
            tracing::warn!(
                "{admin} cannot be told to drain: {unread}; new requests may still come"
            );
            Some(unread.to_string())
        }
    };
    let facts = match facts {
        None if refusal.is_none() => pod::read_server_info(&admin).await,
        facts => facts,
    };
    let plan = Plan::new(times, facts.as_ref());
    let (min, max) = plan.times();
    tracing::info!(min = %Spoken(min), max = %Spoken(max), "draining");
    let reason = watch(&proxy, &mut client, plan, began).await;
    let after = Spoken(began.elapsed());
    match reason {
        Reason::Idle(Source::Stats | Source::Clusters) => {
            tracing::info!(%after, "drained: no request is in flight");
        }
        Reason::Idle(Source::Sockets) => {
            tracing::info!(%after, "drained: no connection is open (the proxy does not show its \
                                    requests)");
        }
        Reason::ProxyGone => tracing::info!(%after, "drained: the proxy is gone"),
        Reason::OutOfTime(Some(left)) => tracing::warn!(%after, left, "draining is out of time"),
        Reason::OutOfTime(None) => {
            tracing::info!(%after, "draining is over; what is in flight could not be seen");
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// Tells the proxy to drain, unless it does already.
async fn begin(admin: &mut Admin, over: Instant) -> Result<(), Unread> {
    match admin.state(over).await {
        Ok(State::Draining) => {
            tracing::debug!("the proxy is draining already");
            Ok(())
        }
        Err(Unread::Gone) => Err(Unread::Gone),
        _ => admin.drain_listeners(over).await,
    }
}

async fn watch(proxy: &Proxy, admin: &mut Admin, plan: Plan, began: Instant) -> Reason {
    let mut drain = Drain::new(plan);
    loop {
        match drain.next(began.elapsed()) {
            Next::Over(reason) => return reason,
            Next::Rest(until) => sleep_until(began + until).await,
            Next::Look(source) => {
                let before = began.elapsed();
                let seen = look(proxy, admin, source).await;
                let now = began.elapsed();
                tracing::debug!(?source, ?seen, "looked");
                drain.on(now, now.saturating_sub(before), seen);
            }
        }
    }
}

async fn look(proxy: &Proxy, admin: &mut Admin, source: Source) -> Seen {
    let until = Instant::now() + TIMEOUT;
    let read = match source {
        Source::Stats => {
            let read = admin.read::<StatsPage>(until).await;
            read.map(|stats| (stats.activity, stats.draining))
        }
        Source::Clusters => admin.read::<Clusters>(until).await.map(|activity| (activity, false)),
        Source::Sockets => return connections(proxy),
    };
    match read {
        Ok((Some(activity), draining)) => Seen::Busy { activity, draining },
        Err(Unread::Gone) => Seen::Gone,
        Ok((None, _)) | Err(_) => Seen::Unreadable,
    }
}

/// Connections to whatever listens in this pod and is not the proxy.
fn connections(proxy: &Proxy) -> Seen {
    let profile = proxy.mesh.profile();
    let counted = listening::listening().and_then(|listening| {
        // The proxy's ports, wherever the user moved them: our own connection to its admin API is
        // no request.
        let given = proxy.admin.iter().chain(proxy.ready.iter().map(|ready| &ready.url));
        let given: Vec<u16> = given.filter_map(|endpoint| endpoint.address.port()).collect();
        let is_proxys = |port: u16, uid: u32| {
            profile.owned_ports.contains(&port) || given.contains(&port) || profile.uid == Some(uid)
        };
        let ports = listening.iter().map(|listener| (listener.address.port(), listener.uid));
        let ports: Vec<u16> =
            ports.filter(|(port, uid)| !is_proxys(*port, *uid)).map(|(port, _)| port).collect();
        proc_net::connections_to(&ports)
    });
    match counted {
        Ok(active) => Seen::Busy { activity: Activity { active, begun: None }, draining: false },
        Err(_) => Seen::Unreadable,
    }
}

/// Says at the start what will not fit at the end.
pub(super) fn warn_of_misfits(times: Times, facts: &ServerInfo) {
    for misfit in drain::misfits(times, facts) {
        tracing::warn!("{misfit}");
    }
}
