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
mod tests {
    use super::super::Job;
    use super::super::tests::{loaded, refused, run, run_with};
    use super::*;

    fn supervised(args: &[&str]) -> Option<SuperviseSettings> {
        run(args).supervise
    }

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn the_command_is_execd_unless_something_needs_its_parent() {
        assert!(supervised(&[]).is_none());
        assert!(supervised(&["--quit=never"]).is_none());
        for args in
            [&["--supervise"][..], &["--drain"], &["--quit=always"], &["--quit", "on-success"]]
        {
            assert!(supervised(args).is_some(), "{args:?}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let settings = supervised(&["--drain"]).unwrap();
        assert_eq!(
            settings.drain,
            Some(Times { min: seconds(5), max: seconds(15), quiet: seconds(2), grace: None })
        );
        assert_eq!((settings.grace, settings.quit), (None, QuitWhen::Never));
        assert!(!settings.signal_group);
        assert_eq!(settings.map, SignalMap::default());
        assert!(
            settings.ok_exit.is_empty()
                && settings.quit_urls.is_empty()
                && settings.parent_death.is_none()
        );
        assert!(supervised(&["--supervise"]).unwrap().drain.is_none());
    }

    #[test]
    fn repeatable_options_are_repeated_or_separated_by_commas() {
        for args in [&["--ok-exit=143", "--ok-exit=1"][..], &["--ok-exit=143,1"]] {
            assert_eq!(supervised(&[args, &["--supervise"]].concat()).unwrap().ok_exit, [143, 1]);
        }
        let urls = "--quit-url=http://127.0.0.1:1/a,unix:/b.sock:/c";
        assert_eq!(supervised(&["--quit=always", urls]).unwrap().quit_urls.len(), 2);
        let settings = supervised(&[
            "--supervise",
            "--map-signal=TERM:QUIT,HUP:0",
            "--parent-death-signal=KILL",
        ])
        .unwrap();
        assert_eq!(settings.map.delivered(Signal::TERM), Some(Signal::QUIT));
        assert_eq!(settings.parent_death, Some(Signal::KILL));
    }

    #[test]
    fn variables_are_read_as_options_are_and_yield_to_them() {
        let variables = [("MESHIM_OK_EXIT", "143, 1,"), ("MESHIM_SUPERVISE", "true")];
        assert_eq!(run_with(&[], &variables).supervise.unwrap().ok_exit, [143, 1]);
        let typed = run_with(&["--ok-exit=7"], &variables).supervise.unwrap();
        assert_eq!(typed.ok_exit, [7], "typed values replace the variable's");
    }

    #[test]
    fn the_switch_off_of_the_mesh_switches_the_asking_off() {
        let settings = supervised(&["--quit=always", "--mesh=none"]).unwrap();
        assert_eq!(settings.quit, QuitWhen::Always);
    }

    #[test]
    fn the_pods_grace_period_is_read_as_the_pod_writes_it() {
        let read = |value| {
            run_with(&["--supervise"], &[("MESHIM_POD_GRACE", value)]).supervise.unwrap().pod_grace
        };
        assert_eq!(
            (read("30"), read("45s"), read("")),
            (Some(seconds(30)), Some(seconds(45)), None)
        );
        let error = refused(&["--supervise", "--", "app"], &[("MESHIM_POD_GRACE", "long")]);
        assert!(error.starts_with("MESHIM_POD_GRACE: `long` is no time; write"), "{error}");
    }

    /// `meshim drain` and `meshim quit` in the same container read these variables, too.
    #[test]
    fn what_a_hook_of_the_same_container_reads_may_be_in_a_variable() {
        for (name, value) in [
            ("MESHIM_DRAIN_MIN", "1s"),
            ("MESHIM_DRAIN_MAX", "1s"),
            ("MESHIM_DRAIN_QUIET", "1s"),
            ("MESHIM_QUIT_URL", "http://127.0.0.1:1/"),
        ] {
            assert!(run_with(&[], &[(name, value)]).supervise.is_none(), "{name}");
            // The hook has returned when the grace period begins.
            run_with(&["--supervise", "--grace=500ms"], &[(name, value)]);
        }
        let error = refused(&["--", "app"], &[("MESHIM_GRACE", "5s")]);
        assert!(
            error.starts_with("MESHIM_GRACE (the variable of --grace): has no effect"),
            "{error}"
        );
    }

    #[test]
    fn contradictions_are_refused_with_the_remedy() {
        let table: [(&[&str], &str); 15] = [
            (&["--grace=5s"], "--grace: has no effect on an application that meshim becomes"),
            (&["--drain-min=1s"], "--drain-min: has no effect without --drain"),
            (&["--drain-max=1s", "--supervise"], "--drain-max: has no effect without --drain"),
            (&["--drain-quiet=1s", "--quit=always"], "--drain-quiet: has no effect without"),
            (&["--drain=false", "--drain-min=1s"], "--drain-min: has no effect without --drain"),
            (&["--quit-url=http://127.0.0.1:1/"], "--quit-url: has no effect without --quit"),
            (&["--quit=always", "--quit-url=http://10.0.0.1/"], "leads out of this pod"),
            (
                &["--quit=sometimes"],
                "--quit: `sometimes` is not one of never, always, on-success, on-stop",
            ),
            (
                &["--map-signal=TERM:QUIT"],
                "--map-signal: has no effect on an application that meshim becomes",
            ),
            (&["--ok-exit=143"], "add --supervise"),
            (&["--parent-death-signal=TERM"], "add --supervise"),
            (&["--signal-group"], "add --supervise"),
            (&["--supervise", "--ok-exit=256"], "`256` is no exit code"),
            (&["--supervise", "--map-signal=TERM:QUIT,15:0"], "SIGTERM is mapped twice"),
            (&["--supervise", "--parent-death-signal=RTMIN"], "is a real-time signal"),
        ];
        for (args, part) in table {
            let error = refused(&[args, &["--", "app"]].concat(), &[]);
            assert!(error.contains(part), "{args:?}: {error}");
        }
        let wrong = ["--drain", "--grace=x", "--drain-min=1", "--ok-exit=a", "--", "app"];
        let error = refused(&wrong, &[]);
        assert!(error.contains("3 settings are wrong"), "{error}");
    }

    #[test]
    fn the_subcommands_read_their_part() {
        let Ok(Job::Drain(drain)) =
            loaded(&["drain", "--drain-min=1s", "--admin-url=http://127.0.0.1:1"], &[])
        else {
            panic!()
        };
        assert_eq!((drain.times.min, drain.times.max), (seconds(1), seconds(15)));
        assert!(drain.given.has_urls());
        let Ok(Job::Quit(quit)) = loaded(&["quit", "--quit-url=http://127.0.0.1:1/q"], &[]) else {
            panic!()
        };
        assert_eq!((quit.urls.len(), quit.given.has_urls()), (1, false));
        assert!(loaded(&["drain", "--", "app"], &[]).is_err());
    }
}
