//! What a supervised run says of its progress: one line at info for each step, so that its way can
//! be read from them.
//!
//! Owns the words; must never do anything. Each line comes after what it tells, and none is waited
//! for.

use std::time::Duration;

use crate::config::SuperviseSettings;
use crate::core::duration::Spoken;
use crate::core::exit::Exit;
use crate::core::signal::Signal;
use crate::core::stopping::lifecycle::{Action, Event, Lifecycle};
use crate::core::stopping::plan::Stop;

/// How long a stop may take: the kubelet knows only what the pod says.
pub(super) fn planned(settings: &SuperviseSettings, quitting: Duration) {
    let SuperviseSettings { drain, grace, pod_grace, .. } = *settings;
    match (Stop { drain, grace, quitting }).told(pod_grace) {
        Ok(None) => {}
        Ok(Some(sentence)) => tracing::info!(event = "plan", "{sentence}"),
        Err(sentence) => tracing::warn!(event = "plan", "{sentence}"),
    }
}

/// What came, and what was done about it.
pub(super) fn happened(event: Event, actions: &[Action], lifecycle: &Lifecycle) {
    let is_stop = matches!(event, Event::Came(signal) if lifecycle.is_stop(signal));
    match event {
        Event::Came(signal) if is_stop => {
            let number = signal.number();
            tracing::info!(event = "stop_signal", signal = number, "a stop signal has come");
        }
        Event::Ended(exit) => ended(exit),
        Event::Came(_) | Event::Drained | Event::Asked | Event::TimeOver => {}
    }
    for action in actions {
        match *action {
            Action::Stop(signal) => forwarded(signal),
            Action::Forward(signal) if is_stop => forwarded(signal),
            Action::Forward(signal) => {
                let number = signal.number();
                tracing::debug!(event = "forwarded", signal = number, "forwarded");
            }
            Action::Kill => tracing::warn!(
                event = "killed",
                "the application had not ended within {} of the stop signal (--grace): killed it",
                Spoken(lifecycle.grace().unwrap_or_default())
            ),
            Action::Drain | Action::Quit | Action::Exit(_) => {}
        }
    }
}

fn ended(exit: Exit) {
    let exit_code = exit.code();
    if let Exit::Signal(signal) = exit {
        let signal = signal.number();
        tracing::info!(
            event = "ended",
            signal,
            exit_code,
            "the application has been ended by a signal"
        );
    } else {
        tracing::info!(event = "ended", exit_code, "the application has ended");
    }
}

fn forwarded(signal: Signal) {
    let number = signal.number();
    tracing::info!(event = "forwarded", signal = number, "sent to the application");
}
