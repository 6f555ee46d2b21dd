//! How to stay as the application's parent, and how to end it and the proxy.

use std::time::Duration;

use super::reader::Reader;
use super::wait::parse_url;
use crate::cli::{DrainArgs, DrainTimesArgs, ProxyArgs, QuitArgs, QuitUrlArgs, RunArgs};
use crate::core::drain::Times;
use crate::core::duration::{self, Spoken};
use crate::core::endpoint::Endpoint;
use crate::core::lifecycle::{QuitWhen, Rules};
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
use crate::core::signal::{Signal, UnknownSignal};
use crate::core::signal_map::{Mapping, SignalMap};

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
        let choices = [("never", QuitWhen::Never), ("always", QuitWhen::Always), ("on-success", QuitWhen::OnSuccess)];
        let quit = self.choice("quit", &args.quit, &choices);
        let quit_urls = self.quit_urls(&args.urls, &run.wait.proxy);
        let map = self.read("map_signal", "", |_| signal_map(&args.map_signal));
        let ok_exit: Vec<Option<u8>> = args.ok_exit.iter().map(|text| self.read("ok_exit", text, exit_code)).collect();
        let parent_death = self.optional("parent_death_signal", args.parent_death_signal.as_ref(), standard_signal);
        let (drain, quit) = (drain?, quit?);
        let supervised = supervise? || drain || quit != QuitWhen::Never;
        self.no_effect_alone(run, supervised, quit);
        if drain {
            self.check_mesh_drains(&run.wait.proxy);
            self.check_max_below_grace(times?);
        }
        let ok_exit = ok_exit.into_iter().collect::<Option<Vec<u8>>>()?;
        let drain = drain.then_some(times?);
        let (grace, quit_urls, map, parent_death) = (grace?, quit_urls?, map?, parent_death?);
        Some(supervised.then_some(Supervise { drain, grace, quit, quit_urls, map, ok_exit, parent_death }))
    }

    /// Settings that only a parent can follow.
    fn no_effect_alone(&mut self, run: &RunArgs, supervised: bool, quit: QuitWhen) {
        let args = &run.supervise;
        if quit == QuitWhen::Never && !args.urls.quit_url.is_empty() {
            self.problem("quit_url", "has no effect without --quit; add --quit always or --quit on-success");
        }
        let given = [
            ("map_signal", !args.map_signal.is_empty()),
            ("ok_exit", !args.ok_exit.is_empty()),
            ("parent_death_signal", args.parent_death_signal.is_some()),
        ];
        for (id, _) in given.into_iter().filter(|(_, given)| *given && !supervised) {
            self.problem(id, "has no effect on an application that meshim becomes; add --supervise");
        }
    }

    fn check_max_below_grace(&mut self, times: Times) {
        if times.max >= times.grace {
            let (max, grace) = (Spoken(times.max), Spoken(times.grace));
            let problem =
                format!("{max} is not below --grace {grace}, so the application would be killed while it drains");
            self.problem("drain_max", problem);
        }
    }

    fn check_mesh_drains(&mut self, args: &ProxyArgs) {
        let mesh = Mesh::named(&args.mesh);
        if let Some(mesh) = mesh.filter(|mesh| mesh.admin().is_none() && args.admin_url.is_none()) {
            let problem =
                format!("contradicts --mesh {mesh}, which has no Envoy admin API to drain through; drop one of them");
            self.problem("drain", problem);
        }
    }

    fn times(&mut self, args: &DrainTimesArgs, grace: Option<Duration>) -> Option<Times> {
        let min = self.read("drain_min", &args.drain_min, duration::parse);
        let max = self.read("drain_max", &args.drain_max, duration::parse);
        let (min, max) = (min?, max?);
        if min > max {
            self.problem("drain_min", format!("{} is above --drain-max {}", Spoken(min), Spoken(max)));
            return None;
        }
        Some(Times { min, max, grace: grace? })
    }

    fn quit_urls(&mut self, args: &QuitUrlArgs, proxy: &ProxyArgs) -> Option<Vec<Endpoint>> {
        // A wrong --allow-remote is told where the proxy is read.
        let remote = ["true", "1"].contains(&proxy.allow_remote.as_str());
        let read = |text: &String| self.read("quit_url", text, |text| parse_url(text, Some(remote)));
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
