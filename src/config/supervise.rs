//! How to stay as the application's parent, and how to end it and the proxy.

use std::time::Duration;

use super::reader::Reader;
use super::wait::parse_url;
use crate::cli::{DrainArgs, DrainTimesArgs, ProxyArgs, QuitArgs, QuitUrlArgs, RunArgs};
use crate::core::duration::{self, Spoken};
use crate::core::endpoint::Endpoint;
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
use crate::core::signal::{Signal, UnknownSignal};
use crate::core::stopping::drain::Times;
use crate::core::stopping::lifecycle::{QuitWhen, Rules};
use crate::core::stopping::signal_map::{Mapping, SignalMap};

/// Settings of a supervised run.
#[derive(Debug)]
pub struct Supervise {
    /// Drain before stopping.
    pub drain: Option<Times>,
    /// From the first stop signal until we kill.
    pub grace: Duration,
    /// When to end the proxy.
    pub quit: QuitWhen,
    /// Whom to ask; empty is the mesh's own.
    pub quit_urls: Vec<Endpoint>,
    /// What the application gets.
    pub map: SignalMap,
    /// Exit codes that count as 0.
    pub ok_exit: Vec<u8>,
    /// What the kernel sends us when our parent dies.
    pub parent_death: Option<Signal>,
}

