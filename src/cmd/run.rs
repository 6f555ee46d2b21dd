//! The default job: find the command, check, wait, then become the command.

use super::block_on;
use super::wait::{Waited, register_signals, until_ready};
use crate::config::{Enforcement, OnTimeout, Run};
use crate::core::exit::{Exit, Failure};
use crate::core::findings::{self, Finding, Severity};
use crate::core::mesh::Mesh;
use crate::io::command::{self, BadCommand};
use crate::io::{identity, process};

/// Waits and becomes the command; comes back only when that fails.
///
/// # Errors
/// The command is missing (before any wait), a finding under `enforce`, the timeout, a stop signal, exec itself.
pub fn run(settings: &Run) -> Result<Exit, Failure> {
    let name = settings.command.first().ok_or_else(|| Failure::new(Exit::Failed, "no command was given"))?;
    let path = command::find(name).map_err(|error| bad_command(&error))?;

    block_on(async {
        let mut stop = register_signals()?;
        match until_ready(&settings.wait, &mut stop, |mesh| check(settings.check, mesh)).await? {
            Waited::Over => {}
            Waited::TimedOut(sentence) if settings.on_timeout == OnTimeout::Start => {
                tracing::warn!("{sentence}; starting all the same, as --on-timeout start says");
            }
            Waited::TimedOut(sentence) => return Err(Failure::new(Exit::NotReady, sentence)),
        }
        match stop.arrived() {
            Some(signal) => {
                Err(Failure::new(Exit::Signal(signal), format!("ended by {signal} before the application started")))
            }
            None => Ok(()),
        }
    })?;

    let error = process::become_command(&path, &settings.command);
    let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotExecute };
    Err(Failure::new(exit, format!("the command {} cannot be executed: {error}", path.display())))
}

fn bad_command(error: &BadCommand) -> Failure {
    let exit = match error {
        BadCommand::NotFound(..) => Exit::NotFound,
        BadCommand::NotExecutable(..) | BadCommand::NoInterpreter(..) => Exit::CannotExecute,
    };
    Failure::new(exit, error.to_string())
}

/// Judges our identity as soon as the mesh is known.
fn check(enforcement: Enforcement, mesh: Mesh) -> Result<(), Failure> {
    if enforcement == Enforcement::Off {
        return Ok(());
    }
    let findings = findings::identity(mesh, identity::identity(mesh));
    let (errors, others): (Vec<&Finding>, Vec<&Finding>) =
        findings.iter().partition(|finding| finding.severity == Severity::Error && enforcement == Enforcement::Enforce);
    for finding in others {
        tracing::warn!("{finding}");
    }
    if errors.is_empty() {
        return Ok(());
    }
    let errors: Vec<String> = errors.into_iter().map(ToString::to_string).collect();
    Err(Failure::new(Exit::Failed, format!("{}; --check warn starts all the same", errors.join("; "))))
}
