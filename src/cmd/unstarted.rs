//! `--quit` where the application never starts: nothing else ends the proxy, which may not even be
//! there yet.
//!
//! Owns the wait for that proxy; must never change the exit code that the run ends with.

use tokio::time::Instant;

use super::found::Found;
use super::quit::{self, Request};
use super::runtime::until_stopped;
use super::wait::{Waited, until_ready};
use super::waiter::WaitEnd;
use crate::config::Unstarted;
use crate::core::exit::Exit;
use crate::core::stopping::quit_when::Occasion;
use crate::io::signals::StopSignals;

/// What is known of the proxy when the application turns out not to start.
#[derive(Clone, Debug)]
pub(super) enum Beside {
    /// Nobody has waited for it.
    Unknown,
    /// It was waited for, and this came of it.
    Known(Found),
}

impl Beside {
    /// What was found.
    pub(super) fn found(&self) -> Found {
        match self {
            Self::Unknown => Found::default(),
            Self::Known(found) => found.clone(),
        }
    }
}

/// Waits for the proxy where nobody has, and asks it to end. `exit` is why the application does not
/// start, which has been told. A stop signal cuts the wait short, and ends the asking.
pub(super) fn quit(settings: &Unstarted, beside: Beside, exit: Exit, stop: &mut StopSignals) {
    let first = if matches!(beside, Beside::Unknown) { "waiting for the proxy, then " } else { "" };
    tracing::info!(
        event = "quitting",
        "the application has not started; {first}asking the proxy to end all the same, as --quit \
         says"
    );
    let (found, exit) = match beside {
        Beside::Known(found) => (found, exit),
        Beside::Unknown => wait(settings, exit, stop),
    };
    let request = Request {
        urls: settings.quit_urls.clone(),
        found,
        facts: None,
        occasion: Occasion::unstarted(exit, settings.grace),
        began: Instant::now(),
    };
    // The signal that ended the wait, if one did, has been taken: another one ends this, too.
    match until_stopped(stop, quit::ask_and_tell(request)) {
        Ok(Ok(())) => {}
        Ok(Err(signal)) => tracing::warn!(
            event = "quit_refused",
            signal = signal.number(),
            "{signal}: the proxy is not asked any longer"
        ),
        Err(failure) => {
            tracing::warn!(event = "quit_refused", "the proxy is not asked: {}", failure.sentence);
        }
    }
}

/// Whom to ask, and what the run ended by in the end.
fn wait(settings: &Unstarted, exit: Exit, stop: &mut StopSignals) -> (Found, Exit) {
    let Waited { found, end } = until_ready(&settings.wait, stop);
    match end {
        Ok(WaitEnd::Ready | WaitEnd::WithoutProxy) => (found, exit),
        Ok(WaitEnd::TimedOut(sentence)) => {
            tracing::warn!(event = "timed_out", "{sentence}");
            (found, exit)
        }
        Err(failure) => {
            tracing::warn!(event = failure.event, "{}", failure.sentence);
            (found, failure.exit)
        }
    }
}
