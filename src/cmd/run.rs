//! The default job: find the command, check, wait, then become the command or its parent.

use std::path::PathBuf;

use tokio::select;

use super::check::{after_start, enforce, listen_at_once, listen_before_start};
use super::quit::Request;
use super::runtime::{block_on, register_signals};
use super::start::{not_started, stopped_before_start};
use super::supervise::{Background, supervise};
use super::wait::{Waited, until_ready};
use super::{pod, quit};
use crate::config::{Enforcement, OnTimeout, Run, Supervise};
use crate::core::exit::{Exit, Failure};
use crate::core::findings::identity as ids;
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
use crate::io::command::{self, BadCommand};
use crate::io::signals::StopSignals;
use crate::io::{identity, process};

/// Waits and becomes the command, or stays as its parent until its end.
///
/// # Errors
/// The command is missing (before any wait), a finding under `enforce`, the timeout, a
/// stop signal, fork or exec.
pub fn run(settings: &Run) -> Result<Exit, Failure> {
    let mut stop = register_signals()?;
    let mut proxy = None;
    let Some(supervised) = &settings.supervise else {
        let path = until_start(settings, &mut stop, &mut proxy)?;
        stopped_before_start(&mut stop)?;
        return Err(not_started(&path, &process::become_command(&path, &settings.command)));
    };
    if let Some(signal) = supervised.parent_death {
        process::set_parent_death_signal(signal).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format!("the kernel refuses --parent-death-signal {signal}: {error}"),
            )
        })?;
    }
    let path = until_start(settings, &mut stop, &mut proxy);
    block_on(async {
        let ended = match path {
            Ok(path) => {
                let beside = look_after_start(settings, proxy.clone());
                supervise(supervised, &path, &settings.command, proxy.clone(), beside, &mut stop)
                    .await
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &ended {
            quit_unstarted(settings, supervised, proxy, failure, &mut stop).await;
        }
        ended
    })
}

/// All that comes before the start: the command's file, and in `proxy` what was found to be beside
/// it.
fn until_start(
    settings: &Run,
    stop: &mut StopSignals,
    proxy: &mut Option<Proxy>,
) -> Result<PathBuf, Failure> {
    let name = settings
        .command
        .first()
        .ok_or_else(|| Failure::new(Exit::Failed, "no command was given"))?;
    let path = command::find(name).map_err(|error| bad_command(&error))?;
    match until_ready(&settings.wait, stop, proxy, |mesh| check(settings, mesh))? {
        Waited::Ready | Waited::WithoutProxy => {}
        Waited::TimedOut(sentence) if settings.on_timeout == OnTimeout::Start => {
            tracing::warn!("{sentence}; starting all the same, as --on-timeout start says");
        }
        Waited::TimedOut(sentence) => return Err(Failure::new(Exit::NotReady, sentence)),
    }
    // Without a mesh there is nothing that could break a listen address.
    if let (Some(proxy), false) = (proxy, settings.listen.is_empty()) {
        let timeout = settings.wait.limits.request_timeout;
        block_on(listen_before_start(settings.check, proxy, &settings.listen, timeout))?;
    }
    Ok(path)
}

/// The listen check for real, where there is a mesh to judge by. It only logs: nothing of ours ends
/// what has started.
fn look_after_start(settings: &Run, proxy: Option<Proxy>) -> Option<Background> {
    let proxy = proxy.filter(|_| settings.check != Enforcement::Off)?;
    let (declared, timeout) = (settings.listen.clone(), settings.wait.limits.request_timeout);
    Some(Box::pin(async move { after_start(&proxy, &declared, timeout).await }))
}

/// `--quit` where the application never started: the proxy may not even be there yet.
async fn quit_unstarted(
    settings: &Run,
    supervised: &Supervise,
    proxy: Option<Proxy>,
    failure: &Failure,
    stop: &mut StopSignals,
) {
    if !supervised.quit.applies(failure.exit) {
        return;
    }
    tracing::info!(
        "the application has not started; asking the proxy to end all the same, as --quit says"
    );
    let proxy = proxy.or_else(|| pod::proxy_now(settings.wait.proxy.as_ref()));
    let request =
        Request { urls: supervised.quit_urls.clone(), proxy, facts: None, seen_alive: false };
    // The signal that ended the wait, if one did, has been taken: another one ends this, too.
    select! {
        biased;
        signal = stop.next() => tracing::warn!("{signal}: the proxy is not asked any longer"),
        () = quit::ask_and_tell(request) => {}
    }
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
    enforce(settings.check, &ids::judge(mesh, identity::identity(mesh)))?;
    listen_at_once(settings.check, mesh, &settings.listen)
}
