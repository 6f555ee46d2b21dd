//! Waiting until nothing is on its way through the proxy any more, before it is asked to end.
//!
//! Owns the looks; must never decide when it is over, which is `core::stopping::unsent`'s.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::pod;
use crate::core::duration::{Spoken, millis};
use crate::core::envoy::clusters::Clusters;
use crate::core::envoy::stats::StatsPage;
use crate::core::proxy::Proxy;
use crate::core::stopping::unsent::{Load, Unsent, UnsentEnd, UnsentLimits, UnsentStep};
use crate::io::admin::Admin;
use crate::io::sockets::connections::Connections;
use crate::io::sockets::owners;

/// A wait that took longer is worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(1);

/// Waits until the pod's sockets have got rid of their bytes, and tells what is left if they do
/// not: the proxy is asked to end all the same.
pub(super) async fn until_sent(limits: UnsentLimits, proxy: Option<&Proxy>) {
    let began = Instant::now();
    let end = watch(limits, proxy, None).await;
    let waited = began.elapsed();
    match end {
        UnsentEnd::Empty if waited >= WORTH_A_LINE => tracing::info!(
            event = "sent",
            waited_ms = millis(waited),
            "everything that was on its way has been sent"
        ),
        UnsentEnd::Empty => {}
        UnsentEnd::Stuck(load) | UnsentEnd::OutOfTime(load) => tracing::warn!(
            event = "unsent",
            bytes = load.bytes(),
            waited_ms = millis(waited),
            "after {} {} bytes are still on their way through the sockets of this pod and do not \
             get on; those in the proxy are lost when it ends",
            Spoken(waited),
            load.bytes(),
        ),
        UnsentEnd::Unseen => tracing::debug!("whether bytes are still on their way cannot be seen"),
    }
}

/// Waits until nothing is in flight either, as far as the proxy counts it.
pub(super) async fn until_idle(limits: UnsentLimits, proxy: Option<&Proxy>) -> UnsentEnd {
    let admin = proxy.and_then(|proxy| proxy.admin.as_ref()).map(Admin::new);
    watch(limits, proxy, admin).await
}

async fn watch(limits: UnsentLimits, proxy: Option<&Proxy>, mut admin: Option<Admin>) -> UnsentEnd {
    let (began, owner) = (Instant::now(), proxy.and_then(pod::owner_of));
    let mut sockets = Connections::open();
    let mut unsent = Unsent::new(limits);
    loop {
        match unsent.next(began.elapsed()) {
            UnsentStep::Over(end) => return end,
            UnsentStep::Rest(until) => sleep_until(began + until).await,
            UnsentStep::Look => {
                let told = sockets.all().map(|all| Load::of(&all, &owners::own(), owner));
                tracing::debug!(?told, "looked at what is on its way");
                let mut load = told.ok();
                if let (Some(load), Some(admin)) = (&mut load, &mut admin) {
                    load.in_flight = in_flight(admin).await;
                }
                unsent.on(began.elapsed(), load);
            }
        }
    }
}

/// Inbound requests by the counters that this proxy shows, 0 where it shows none (Istio hides its
/// stats unless told otherwise).
async fn in_flight(admin: &mut Admin) -> u64 {
    let until = Instant::now() + Duration::from_secs(1);
    let activity = match admin.read::<StatsPage>(until).await {
        Ok(Some(activity)) => Some(activity),
        _ => admin.read::<Clusters>(until).await.unwrap_or_default(),
    };
    activity.map_or(0, |activity| activity.requests + activity.connections)
}
