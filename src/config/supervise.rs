//! How to stay as the application's parent, and how to end it and the proxy.
//!
//! Owns which settings imply a parent, and which have no effect without one; must never start or
//! signal anything.

use std::ffi::OsString;
use std::time::Duration;

use super::proxy::Remote;
use super::reader::{Reader, Wrong};
use crate::cli::SuperviseArgs;
use crate::core::duration;
use crate::core::endpoint::Endpoint;
use crate::core::signal::{Signal, UnknownSignal};
use crate::core::stopping::lifecycle::Rules;
use crate::core::stopping::plan::Times;
use crate::core::stopping::quit_when::QuitWhen;
use crate::core::stopping::signal_map::{Mapping, SignalMap};
use crate::core::stopping::stop_set::StopSet;

/// Settings of a supervised run.
#[derive(Debug)]
pub struct SuperviseSettings {
    /// Drain before stopping.
    pub drain: Option<Times>,
    /// From the first stop signal until we kill; `None` is never.
    pub grace: Option<Duration>,
    /// When the kubelet kills, `terminationGracePeriodSeconds`: plans are only judged by it.
    pub pod_grace: Option<Duration>,
    /// When to end the proxy.
    pub quit: QuitWhen,
    /// Whom to ask; empty is the mesh's own.
    pub quit_urls: Vec<Endpoint>,
    /// Signals go to the application's process group, not to it alone.
    pub signal_group: bool,
    /// What the application gets.
    pub map: SignalMap,
    /// Exit codes that count as 0.
    pub ok_exit: Vec<u8>,
    /// What the kernel sends us when our parent dies.
    pub parent_death: Option<Signal>,
}

impl SuperviseSettings {
    /// What the lifecycle needs to know.
    #[must_use]
    pub fn rules(&self, stops: StopSet) -> Rules {
        Rules {
            stops,
            map: self.map.clone(),
            ok_exit: self.ok_exit.clone(),
            drain: self.drain.is_some(),
            grace: self.grace,
            quit: self.quit,
        }
    }

    /// Does what the proxy says about itself matter?
    #[must_use]
    pub fn needs_facts(&self) -> bool {
        self.drain.is_some() || self.quit != QuitWhen::Never
    }
}

impl Reader<'_> {
    /// `None` inside where the command is to be exec'd.
    pub(super) fn supervise(
        &mut self,
        args: &SuperviseArgs,
        remote: Remote,
    ) -> Result<Option<SuperviseSettings>, Wrong> {
        let supervise = self.flag("supervise", args.supervise.as_ref());
        let drain = self.flag("drain", args.drain.as_ref());
        let grace = self.optional("grace", args.grace.as_ref(), duration::parse);
        let times =
            self.times(&args.times, grace.unwrap_or_default().filter(|_| drain == Ok(true)));
        let quit = self.quit_when(args.quit.as_ref());
        let pod_grace = self.pod_grace();
        let quit_urls = self.quit_urls(&args.urls, remote);
        let mappings = self.list("map_signal", &args.map_signal, str::parse::<Mapping>);
        let map = mappings.and_then(|mappings| {
            SignalMap::of(&mappings).map_err(|error| self.problem("map_signal", error))
        });
        let signal_group = self.flag("signal_group", args.signal_group.as_ref());
        let ok_exit = self.list("ok_exit", &args.ok_exit, exit_code);
        let parent_death = self.optional(
            "parent_death_signal",
            args.parent_death_signal.as_ref(),
            standard_signal,
        );
        let (drain, quit) = (drain?, quit?);
        let supervised = supervise? || drain || quit != QuitWhen::Never;
        let settings = SuperviseSettings {
            drain: if drain { Some(times?) } else { None },
            grace: grace?,
            quit,
            pod_grace: pod_grace?,
            quit_urls: quit_urls?,
            signal_group: signal_group?,
            map: map?,
            ok_exit: ok_exit?,
            parent_death: parent_death?,
        };
        self.no_effect(args, &settings, supervised);
        times?;
        Ok(supervised.then_some(settings))
    }

    /// `--quit`.
    pub(super) fn quit_when(&mut self, typed: Option<&OsString>) -> Result<QuitWhen, Wrong> {
        let choices = [
            ("never", QuitWhen::Never),
            ("always", QuitWhen::Always),
            ("on-success", QuitWhen::OnSuccess),
            ("on-stop", QuitWhen::OnStop),
        ];
        self.choice("quit", typed, QuitWhen::Never, &choices)
    }

    /// A bare number counts seconds here, as the field of the pod does.
    fn pod_grace(&mut self) -> Result<Option<Duration>, Wrong> {
        let Some(text) = self.own_variable("POD_GRACE") else { return Ok(None) };
        let parsed = match text.trim() {
            "" => return Ok(None),
            text => {
                text.parse().map(Duration::from_secs).or_else(|_| duration::parse(text)).map_err(
                    |_| format!("`{text}` is no time; write terminationGracePeriodSeconds, as 30"),
                )
            }
        };
        parsed.map(Some).map_err(|problem| self.problem_of_variable("POD_GRACE", problem))
    }

    /// Settings that only a parent can follow, or one that drains or quits. The variables of the
    /// latter are also those of `meshim drain` and `meshim quit` in the same container.
    fn no_effect(&mut self, args: &SuperviseArgs, settings: &SuperviseSettings, supervised: bool) {
        if settings.quit == QuitWhen::Never && !args.urls.quit_url.is_empty() {
            self.problem(
                "quit_url",
                "has no effect without --quit; add --quit always or --quit on-success",
            );
        }
        let times = [
            ("drain_min", &args.times.drain_min),
            ("drain_max", &args.times.drain_max),
            ("drain_quiet", &args.times.drain_quiet),
        ];
        for (id, _) in times.into_iter().filter(|(_, typed)| typed.is_some()) {
            if settings.drain.is_none() {
                self.problem(id, "has no effect without --drain; add it");
            }
        }
        let given = [
            ("grace", settings.grace.is_some()),
            ("map_signal", settings.map != SignalMap::default()),
            ("signal_group", settings.signal_group),
            ("ok_exit", !settings.ok_exit.is_empty()),
            ("parent_death_signal", settings.parent_death.is_some()),
        ];
        for (id, _) in given.into_iter().filter(|(_, given)| *given && !supervised) {
            self.problem(
                id,
                "has no effect on an application that meshim becomes; add --supervise",
            );
        }
    }
}

fn exit_code(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| format!("`{text}` is no exit code; write a number from 0 to 255"))
}

fn standard_signal(text: &str) -> Result<Signal, String> {
    let signal: Signal = text.parse().map_err(|error: UnknownSignal| error.to_string())?;
    if signal.number() < 32 {
        Ok(signal)
    } else {
        Err(format!("`{text}` is a real-time signal; write a standard one, as TERM"))
    }
}

#[cfg(test)]
mod tests;
