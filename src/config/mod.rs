//! Settings: text from flags and `MESHIM_*` variables, checked into values.
//!
//! The only module that reads settings. All bad values are collected and reported at once, each
//! with the place it came from and what would be right.

mod check;
mod probe;
mod reader;
mod report;
mod supervise;
mod wait;

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

pub use self::check::Check;
pub use self::probe::{Probe, Target};
use self::reader::Reader;
pub use self::report::{Form, Level, Report};
pub use self::supervise::{Drain, Quit, Supervise};
pub use self::wait::Wait;
use crate::cli::{Cli, RunArgs, Sub};
use crate::core::exit::{Exit, Failure};

/// What this run is to do.
#[derive(Debug)]
pub enum Job {
    /// Wait, check, then become the command.
    Run(Run),
    /// Wait for the proxy, nothing else.
    Wait(Wait),
    /// Drain, then return.
    Drain(Drain),
    /// Ask the proxy to end.
    Quit(Quit),
    /// Judge identity and listen addresses.
    Check(Check),
    /// One look at a server.
    Probe(Probe),
    /// Copy this binary into a directory.
    Install(PathBuf),
    /// Print this text on stdout (`--help`, `--version`).
    Print(String),
}

/// Settings of the default job.
#[derive(Debug)]
pub struct Run {
    /// For which proxy, how long.
    pub wait: Wait,
    /// What a timeout does.
    pub on_timeout: OnTimeout,
    /// What an error finding does.
    pub check: Enforcement,
    /// Staying as the command's parent; `None` is becoming it.
    pub supervise: Option<Supervise>,
    /// Where the application is going to listen.
    pub listen: Vec<SocketAddr>,
    /// The command and its arguments, byte for byte; never empty.
    pub command: Vec<OsString>,
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

/// Reads the command line and the environment.
///
/// The report settings come back in either case, as far as they are usable, so that even a failure
/// to read the others is told in the right form and place.
pub fn load(args: Vec<OsString>) -> (Report, Result<Job, Failure>) {
    let mut clap = command();
    match clap.try_get_matches_from_mut(&args) {
        Ok(matches) => read(&clap, &matches),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            (Report::default(), Ok(Job::Print(error.render().to_string())))
        }
        Err(error) => {
            let mut clap = clap.ignore_errors(true).mut_subcommands(|sub| sub.ignore_errors(true));
            let partly = clap.try_get_matches_from_mut(args).ok();
            let report = partly.map(|matches| read(&clap, &matches).0).unwrap_or_default();
            (report, Err(Failure::new(Exit::Failed, usage_sentence(&error))))
        }
    }
}

/// The command line, with empty variables taken for unset.
fn command() -> Command {
    let mut command = Cli::command();
    let is_unset = |value: &OsStr| value.is_empty();
    if !std::env::vars_os()
        .any(|(name, value)| is_unset(&value) && name.as_encoded_bytes().starts_with(b"MESHIM_"))
    {
        return command;
    }
    let unset_where_empty = |arg: clap::Arg| {
        let empty = arg
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some_and(|value| is_unset(&value)));
        if empty { arg.env(None::<&str>) } else { arg }
    };
    // The options of subcommands are not there before: building them all is a third of what a start
    // costs us.
    command.build();
    command.mut_args(unset_where_empty).mut_subcommands(|sub| sub.mut_args(unset_where_empty))
}

/// clap's message of several paragraphs as one sentence.
fn usage_sentence(error: &clap::Error) -> String {
    const FORM: &str = "the command goes behind two dashes: meshim [OPTIONS] -- COMMAND [ARG]...";
    let missing = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    if error.kind() == ErrorKind::MissingRequiredArgument && missing.contains("COMMAND") {
        return format!("no command was given; {FORM}");
    }
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    // The tip to write `-- --option` would hand it to the application.
    let said: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("tip: to pass")).collect();
    let said = said.join("; ").replace(":; ", ": ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if !word.starts_with('-') => format!("{said}; {FORM}"),
        _ => format!("{said}; see meshim --help"),
    }
}

fn read(command: &Command, matches: &ArgMatches) -> (Report, Result<Job, Failure>) {
    let Ok(cli) = Cli::from_arg_matches(matches) else {
        return (
            Report::default(),
            Err(Failure::new(Exit::Failed, "the command line is incomplete; see meshim --help")),
        );
    };
    let sub = matches.subcommand();
    let (command, matches) = match sub {
        Some((name, matches)) => (command.find_subcommand(name).unwrap_or(command), matches),
        None => (command, matches),
    };
    let mut reader = Reader::new(command, matches);
    let (report, job) = match &cli.subcommand {
        None => (reader.report(&cli.run.report), reader.run(cli.run).map(Job::Run)),
        Some(Sub::Wait(args)) => {
            (reader.report(&args.report), reader.wait(&args.wait).map(Job::Wait))
        }
        Some(Sub::Drain(args)) => (reader.report(&args.report), reader.drain(args).map(Job::Drain)),
        Some(Sub::Quit(args)) => (reader.report(&args.report), reader.quit(args).map(Job::Quit)),
        Some(Sub::Check(args)) => (reader.report(&args.report), reader.check(args).map(Job::Check)),
        Some(Sub::Probe(args)) => (reader.report(&args.report), reader.probe(args).map(Job::Probe)),
        Some(Sub::Install(args)) => {
            (reader.report(&args.report), Some(Job::Install(PathBuf::from(&args.directory))))
        }
    };
    (report, reader.finish(job))
}

