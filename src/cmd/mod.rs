//! The order of things, one file per subcommand; the rules are in `core`.
//!
//! Here a job becomes an [`Exit`], and a failure is told: on stderr and in the termination log.

pub mod check;
pub mod doctor;
pub mod drain;
mod ending;
mod found;
mod hints;
pub mod install;
mod page;
mod pod;
pub mod probe;
mod progress;
pub mod quit;
pub mod run;
mod runtime;
mod start;
mod supervise;
mod unsent;
mod unstarted;
pub mod wait;
mod wait_progress;
mod waiter;

use tracing::Level;

use self::ending::print;
use self::unstarted::Beside;
use crate::config::{self, Input, Job, Loaded, LogLevel, Note, OutputFormat, ReportSettings};
use crate::core::exit::{Exit, Failure};
use crate::core::text::one_line;
use crate::io::parent_death::{Hidden, Parent};
use crate::io::signals::{KernelRefusal, StopSignals};
use crate::io::{files, log, stderr};

/// All of meshim but its end: hears signals, reads the settings, does the job, tells a failure.
///
/// The command line is read after the first signal could be heard: for PID 1 a signal that nobody
/// is ready for is lost.
#[must_use]
pub fn main(input: impl FnOnce() -> Input) -> Exit {
    let (stop, parent) = (StopSignals::register(), Parent::now());
    let input = input();
    if let Some(hidden) = Hidden::read(&input.args) {
        return become_hidden(hidden, stop);
    }
    let Loaded { report, notes, job, unstarted } = config::load(&input);
    let level = match report.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    log::to_stderr(level, report.form == OutputFormat::Json);
    notes.iter().for_each(say);
    let exit = match job {
        Ok(job) => stop
            .map_err(Failure::from)
            .and_then(|stop| perform(job, stop, parent, &report))
            .unwrap_or_else(|failure| tell(&report, &failure)),
        Err(failure) => {
            let exit = tell(&report, &failure);
            if let (Some(settings), Ok(mut stop)) = (unstarted, stop) {
                unstarted::quit(&settings, Beside::Unknown, exit, &mut stop);
            }
            exit
        }
    };
    stderr::flush();
    exit
}

fn say(note: &Note) {
    match note {
        Note::Unknown(sentence) => tracing::warn!(event = "unknown_variable", "{sentence}"),
        Note::Leftover(sentence) => tracing::info!(event = "leftover_variable", "{sentence}"),
    }
}

/// This process is to become the application: it is no run of its own and has no settings.
fn become_hidden(hidden: Hidden, stop: Result<StopSignals, KernelRefusal>) -> Exit {
    log::to_stderr(Level::INFO, false);
    let failure = stop.map_or_else(Failure::from, |stop| hidden.perform(&stop));
    let exit = tell(&ReportSettings::default(), &failure);
    stderr::flush();
    exit
}

fn perform(
    job: Job,
    stop: StopSignals,
    parent: Parent,
    report: &ReportSettings,
) -> Result<Exit, Failure> {
    match job {
        Job::Run(run) => run::run(&run, stop, parent, |failure| tell(report, failure)),
        Job::Wait(wait) => wait::wait(&wait, stop),
        Job::Drain(drain) => drain::drain(&drain, stop),
        Job::Quit(quit) => quit::quit(&quit, stop),
        Job::Check(check) => check::check(&check, stop),
        Job::Doctor(doctor) => doctor::doctor(&doctor, stop),
        Job::Probe(probe) => probe::probe(&probe, stop),
        Job::Install(install) => install::install(&install, stop),
        Job::Print(text) => print(&text, Exit::Yes, stop),
    }
}

/// One sentence, in both places where somebody will look for it.
fn tell(report: &ReportSettings, failure: &Failure) -> Exit {
    let signal = match failure.exit {
        Exit::Signal(signal) => Some(signal.number()),
        _ => None,
    };
    let (event, exit_code) = (failure.event, failure.exit.code());
    tracing::error!(event = event, exit_code, signal, "{}", failure.sentence);
    let sentence = one_line(&failure.sentence);
    if let Some(path) = &report.termination_log
        && let Err(error) = files::write_termination_log(path, &sentence)
    {
        let path = path.display();
        tracing::warn!(
            event = "termination_log_failed",
            "the reason could not be written to the termination log {path}: {error}"
        );
    }
    failure.exit
}
