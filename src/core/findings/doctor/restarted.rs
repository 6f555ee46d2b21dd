//! A proxy that is younger than the application.
//!
//! Owns the judgement; must never say why it was restarted: the proxy's cgroup and processes are
//! another container's, so its age is all that shows.

use std::time::Duration;

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::doctor::when::spoken;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// A classic sidecar may start this much later: its image is pulled after the application's.
const LATER_BY: Duration = Duration::from_mins(2);

/// Is the proxy minutes younger than this container's processes?
///
/// # Errors
/// One of the two ages is not known.
pub fn judge(pages: &Pages) -> Diagnosed {
    let container = page(&pages.container)?;
    let Some(application) = container.age else {
        return Err(NotSeen::System("no process of the application is seen here".to_owned()));
    };
    let proxy = if pages.mesh == Mesh::Linkerd {
        let started = page(&pages.linkerd)?.started;
        started.map(|started| pages.now.saturating_sub(Duration::from_secs(started)))
    } else {
        let manifest = page(&pages.manifest)?;
        // A hot restart is on purpose.
        manifest.uptime_all.or(manifest.uptime)
    };
    let Some(proxy) = proxy else {
        return Err(NotSeen::Hidden("the proxy does not say how long it has run"));
    };
    if application.saturating_sub(proxy) <= LATER_BY {
        return Ok(Seen::default());
    }
    let container = pages.mesh.profile().container;
    let is_native = pages.manifest.as_ref().is_ok_and(|manifest| manifest.server.is_native());
    let list = if is_native { "initContainerStatuses" } else { "containerStatuses" };
    let finding = Finding {
        code: Code::ProxyRestarted,
        severity: Severity::Warning,
        seen: format!(
            "the proxy has run for {}, the application for {}",
            spoken(proxy),
            spoken(application)
        ),
        why: "so it was started anew under the application: out of memory, a crash or a liveness \
              probe; its counters and connections are gone"
            .to_owned(),
        remedy: "the kubelet knows why its last run ended".to_owned(),
        source: "the uptime in /server_info (process_start_time_seconds of Linkerd), and the age \
                 of this container's oldest process",
    };
    let snippet = format!(
        "kubectl get pod POD -o jsonpath='{{.status.{list}[?(@.name==\"{container}\")].lastState}}'"
    );
    let ages = Diagnosis::from(finding)
        .with(snippet)
        .number("proxy_age_s", proxy.as_secs())
        .number("application_age_s", application.as_secs());
    Ok(Some(ages).into())
}
