//! What a wait says of its progress: one line for each change, and one from time to time while
//! nothing changes.
//!
//! Owns the words; must never do anything.

use std::time::Duration;

use crate::core::duration::{Spoken, millis};
use crate::core::waiting::change::Change;
use crate::core::waiting::not_ready::Hints;
use crate::core::waiting::wait::Wait;

/// What was told so far.
pub(super) struct Progress {
    timeout: Option<Duration>,
    told_of_search: bool,
}

impl Progress {
    /// Nothing yet, of a wait that ends after `timeout`.
    pub(super) const fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, told_of_search: false }
    }

    /// Says that the wait goes on, and why.
    pub(super) fn goes_on(wait: &Wait, now: Duration) {
        let (missing, why) = (wait.subject("is", "are"), wait.explain(&Hints::default()));
        let mesh = wait.proxy().map(|proxy| proxy.mesh.to_string());
        tracing::warn!(
            event = "not_ready",
            mesh,
            waited_ms = millis(now),
            "{missing} not ready after {}: {why}",
            Spoken(now)
        );
    }

    /// Says what has changed.
    pub(super) fn tell(&mut self, change: Option<Change>, now: Duration) {
        let Some(change) = change else { return };
        let (waited_ms, timeout_ms) = (millis(now), self.timeout.map(millis));
        let for_ever = if timeout_ms.is_none() { ", for ever" } else { "" };
        match change {
            Change::Searching if std::mem::replace(&mut self.told_of_search, true) => {}
            Change::Searching => tracing::info!(
                event = "waiting",
                timeout_ms,
                "waiting for a proxy to show up in this pod{for_ever}"
            ),
            Change::WaitingFor(mesh, ready) => tracing::info!(
                event = "waiting",
                %mesh,
                %ready,
                timeout_ms,
                "waiting for the proxy{for_ever}"
            ),
            Change::Refuted(mesh, url, seen) => tracing::warn!(
                event = "not_the_proxy",
                %mesh,
                "{url} answers {seen}: that is not the {mesh} proxy, looking for another"
            ),
            Change::ProxyReady(mesh, looks) => {
                tracing::info!(event = "ready", %mesh, waited_ms, looks, "the proxy is ready");
            }
            Change::OtherReady(url) => {
                tracing::info!(event = "other_ready", %url, waited_ms, "ready, as --wait-for asks");
            }
            Change::AskingAgain(mesh) => tracing::debug!(%mesh, "asking again"),
            Change::Agent(name, true) => tracing::debug!("{name} runs"),
            Change::Agent(name, false) => tracing::debug!("{name} is gone"),
            Change::Absent | Change::Ambient | Change::NotInjected | Change::Redirected => {
                tell_of_nobody(&change, now);
            }
        }
    }
}

/// What else says whether there is a proxy at all.
fn tell_of_nobody(change: &Change, now: Duration) {
    match change {
        Change::Absent => tracing::info!(
            event = "no_proxy",
            waited_ms = millis(now),
            "no proxy has shown up within {}: going on without one",
            Spoken(now)
        ),
        Change::Ambient => tracing::info!(
            event = "no_proxy",
            mesh = "ambient",
            "this pod is in an ambient mesh: there is no sidecar to wait for"
        ),
        Change::NotInjected => tracing::info!(
            event = "no_proxy",
            "MESHIM_INJECTED is empty, so this pod has no sidecar to wait for"
        ),
        _ => tracing::info!(
            event = "redirected",
            waited_ms = millis(now),
            "nobody listens yet, but this pod's traffic is redirected to a proxy: waiting on, in \
             spite of --absent-after"
        ),
    }
}
