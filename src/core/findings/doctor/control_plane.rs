//! A proxy that has lost its control plane.
//!
//! Owns the judgement; must never call one look an error. A stream that is down at one moment is
//! usual: istiod drops each of them now and then, and Envoy waits before it connects anew.

use std::time::Duration;

use crate::core::envoy::counters::Counters;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::doctor::when::spoken;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// For how long a stream may be down before that is more than a reconnection.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// istiod drops each stream after 30 min, and a new one brings all clusters: a healthy proxy takes
/// them at least that often.
const STALE_AFTER: Duration = Duration::from_hours(1);

/// Is the proxy connected, and is its configuration recent?
///
/// # Errors
/// The counters could not be read, or are hidden.
pub fn judge(pages: &Pages) -> Diagnosed {
    let counters = page(&pages.counters)?;
    match is_connected(counters) {
        None => Err(NotSeen::Hidden(
            "the proxy shows no connection to a control plane (it may have its configuration from \
             files)",
        )),
        Some(false) => Ok(Some(lost(pages, counters)).into()),
        Some(true) => Ok(stale(pages, counters).into()),
    }
}

/// Is the proxy's stream open? `None` where its counters do not tell. Istio's own cluster is
/// shown; with `usedonly` a stream that never was is absent.
#[must_use]
pub fn is_connected(counters: &Counters) -> Option<bool> {
    match (counters.xds_streams, counters.xds_connections, counters.connected) {
        (Some(streams), ..) => Some(streams > 0),
        (None, Some(_), _) => Some(false),
        (None, None, connected) => connected.map(|connected| connected > 0),
    }
}

fn lost(pages: &Pages, counters: &Counters) -> Diagnosis {
    let failures = |counters: &Counters| counters.cds.failures.max(counters.lds.failures);
    let age = age(pages, counters);
    let is_old = age.map_or_else(
        || counters.uptime.is_some_and(|uptime| Duration::from_secs(uptime) > LOST_AFTER),
        |age| age > LOST_AFTER,
    );
    let later = pages.later.as_ref().filter(|(_, later)| is_connected(later) == Some(false));
    let (looked, is_lost) = match later {
        Some((span, later)) => {
            let goes_on = failures(later) > failures(counters);
            (
                format!(" (2 looks in {})", spoken((*span).max(Duration::from_secs(1)))),
                *span >= LOST_AFTER || (goes_on && is_old),
            )
        }
        None => (String::new(), false),
    };
    let since = match age {
        Some(age) => format!("its configuration is {} old", spoken(age)),
        None => "it has never got any configuration".to_owned(),
    };
    let finding = Finding {
        code: Code::ControlPlaneLost,
        severity: if is_lost { Severity::Error } else { Severity::Warning },
        seen: format!("the proxy has no connection to its control plane{looked}; {since}"),
        why:
            "so changes, new endpoints and new certificates do not arrive, and pods that are gone \
              are still called"
                .to_owned(),
        remedy: if is_lost {
            format!(
                "{}: does it run, does a NetworkPolicy forbid it, has the root certificate \
                 changed?",
                control_plane(pages)
            )
        } else {
            "look again in half a minute (--deep does): after a restart of the control plane this \
             is usual"
                .to_owned()
        },
        source: "this proxy's counters of its xDS stream (/stats)",
    };
    let old = age.map_or(0, |age| age.as_secs());
    Diagnosis::from(finding).number("failures", failures(counters)).number("age_s", old)
}

/// Only Istio is known to bring clusters that often.
fn stale(pages: &Pages, counters: &Counters) -> Option<Diagnosis> {
    let age = age(pages, counters).filter(|age| *age > STALE_AFTER && pages.mesh == Mesh::Istio)?;
    let finding = Finding {
        code: Code::ControlPlaneLost,
        severity: Severity::Warning,
        seen: format!(
            "the proxy took its last configuration {} ago, though it is connected",
            spoken(age)
        ),
        why: "so it may not have what was changed since: istiod sends all clusters at least every \
              half hour"
            .to_owned(),
        remedy: "istioctl proxy-status shows whether istiod takes this proxy for SYNCED; see \
                 istiod's log"
            .to_owned(),
        source: "cluster_manager.cds.update_time of this proxy (/stats); istiod's \
                 keepaliveMaxServerConnectionAge",
    };
    Some(Diagnosis::from(finding).number("age_s", age.as_secs()))
}

fn age(pages: &Pages, counters: &Counters) -> Option<Duration> {
    let last = Duration::from_millis(counters.cds.last_success.or(counters.lds.last_success)?);
    Some(pages.now.saturating_sub(last))
}

fn control_plane(pages: &Pages) -> String {
    let manifest = pages.manifest.as_ref().ok();
    let address = manifest.and_then(|manifest| manifest.discovery_address.clone());
    address.unwrap_or_else(|| "the control plane".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::findings::doctor::fixtures::healthy;

    /// A proxy whose stream is down, with so many failures, its configuration so old.
    fn lost(failures: u64, age: Duration) -> Pages {
        let mut pages = healthy();
        let now = pages.now;
        let counters = pages.counters.as_mut().unwrap();
        counters.xds_streams = Some(0);
        counters.cds.failures = failures;
        let last = u64::try_from(now.saturating_sub(age).as_millis()).unwrap();
        counters.cds.last_success = Some(last);
        pages
    }

    fn severity(pages: &Pages) -> Option<Severity> {
        judge(pages).unwrap().found.first().map(|found| found.finding.severity)
    }

    #[test]
    fn a_stream_that_is_down_at_one_moment_is_a_warning() {
        let minutes = Duration::from_mins(10);
        assert_eq!(severity(&healthy()), None);
        assert_eq!(severity(&lost(5, minutes)), Some(Severity::Warning));
        let later = |failures, span| {
            let mut pages = lost(5, minutes);
            let mut counters = pages.counters.clone().unwrap();
            counters.cds.failures = failures;
            pages.later = Some((span, counters));
            pages
        };
        let second = Duration::from_secs(1);
        assert_eq!(severity(&later(5, second)), Some(Severity::Warning));
        assert_eq!(severity(&later(6, second)), Some(Severity::Error));
        assert_eq!(severity(&later(5, Duration::from_secs(30))), Some(Severity::Error));
        let mut back = later(6, second);
        back.later.as_mut().unwrap().1.xds_streams = Some(1);
        assert_eq!(severity(&back), Some(Severity::Warning));
        let mut young = later(6, second);
        let now = u64::try_from(young.now.as_millis()).unwrap();
        young.counters.as_mut().unwrap().cds.last_success = Some(now - 5_000);
        assert_eq!(severity(&young), Some(Severity::Warning));
    }

    #[test]
    fn old_configuration_of_a_connected_proxy_is_a_warning_under_istio() {
        let mut pages = lost(0, Duration::from_hours(2));
        pages.counters.as_mut().unwrap().xds_streams = Some(1);
        assert_eq!(severity(&pages), Some(Severity::Warning));
        pages.mesh = Mesh::Envoy;
        assert_eq!(severity(&pages), None);
    }

    #[test]
    fn what_is_hidden_is_not_called_connected() {
        let mut pages = healthy();
        let counters = pages.counters.as_mut().unwrap();
        (counters.xds_streams, counters.xds_connections) = (None, None);
        assert!(matches!(judge(&pages), Err(NotSeen::Hidden(_))));
        pages.counters.as_mut().unwrap().connected = Some(0);
        assert_eq!(severity(&pages), Some(Severity::Warning));
    }
}
