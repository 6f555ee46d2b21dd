//! The order of things, one file per subcommand; the rules are in `core`.
//!
//! Here a job becomes an [`Exit`], and a failure is told: on stderr and in the termination log.

pub mod check;
pub mod drain;
pub mod install;
mod pod;
pub mod probe;
pub mod quit;
pub mod run;
mod runtime;
mod start;
mod supervise;
pub mod wait;

use std::ffi::OsString;
use std::io::Write as _;

use tracing::Level as TracingLevel;

use crate::config::{self, Form, Job, Level, Report};
use crate::core::exit::{Exit, Failure};
use crate::io::{files, log};

/// All of meshim but its end: reads the settings, does the job, tells a failure.
#[must_use]
pub fn main(args: Vec<OsString>) -> Exit {
    let (report, job) = config::load(args);
    let level = match report.level {
        Level::Error => TracingLevel::ERROR,
        Level::Warn => TracingLevel::WARN,
        Level::Info => TracingLevel::INFO,
        Level::Debug => TracingLevel::DEBUG,
    };
    log::to_stderr(level, report.form == Form::Json);
    match job.and_then(perform) {
        Ok(exit) => exit,
        Err(failure) => tell(&report, &failure),
    }
}

fn perform(job: Job) -> Result<Exit, Failure> {
    match job {
        Job::Run(run) => run::run(&run),
        Job::Wait(wait) => wait::wait(&wait),
        Job::Drain(drain) => drain::drain(&drain),
        Job::Quit(quit) => quit::quit(&quit),
        Job::Check(check) => check::check(&check),
        Job::Probe(probe) => probe::probe(&probe),
        Job::Install(directory) => install::install(&directory),
        Job::Print(text) => print(&text),
    }
}

fn print(text: &str) -> Result<Exit, Failure> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written
        .map(|()| Exit::Yes)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write to stdout: {error}")))
}

/// One sentence, in both places where somebody will look for it.
fn tell(report: &Report, failure: &Failure) -> Exit {
    tracing::error!("{}", failure.sentence);
    if let Err(error) = files::write_termination_log(&report.termination_log, &failure.sentence) {
        let path = report.termination_log.display();
        tracing::warn!("the reason could not be written to the termination log {path}: {error}");
    }
    failure.exit
}
