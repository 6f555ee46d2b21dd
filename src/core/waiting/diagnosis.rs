//! Why something is not ready: the last things seen, turned into a likely cause and a remedy.
//!
//! Owns the words of waiting; must never look anywhere itself.

use crate::core::endpoint::Endpoint;
use crate::core::mesh::Mesh;
use crate::core::profile::Ready;
use crate::core::waiting::causes::advice;
use crate::core::waiting::not_ready::{NotReady, SeenAt};
use crate::core::waiting::observation::Observation;

/// What was last seen of a proxy, and what may be behind it.
#[must_use]
pub fn explain(case: &NotReady<'_>) -> String {
    let looks = if case.looks == 1 { "1 look".to_owned() } else { format!("{} looks", case.looks) };
    format!("{} ({looks}); {}", last_seen(&case.seen), advice(case))
}

/// `http://127.0.0.1:15000/ready: 503 PRE_INITIALIZING`, for each endpoint that was looked at.
#[must_use]
pub fn last_seen(seen: &[SeenAt<'_>]) -> String {
    let each: Vec<String> =
        seen.iter().map(|(endpoint, seen)| format!("{endpoint}: {seen}")).collect();
    if each.is_empty() { "no look has been answered yet".to_owned() } else { each.join(", ") }
}

/// What to say where no port showed any mesh at all.
#[must_use]
pub fn nothing_found<'a>(
    strangers: impl Iterator<Item = (Mesh, &'a Observation)>,
    is_redirected: bool,
    is_injected: bool,
) -> String {
    let mut text = if is_injected {
        "no mesh's proxy listens in this pod, although MESHIM_INJECTED says that it has a sidecar: \
         is that running? Look at its log. A proxy on ports of its own needs --mesh or --admin-url"
            .to_owned()
    } else if is_redirected {
        "no mesh's proxy listens in this pod, and its traffic is redirected to one (a connection \
         to an address that nobody has was taken): is the sidecar running, and its control plane \
         reachable? Look at the sidecar's log"
            .to_owned()
    } else {
        "no mesh's proxy listens in this pod: is a sidecar injected (look for a second \
         container)? A proxy on ports of its own needs --mesh or --admin-url; a pod without a \
         mesh, --mesh none or --absent-after"
            .to_owned()
    };
    for (mesh, seen) in strangers {
        use std::fmt::Write as _;
        let _ = write!(text, "; the {mesh} proxy's port was tried and answered {seen}");
    }
    text
}

/// What to say of something else that is not ready.
#[must_use]
pub fn of_other(at: &Ready<Endpoint>, seen: Option<&Observation>) -> String {
    let cause = match seen {
        None => "it was not looked at yet".to_owned(),
        Some(seen) if seen.is_nobody() => format!("{seen}: is that sidecar running?"),
        Some(seen) => seen.to_string(),
    };
    format!("{at}, which --wait-for names: {cause}")
}

#[cfg(test)]
mod tests;