impl Reader<'_> {
    fn run(&mut self, args: RunArgs) -> Option<Run> {
        let wait = self.wait(&args.wait);
        let on_timeout = self.choice(
            "on_timeout",
            &args.on_timeout,
            &[("fail", OnTimeout::Fail), ("start", OnTimeout::Start)],
        );
        let modes = [
            ("enforce", Enforcement::Enforce),
            ("warn", Enforcement::Warn),
            ("off", Enforcement::Off),
        ];
        let check = self.choice("check", &args.check, &modes);
        let listen = self.listen(&args.listen);
        let supervise = self.supervise(&args);
        let (wait, on_timeout, check, listen, supervise) =
            (wait?, on_timeout?, check?, listen?, supervise?);
        if on_timeout == OnTimeout::Start && wait.limits.timeout.is_none() {
            self.problem(
                "on_timeout",
                "`start` never happens with --timeout 0, which waits for ever; set a timeout",
            );
        }
        Some(Run { wait, on_timeout, check, listen, supervise, command: args.command })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn loaded(args: &[&str]) -> Result<Job, String> {
        let args =
            std::iter::once("meshim").chain(args.iter().copied()).map(OsString::from).collect();
        load(args).1.map_err(|failure| failure.sentence)
    }

    fn run(args: &[&str]) -> Run {
        let args = [args, &["--", "app"]].concat();
        match loaded(&args) {
            Ok(Job::Run(run)) => run,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn each_subcommands_help_begins_as_the_list_tells_it() {
        let list = Cli::command();
        for listed in list.get_subcommands() {
            let Ok(Job::Print(help)) = loaded(&[listed.get_name(), "--help"]) else {
                panic!("{}", listed.get_name())
            };
            assert!(help.starts_with(&listed.get_about().unwrap().to_string()), "{help}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let run = run(&[]);
        assert_eq!(run.wait.proxy, None);
        assert_eq!(run.wait.limits.timeout, Some(Duration::from_mins(2)));
        assert_eq!(run.wait.limits.absent_after, None);
        assert_eq!((run.on_timeout, run.check), (OnTimeout::Fail, Enforcement::Enforce));
        assert_eq!(run.command, ["app"]);
    }

    #[test]
    fn what_follows_the_two_dashes_is_the_applications() {
        let Ok(Job::Run(run)) = loaded(&["--", "app", "--timeout", "x", "--", "-h"]) else {
            panic!()
        };
        assert_eq!(run.command, ["app", "--timeout", "x", "--", "-h"]);
        assert!(
            loaded(&["app"])
                .unwrap_err()
                .contains("'app' found; the command goes behind two dashes")
        );
        assert!(loaded(&[]).unwrap_err().contains("no command was given"));
    }

    #[test]
    fn every_bad_value_is_reported_at_once_with_its_remedy() {
        let error = loaded(&[
            "--timeout",
            "30",
            "--mesh=isto",
            "--admin-url",
            "http://10.1.2.3:15000",
            "--log=x",
            "--",
            "a",
        ])
        .unwrap_err();
        for part in [
            "4 settings are wrong",
            "write 30s",
            "`isto` is no mesh",
            "--allow-remote",
            "--log: `x` is not one of error",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let table: [(&[&str], &str); 6] = [
            (&["--absent-after=2m"], "--absent-after: 2m is not below --timeout 2m"),
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
            let error = loaded(&[args, &["--", "a"]].concat()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_remote_host_needs_permission() {
        let url = "--ready-url=http://10.0.0.1:80/";
        assert!(loaded(&[url, "--", "a"]).is_err());
        assert!(
            loaded(&[url, "--allow-remote=no", "--", "a"])
                .unwrap_err()
                .contains("`no` is not one of true")
        );
        assert!(run(&[url, "--allow-remote"]).wait.proxy.is_some());
    }

    #[test]
    fn help_and_version_are_no_failures() {
        for args in [&["--help"][..], &["-V"], &["wait", "-h"]] {
            assert!(matches!(loaded(args), Ok(Job::Print(_))), "{args:?}");
        }
    }

    #[test]
    fn a_mistyped_option_is_one_sentence() {
        let error = loaded(&["--tiemout=5s", "--", "a"]).unwrap_err();
        assert!(
            error.contains("'--tiemout'") && error.contains("'--timeout'") && !error.contains('\n'),
            "{error}"
        );
    }
}
