//! The default job: find the command, check, wait, then become the command.

use super::block_on;
use super::check::{enforce, listen_at_once, listen_before_start};
use super::wait::{Waited, register_signals, until_ready};
use crate::config::{Enforcement, OnTimeout, Run};
use crate::core::exit::{Exit, Failure};
use crate::core::findings;
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
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
        let mut found = None;
        let known = |mesh| {
            found = Some(mesh);
            check(settings, mesh)
        };
        match until_ready(&settings.wait, &mut stop, known).await? {
            Waited::Over => {}
            Waited::TimedOut(sentence) if settings.on_timeout == OnTimeout::Start => {
                tracing::warn!("{sentence}; starting all the same, as --on-timeout start says");
            }
            Waited::TimedOut(sentence) => return Err(Failure::new(Exit::NotReady, sentence)),
        }
        // Without a mesh there is nothing that could break a listen address.
        if let Some(mesh) = found.filter(|mesh| *mesh != Mesh::None) {
            let proxy = settings.wait.proxy.clone().unwrap_or_else(|| Proxy::of(mesh));
            let timeout = settings.wait.limits.request_timeout;
            listen_before_start(settings.check, &proxy, &settings.listen, timeout).await?;
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

/// Judges our identity as soon as the mesh is known, and what is certain about `--listen`.
fn check(settings: &Run, mesh: Mesh) -> Result<(), Failure> {
    if settings.check == Enforcement::Off {
        return Ok(());
    }
    enforce(settings.check, &findings::identity(mesh, identity::identity(mesh)))?;
    listen_at_once(settings.check, mesh, &settings.listen)
}
