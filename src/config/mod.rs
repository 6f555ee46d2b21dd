//! Settings: an [`Input`] of arguments and variables, checked into the values of a [`Job`].
//!
//! One file per subcommand, as in `cmd`; what several of them read is in `proxy`, `supervise` and
//! `report`. All bad values are collected and reported at once, each with the place it came from
//! and what would be right. Must never ask the process: everything is in the input.

mod check;
mod doctor;
mod drain;
mod input;
mod install;
mod leftovers;
mod note;
mod probe;
mod proxy;
mod quit;
mod reader;
mod report;
mod run;
mod supervise;
mod unknown;
mod unstarted;
mod usage;
mod wait;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

pub use self::check::CheckSettings;
pub use self::doctor::{Color, DoctorSettings};
pub use self::drain::DrainSettings;
pub use self::input::Input;
pub use self::install::InstallSettings;
pub use self::leftovers::{LEFTOVERS, Leftover};
pub use self::note::Note;
pub use self::probe::{ProbeSettings, ProbeTarget};
pub use self::quit::QuitSettings;
use self::reader::Reader;
pub use self::report::{LogLevel, OutputFormat, ReportSettings};
pub use self::run::{Enforcement, OnTimeout, RunSettings};
pub use self::supervise::SuperviseSettings;
pub use self::unstarted::Unstarted;
use crate::cli::{Cli, Sub};
use crate::core::exit::{Exit, Failure};
use crate::core::text::one_line;
use crate::core::waiting::wait::WaitPlan;

/// What this run is to do.
#[derive(Debug)]
pub enum Job {
    /// Wait, check, then become the command.
    Run(Box<RunSettings>),
    /// Wait for the proxy, nothing else.
    Wait(WaitPlan),
    /// Drain, then return.
    Drain(DrainSettings),
    /// Ask the proxy to end.
    Quit(QuitSettings),
    /// Judge whether the pod is all right from inside.
    Check(CheckSettings),
    /// Judge the proxy's own configuration.
    Doctor(DoctorSettings),
    /// One look at a server.
    Probe(ProbeSettings),
    /// Copy this binary into a directory.
    Install(InstallSettings),
    /// Print this text on stdout (`--help`, `--version`).
    Print(String),
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// Where and how to say what happens: also where the rest cannot be used, so that a failure to
    /// read the others is told in the right form and place.
    pub report: ReportSettings,
    /// What has no effect, to be said before the job. Other helpers' variables are not told where
    /// the run of the same container tells them (probes, hooks).
    pub notes: Vec<Note>,
    /// What to do, or all that is wrong with the settings, in one sentence.
    pub job: Result<Job, Failure>,
    /// Where the application cannot start for want of good settings: how its proxy is ended all the
    /// same, as `--quit always` says.
    pub unstarted: Option<Unstarted>,
}

/// Reads the command line and the environment.
#[must_use]
pub fn load(input: &Input) -> Loaded {
    let mut command = Cli::command();
    let args = usage::spelt_out(&input.args);
    match command.try_get_matches_from_mut(&args) {
        Ok(matches) => {
            let loaded = read(input, matches);
            Loaded { unstarted: loaded.unstarted.filter(|_| loaded.job.is_err()), ..loaded }
        }
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            let text = error.render().to_string();
            Loaded {
                report: ReportSettings::default(),
                notes: Vec::new(),
                job: Ok(Job::Print(text)),
                unstarted: None,
            }
        }
        Err(error) => {
            let sentence = usage::sentence(&command, &args, &error);
            let partly = usage::partly(command, args).map(|matches| read(input, matches));
            let (report, unstarted) =
                partly.map(|partly| (partly.report, partly.unstarted)).unwrap_or_default();
            // Without the two dashes it is no application that was to start.
            let unstarted = unstarted.filter(|_| input.args.iter().any(|arg| arg == "--"));
            let failure = Failure::new(Exit::Failed, one_line(&sentence));
            Loaded { report, notes: Vec::new(), job: Err(failure), unstarted }
        }
    }
}

fn read(input: &Input, mut matches: ArgMatches) -> Loaded {
    let Ok(cli) = Cli::from_arg_matches_mut(&mut matches) else {
        let sentence = "the command line is incomplete; see meshim --help";
        return Loaded {
            report: ReportSettings::default(),
            notes: Vec::new(),
            job: Err(Failure::new(Exit::Failed, sentence)),
            unstarted: None,
        };
    };
    let unstarted = match &cli.subcommand {
        None => unstarted::of_wrong(input, &cli.run),
        Some(_) => None,
    };
    let mut reader = Reader::new(input);
    let is_read_along =
        matches!(cli.subcommand, None | Some(Sub::Wait(_) | Sub::Check(_) | Sub::Doctor(_)));
    let mut notes = unknown::notes(input);
    if is_read_along {
        notes.extend(leftovers::notes(input));
    }
    let (report, job) = match cli.subcommand {
        None => (reader.report(&cli.run.report), reader.run(cli.run).map(Box::new).map(Job::Run)),
        Some(Sub::Wait(args)) => {
            (reader.report(&args.report), reader.wait(&args.wait).map(Job::Wait))
        }
        Some(Sub::Drain(args)) => {
            let report = reader.report(&args.report).beside_the_application();
            (report, reader.drain(&args).map(Job::Drain))
        }
        Some(Sub::Quit(args)) => (reader.report(&args.report), reader.quit(&args).map(Job::Quit)),
        Some(Sub::Check(args)) => {
            (reader.report(&args.report), reader.check(&args).map(Job::Check))
        }
        Some(Sub::Doctor(args)) => {
            (reader.report(&args.report), reader.doctor(&args).map(Job::Doctor))
        }
        Some(Sub::Probe(args)) => {
            let report = reader.report(&args.report).beside_the_application();
            (report, reader.probe(&args).map(Job::Probe))
        }
        Some(Sub::Install(args)) => {
            (reader.report(&args.report), reader.install(&args).map(Job::Install))
        }
    };
    Loaded { report, notes, unstarted, job: reader.finish(job) }
}

#[cfg(test)]
mod tests;
