//! A proxy that was told to turn its clients away.
//!
//! Owns the judgement; must never guess who told it.

use crate::core::envoy::state::State;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, NotSeen, Seen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};

/// Does the proxy say that it drains?
///
/// # Errors
/// It does not say how it is.
pub fn judge(pages: &Pages) -> Diagnosed {
    let manifest = page(&pages.manifest)?;
    match manifest.server.state {
        None => Err(NotSeen::Hidden("the proxy does not say its state")),
        Some(State::Draining) => Ok(Some(draining().into()).into()),
        Some(_) => Ok(Seen::default()),
    }
}

fn draining() -> Finding {
    Finding {
        code: Code::ProxyDraining,
        severity: Severity::Error,
        seen: "the proxy is DRAINING".to_owned(),
        why: "so it fails its readiness and turns inbound clients away; without a deletion of the \
              pod nothing ends that"
            .to_owned(),
        remedy: "if the pod is not being deleted, somebody asked for /healthcheck/fail: take it \
                 back"
            .to_owned(),
        source: "state of /server_info; Envoy's /healthcheck/fail sets it",
    }
}