impl Supervise {
    /// What the lifecycle needs to know.
    #[must_use]
    pub fn rules(&self) -> Rules {
        Rules {
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

/// Settings of `meshim drain`.
#[derive(Debug)]
pub struct Drain {
    /// Which proxy; `None` is learnt from what listens in the pod.
    pub proxy: Option<Proxy>,
    /// How long.
    pub times: Times,
}

/// Settings of `meshim quit`.
#[derive(Debug)]
pub struct Quit {
    /// Which proxy; `None` is learnt from what listens in the pod.
    pub proxy: Option<Proxy>,
    /// Whom to ask; empty is the mesh's own.
    pub urls: Vec<Endpoint>,
}

impl Reader<'_> {
    /// `None` inside where the command is to be exec'd.
    #[expect(clippy::option_option, reason = "not wanted and wrong are two things")]
    pub(super) fn supervise(&mut self, run: &RunArgs) -> Option<Option<Supervise>> {
        let args = &run.supervise;
        let supervise = self.flag("supervise", &args.supervise);
        let drain = self.flag("drain", &args.drain);
        let grace = self.read("grace", &args.grace, duration::parse);
        let times = self.times(&args.times, grace);
        let choices = [
            ("never", QuitWhen::Never),
            ("always", QuitWhen::Always),
            ("on-success", QuitWhen::OnSuccess),
        ];
        let quit = self.choice("quit", &args.quit, &choices);
        let quit_urls = self.quit_urls(&args.urls, &run.wait.proxy);
        let map = self.read("map_signal", "", |_| signal_map(&args.map_signal));
        let ok_exit: Vec<Option<u8>> =
            args.ok_exit.iter().map(|text| self.read("ok_exit", text, exit_code)).collect();
        let parent_death = self.optional(
            "parent_death_signal",
            args.parent_death_signal.as_ref(),
            standard_signal,
        );
        let (drain, quit) = (drain?, quit?);
        let supervised = supervise? || drain || quit != QuitWhen::Never;
        self.no_effect_alone(run, supervised, quit);
        if quit != QuitWhen::Never
            && args.urls.quit_url.is_empty()
            && run.wait.proxy.mesh == Mesh::None.to_string()
        {
            self.problem(
                "quit",
                "contradicts --mesh none, which has nobody to ask; drop one of them, or add \
                 --quit-url",
            );
        }
        if drain {
            self.check_mesh_drains(&run.wait.proxy);
            self.check_max_below_grace(times?);
        }
        let ok_exit = ok_exit.into_iter().collect::<Option<Vec<u8>>>()?;
        let drain = drain.then_some(times?);
        let (grace, quit_urls, map, parent_death) = (grace?, quit_urls?, map?, parent_death?);
        Some(supervised.then_some(Supervise {
            drain,
            grace,
            quit,
            quit_urls,
            map,
            ok_exit,
            parent_death,
        }))
    }

    /// Settings that only a parent can follow.
    fn no_effect_alone(&mut self, run: &RunArgs, supervised: bool, quit: QuitWhen) {
        let args = &run.supervise;
        if quit == QuitWhen::Never && !args.urls.quit_url.is_empty() {
            self.problem(
                "quit_url",
                "has no effect without --quit; add --quit always or --quit on-success",
            );
        }
        let given = [
            ("map_signal", !args.map_signal.is_empty()),
            ("ok_exit", !args.ok_exit.is_empty()),
            ("parent_death_signal", args.parent_death_signal.is_some()),
        ];
        for (id, _) in given.into_iter().filter(|(_, given)| *given && !supervised) {
            self.problem(
                id,
                "has no effect on an application that meshim becomes; add --supervise",
            );
        }
    }

    fn check_max_below_grace(&mut self, times: Times) {
        if times.max >= times.grace {
            let (max, grace) = (Spoken(times.max), Spoken(times.grace));
            let problem = format!(
                "{max} is not below --grace {grace}, so the application would be killed while it \
                 drains"
            );
            self.problem("drain_max", problem);
        }
    }

    fn check_mesh_drains(&mut self, args: &ProxyArgs) {
        let mesh = Mesh::named(&args.mesh);
        if let Some(mesh) = mesh.filter(|mesh| mesh.admin().is_none() && args.admin_url.is_none()) {
            let problem = format!(
                "contradicts --mesh {mesh}, which has no Envoy admin API to drain through; drop \
                 one of them"
            );
            self.problem("drain", problem);
        }
    }

    fn times(&mut self, args: &DrainTimesArgs, grace: Option<Duration>) -> Option<Times> {
        let min = self.read("drain_min", &args.drain_min, duration::parse);
        let max = self.read("drain_max", &args.drain_max, duration::parse);
        let (min, max) = (min?, max?);
        if min > max {
            self.problem(
                "drain_min",
                format!("{} is above --drain-max {}", Spoken(min), Spoken(max)),
            );
            return None;
        }
        Some(Times { min, max, grace: grace? })
    }

    fn quit_urls(&mut self, args: &QuitUrlArgs, proxy: &ProxyArgs) -> Option<Vec<Endpoint>> {
        // A wrong --allow-remote is told where the proxy is read.
        let remote = ["true", "1"].contains(&proxy.allow_remote.as_str());
        let read =
            |text: &String| self.read("quit_url", text, |text| parse_url(text, Some(remote)));
        let urls: Vec<Option<Endpoint>> = args.quit_url.iter().map(read).collect();
        urls.into_iter().collect()
    }

    pub(super) fn drain(&mut self, args: &DrainArgs) -> Option<Drain> {
        let given = self.proxy(&args.proxy);
        // A hook knows nothing of the application's own stop.
        let times = self.times(&args.times, Some(Duration::ZERO));
        let times = times.map(|times| Times { grace: times.max + times.max / 4, ..times });
        Some(Drain { proxy: Proxy::given(&given?), times: times? })
    }

    pub(super) fn quit(&mut self, args: &QuitArgs) -> Option<Quit> {
        let given = self.proxy(&args.proxy);
        let urls = self.quit_urls(&args.urls, &args.proxy);
        Some(Quit { proxy: Proxy::given(&given?), urls: urls? })
    }
}

fn signal_map(texts: &[String]) -> Result<SignalMap, String> {
    let mappings: Result<Vec<Mapping>, _> = texts.iter().map(|text| text.parse()).collect();
    mappings.and_then(|mappings| SignalMap::of(&mappings)).map_err(|error| error.to_string())
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
    use super::super::{Job, Run, load};
    use super::*;

    fn loaded(args: &[&str]) -> Result<Job, String> {
        let args = ["meshim"].iter().chain(args).map(Into::into).collect();
        load(args).1.map_err(|failure| failure.sentence)
    }

    fn supervised(args: &[&str]) -> Option<Supervise> {
        match loaded(&[args, &["--", "app"]].concat()) {
            Ok(Job::Run(Run { supervise, .. })) => supervise,
            other => panic!("{args:?}: {other:?}"),
        }
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
            Some(Times { min: seconds(5), max: seconds(15), grace: seconds(28) })
        );
        assert_eq!((settings.grace, settings.quit), (seconds(28), QuitWhen::Never));
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
    fn contradictions_are_refused_with_the_remedy() {
        let table: [(&[&str], &str); 14] = [
            (&["--drain", "--drain-min=16s"], "--drain-min: 16s is above --drain-max 15s"),
            (&["--drain", "--grace=15s"], "--drain-max: 15s is not below --grace 15s"),
            (&["--drain", "--mesh=linkerd"], "--drain: contradicts --mesh linkerd"),
            (&["--drain", "--mesh=none"], "--drain: contradicts --mesh none"),
            (&["--quit=always", "--mesh=none"], "--quit: contradicts --mesh none"),
            (&["--quit-url=http://127.0.0.1:1/"], "--quit-url: has no effect without --quit"),
            (&["--quit=always", "--quit-url=http://10.0.0.1/"], "leads out of this pod"),
            (&["--quit=sometimes"], "--quit: `sometimes` is not one of never, always, on-success"),
            (
                &["--map-signal=TERM:QUIT"],
                "--map-signal: has no effect on an application that meshim becomes",
            ),
            (&["--ok-exit=143"], "add --supervise"),
            (&["--parent-death-signal=TERM"], "add --supervise"),
            (&["--supervise", "--ok-exit=256"], "`256` is no exit code"),
            (&["--supervise", "--map-signal=TERM:QUIT,15:0"], "SIGTERM is mapped twice"),
            (&["--supervise", "--parent-death-signal=RTMIN"], "is a real-time signal"),
        ];
        for (args, part) in table {
            let error = loaded(&[args, &["--", "app"]].concat()).unwrap_err();
            assert!(error.contains(part), "{args:?}: {error}");
        }
        let error = loaded(&["--drain", "--grace=x", "--drain-min=1", "--ok-exit=a", "--", "app"])
            .unwrap_err();
        assert!(error.contains("3 settings are wrong"), "{error}");
    }

    #[test]
    fn the_subcommands_read_their_part() {
        let Ok(Job::Drain(drain)) =
            loaded(&["drain", "--drain-min=1s", "--admin-url=http://127.0.0.1:1"])
        else {
            panic!()
        };
        assert_eq!((drain.times.min, drain.times.max), (seconds(1), seconds(15)));
        assert!(drain.proxy.is_some());
        let Ok(Job::Quit(quit)) = loaded(&["quit", "--quit-url=http://127.0.0.1:1/q"]) else {
            panic!()
        };
        assert_eq!((quit.urls.len(), quit.proxy), (1, None));
        assert!(loaded(&["drain", "--", "app"]).is_err());
    }
}
