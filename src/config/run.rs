//! Settings of the default job: wait, check, then become the command or its parent.
//!
//! Owns what these settings mean together; must never look for the command.

use std::ffi::OsString;
use std::net::SocketAddr;

use super::reader::{Reader, Wrong};
use super::supervise::SuperviseSettings;
use crate::cli::RunArgs;
use crate::core::signal::{Signal, UnknownSignal};
use crate::core::stopping::stop_set::StopSet;
use crate::core::waiting::wait::WaitPlan;

/// Settings of the default job.
#[derive(Debug)]
pub struct RunSettings {
    /// For which proxy, how long.
    pub wait: WaitPlan,
    /// What a timeout does.
    pub on_timeout: OnTimeout,
    /// What an error finding does.
    pub check: Enforcement,
    /// Which signals mean "stop", before the start and after it.
    pub stops: StopSet,
    /// Staying as the command's parent; `None` is becoming it.
    pub supervise: Option<SuperviseSettings>,
    /// Where the application is going to listen.
    pub listen: Vec<SocketAddr>,
    /// The command and its arguments, byte for byte; never empty.
    pub command: Vec<OsString>,
    /// `PATH`, where the command is looked for.
    pub search_path: Option<OsString>,
}

/// What happens when the proxy is not ready in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTimeout {
    /// Exit with 124.
    Fail,
    /// Start the command all the same.
    Start,
}

/// What an error finding before start does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforcement {
    /// Refuse to start.
    Enforce,
    /// Log it.
    Warn,
    /// Do not even look.
    Off,
}

impl Reader<'_> {
    pub(super) fn run(&mut self, args: RunArgs) -> Result<RunSettings, Wrong> {
        let remote = self.remote(args.wait.proxy.allow_remote.as_ref());
        let given = self.proxy(&args.wait.proxy, remote);
        let wait = self.wait_for(&args.wait, given.as_ref(), remote);
        let choices = [("fail", OnTimeout::Fail), ("start", OnTimeout::Start)];
        let on_timeout =
            self.choice("on_timeout", args.on_timeout.as_ref(), OnTimeout::Fail, &choices);
        let modes = [
            ("enforce", Enforcement::Enforce),
            ("warn", Enforcement::Warn),
            ("off", Enforcement::Off),
        ];
        let check = self.choice("check", args.check.as_ref(), Enforcement::Enforce, &modes);
        let listen = self.listen(&args.listen);
        let supervise = self.supervise(&args.supervise, remote);
        let stops = self.list("stop_signal", &args.stop_signal, stop_signal);
        let run = RunSettings {
            stops: StopSet::adding(stops?),
            wait: wait?,
            on_timeout: on_timeout?,
            check: check?,
            supervise: supervise?,
            listen: listen?,
            command: args.command,
            search_path: self.search_path(),
        };
        if run.on_timeout == OnTimeout::Start && run.wait.limits.timeout.is_none() {
            self.problem(
                "on_timeout",
                "`start` never happens with --timeout 0, which waits for ever; set a timeout",
            );
        }
        Ok(run)
    }
}

fn stop_signal(text: &str) -> Result<Signal, String> {
    let signal: Signal = text.parse().map_err(|error: UnknownSignal| error.to_string())?;
    if signal.can_be_forwarded() {
        Ok(signal)
    } else {
        Err(format!("{signal} never reaches meshim, so it cannot mean \"stop\""))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tests::{refused, run, run_with};
    use super::*;
    use crate::core::mesh::Mesh;
    use crate::core::proxy::Given;

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let run = run(&[]);
        assert_eq!(run.wait.given, Given::default());
        assert_eq!(run.wait.limits.timeout, Some(Duration::from_mins(2)));
        assert_eq!(run.wait.limits.absent_after, None);
        assert_eq!(run.wait.limits.request_timeout, Duration::from_secs(1));
        assert_eq!((run.on_timeout, run.check), (OnTimeout::Fail, Enforcement::Enforce));
        assert_eq!((run.command, run.search_path), (vec!["app".into()], None));
        assert!(run.supervise.is_none() && run.listen.is_empty());
    }

    #[test]
    fn an_images_stop_signal_can_be_named() {
        let usual = run(&[]).stops;
        assert_eq!(usual, StopSet::default());
        let stops = run(&["--stop-signal=SIGUSR1", "--stop-signal", "WINCH"]).stops;
        for name in ["TERM", "USR1", "WINCH"] {
            assert!(stops.contains(name.parse().unwrap()), "{name}");
        }
        let stops = run_with(&[], &[("MESHIM_STOP_SIGNAL", "RTMIN+3, HUP")]).stops;
        assert!(stops.contains("RTMIN+3".parse().unwrap()) && stops.contains(Signal::HUP));
        let error = refused(&["--stop-signal=KILL", "--", "app"], &[]);
        assert!(error.contains("--stop-signal: SIGKILL never reaches meshim"), "{error}");
        assert!(refused(&["--stop-signal=NOPE", "--", "app"], &[]).contains("is no signal"));
    }

    #[test]
    fn the_command_is_looked_for_in_the_path_of_the_environment() {
        let run = run_with(&[], &[("PATH", "/a:/b")]);
        assert_eq!(run.search_path, Some("/a:/b".into()));
    }

    #[test]
    fn contradictions_are_refused() {
        let table: [(&[&str], &str); 6] = [
            (
                &["--absent-after=2m", "--timeout=2m"],
                "--absent-after: 2m is not below --timeout 2m",
            ),
            (
                &["--mesh=none", "--ready-url=http://127.0.0.1:1/"],
                "--ready-url: contradicts --mesh none",
            ),
            (&["--mesh=linkerd", "--admin-url=unix:/a"], "--admin-url: contradicts --mesh linkerd"),
            (&["--timeout=0", "--on-timeout=start"], "--on-timeout: `start` never happens"),
            (
                &["--admin-url=http://127.0.0.1:1/ready"],
                "has a path; write the address alone, as http://127.0.0.1:1",
            ),
            (&["--request-timeout=0"], "a look needs some time"),
        ];
        for (args, part) in table {
            let error = refused(&[args, &["--", "a"]].concat(), &[]);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_variable_that_switches_off_contradicts_no_url() {
        let urls = ["--admin-url=unix:/a", "--ready-url=http://127.0.0.1:1/"];
        let switched_off = run_with(&urls, &[("MESHIM_MESH", "none")]).wait.given;
        assert_eq!((switched_off.mesh, switched_off.has_urls()), (Some(Mesh::None), false));
        let variables = [("MESHIM_ADMIN_URL", "unix:/a"), ("MESHIM_READY_URL", "unix:/b")];
        assert!(!run_with(&["--mesh=none"], &variables).wait.given.has_urls());
    }

    #[test]
    fn the_default_timeout_yields_to_a_long_absence() {
        let timeout = |args| run(args).wait.limits.timeout;
        assert_eq!(timeout(&["--absent-after=119s"]), Some(Duration::from_mins(2)));
        assert_eq!(timeout(&["--absent-after=3m"]), Some(Duration::from_mins(5)));
        assert_eq!(timeout(&["--absent-after=3m", "--timeout=0"]), None);
    }

    #[test]
    fn a_remote_host_needs_permission() {
        let url = "--ready-url=http://10.0.0.1:80/";
        assert!(refused(&[url, "--", "a"], &[]).contains("leads out of this pod"));
        let error = refused(&[url, "--allow-remote=no", "--", "a"], &[]);
        assert_eq!(error, "--allow-remote: `no` is not one of true, false, 1, 0");
        assert!(run(&[url, "--allow-remote"]).wait.given.ready.is_some());
    }
}
