//! The proxy beside us, for whoever asks something of it.
//!
//! Owns when a proxy is certain enough for that; must never send it anything itself.

use std::time::Duration;

use super::waiter::Waiter;
use crate::core::exit::Exit;
use crate::core::mesh::Mesh;
use crate::core::proxy::{Given, Proxy};
use crate::core::signal::Signal;
use crate::core::waiting::change::Change;
use crate::core::waiting::pacing::WaitLimits;
use crate::core::waiting::step::{Ending, Step};
use crate::core::waiting::wait::{Wait, WaitPlan};
use crate::io::signals::StopSignals;

/// What is beside us: drained, judged and asked to end afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The proxy. `None` where there is none, and where an answer has shown that what listens is
    /// another server.
    pub(super) proxy: Option<Proxy>,
    /// Is it certain that it is this proxy? Whatever ends programs must be sent to no other server.
    pub(super) is_certain: bool,
    /// Why nobody can see who listens, where that is so.
    pub(super) unseen: Option<String>,
}

impl Found {
    /// What a wait knows.
    pub(super) fn of(wait: &Wait) -> Self {
        Self { proxy: wait.proxy().cloned(), is_certain: wait.is_certain(), unseen: None }
    }
}

/// How long it may take to find out whether what listens is a proxy.
const FOUND_WITHIN: Duration = Duration::from_secs(1);

/// The proxy that is there now, for what asks something of it: the one that the user named, or one
/// that is confirmed as the wait confirms it, so that no stranger on a proxy's port is sent a POST.
///
/// # Errors
/// The stop signal that came meanwhile.
pub(super) fn found_now(given: &Given, stop: &mut StopSignals) -> Result<Found, Signal> {
    if let Some(mesh) = given.mesh {
        return Ok(Found { proxy: Some(Proxy::at(mesh, given)), is_certain: true, unseen: None });
    }
    let limits = WaitLimits {
        timeout: Some(FOUND_WITHIN),
        absent_after: Some(Duration::ZERO),
        request_timeout: FOUND_WITHIN,
    };
    let plan = WaitPlan { given: given.clone(), injected: None, others: Vec::new(), limits };
    let mut waiter = Waiter::new(&plan, Wait::new(&plan).0, stop);
    let mut unseen = None;
    while !waiter.wait.is_certain() {
        let done = match waiter.wait.next(waiter.now()) {
            // That a proxy may come is of no use now.
            Step::Probe => Ok(waiter.wait.probed(false)),
            Step::List => Ok(waiter.list()),
            Step::Look { at, trust, until } => waiter.look(&at, trust, until),
            Step::Rest(until) => waiter.rest(until),
            Step::Over(Ending::Blind(why)) => {
                unseen = Some(why);
                break;
            }
            Step::GiveUp | Step::Over(_) => break,
        };
        match done.map_err(|failure| failure.exit) {
            Ok(Some(refuted @ Change::Refuted(..))) => {
                waiter.progress.tell(Some(refuted), waiter.now());
            }
            Ok(_) => {}
            Err(Exit::Signal(signal)) => return Err(signal),
            Err(_) => break,
        }
    }
    // Several ports of a mesh that nobody contradicts are more than the one of a plain Envoy.
    let Found { proxy, is_certain, .. } = Found::of(&waiter.wait);
    let proxy = proxy.filter(|proxy| is_certain || proxy.mesh != Mesh::Envoy);
    Ok(Found { proxy, is_certain, unseen })
}
