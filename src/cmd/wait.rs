//! `meshim wait`, and the waiting of the default job.
//!
//! Owns what the end of a wait means for a run; must never look at anything itself: that is
//! `waiter`'s.

use super::found::Found;
use super::waiter::{WaitEnd, Waiter};
use crate::core::exit::{Exit, Failure};
use crate::core::waiting::wait::{Wait, WaitPlan};
use crate::io::signals::StopSignals;

/// `meshim wait`: 0 when the proxy is ready or there is none to wait for, 1 when it is not in time.
///
/// # Errors
/// Settings that only show now (no /proc for `auto`), the timeout, a stop signal.
pub fn wait(plan: &WaitPlan, mut stop: StopSignals) -> Result<Exit, Failure> {
    match until_ready(plan, &mut stop).end? {
        WaitEnd::Ready | WaitEnd::WithoutProxy => Ok(Exit::Yes),
        WaitEnd::TimedOut(sentence) => Err(Failure::timed_out(Exit::No, sentence)),
    }
}

/// What a wait came to.
#[derive(Debug)]
pub(super) struct Waited {
    /// What it was for.
    pub(super) found: Found,
    /// How it ended; a [`Failure`] for a stop signal and for what the kernel refuses.
    pub(super) end: Result<WaitEnd, Failure>,
}

/// Waits until everything that `plan` names is ready.
pub(super) fn until_ready(plan: &WaitPlan, stop: &mut StopSignals) -> Waited {
    let (wait, first) = Wait::new(plan);
    let mut waiter = Waiter::new(plan, wait, stop);
    if let (Some(_), Some(mesh)) = (plan.injected, plan.given.mesh) {
        tracing::info!(
            event = "injected_unheard",
            %mesh,
            "MESHIM_INJECTED is not heard, since the mesh is named"
        );
    }
    waiter.progress.tell(first, waiter.now());
    let end = waiter.until_over();
    Waited { found: Found::of(&waiter.wait), end }
}
