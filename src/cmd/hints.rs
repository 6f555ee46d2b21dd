//! The last questions of a wait that is out of time: what the proxy says that it is missing.
//!
//! Owns which pages are asked and for how long; must never explain them.

use std::time::{Duration, Instant};

use super::page::read;
use crate::core::answer::printable;
use crate::core::envoy::counters::CountersPage;
use crate::core::envoy::init_dump::InitDump;
use crate::core::envoy::listeners::ListenersPage;
use crate::core::signal::Signal;
use crate::core::waiting::not_ready::Hints;
use crate::core::waiting::wait::Wait;
use crate::io::signals::StopSignals;

/// How long the proxy may take, once the time is over, to say what it waits for.
const HINTS_WITHIN: Duration = Duration::from_millis(500);

/// So many rejected listeners are named.
const MOST_REJECTED: usize = 2;

/// What can be found out at the end, where there is an Envoy to ask. Whoever has not answered a
/// look would not answer this either, and the wait would only become longer.
///
/// # Errors
/// A stop signal.
pub(super) fn hints(wait: &Wait, stop: &mut StopSignals) -> Result<Hints, Signal> {
    let admin = wait.proxy().filter(|_| wait.speaks());
    let Some(admin) = admin.and_then(|proxy| proxy.admin.clone()) else {
        return Ok(Hints::default());
    };
    let until = Instant::now() + HINTS_WITHIN;
    if !wait.is_live() {
        let unready = read::<InitDump>(&admin, until, stop)?.unwrap_or_default();
        return Ok(Hints { unready, rejected: Vec::new() });
    }
    let listeners = read::<ListenersPage>(&admin, until, stop)?.unwrap_or_default();
    let mut rejected: Vec<String> = listeners
        .rejected
        .iter()
        .take(MOST_REJECTED)
        .map(|one| printable(format!("{}: {}", one.name, one.details).as_bytes(), 200))
        .collect();
    if rejected.is_empty() {
        let counters = read::<CountersPage>(&admin, until, stop)?.unwrap_or_default();
        let counted = [("cds", counters.cds), ("lds", counters.lds)].into_iter();
        let counted = counted.filter(|(_, updates)| updates.rejections > 0);
        rejected.extend(
            counted
                .map(|(name, updates)| format!("{name}.update_rejected: {}", updates.rejections)),
        );
    }
    Ok(Hints { unready: Vec::new(), rejected })
}
