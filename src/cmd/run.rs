//! The default job: find the command, check, wait, then become the command or its parent.

use std::path::PathBuf;
use std::time::Instant;

use tokio::select;

use super::check::{after_start, at_once, listen_before_start};
use super::quit::Request;
use super::runtime::block_on;
use super::start::stopped_before_start;
use super::supervise::{Background, Start, supervise};
use super::wait::{End, Waited, until_ready};
use super::{pod, quit};
use crate::config::{Enforcement, OnTimeout, Run, Supervise};
use crate::core::duration::Spoken;
use crate::core::exit::{Exit, Failure};
use crate::core::proxy::Proxy;
use crate::core::signal::Signal;
use crate::core::stopping::quit_when::{Occasion, QuitWhen};
use crate::io::command::{self, BadCommand};
use crate::io::parent_death::Parent;
use crate::io::signals::StopSignals;
use crate::io::{process, stderr};

/// Waits and becomes the command, or stays as its parent until its end.
///
/// # Errors
/// The command is missing (before any wait), a finding under `enforce`, the timeout, a
/// stop signal, fork or exec.
pub fn run(settings: &Run, mut stop: StopSignals, parent: Parent) -> Result<Exit, Failure> {
    stop.hear(settings.stops.added())?;
    let Some(supervised) = &settings.supervise else {
        let path = until_start(settings, &mut stop).path?;
        stopped_before_start(&mut stop)?;
        stderr::flush();
        stop.restore_mask()?;
        return Err(process::become_command(&path, &settings.command).into());
    };
    if let Some(signal) = supervised.parent_death {
        follow(parent, signal)?;
    }
    let Prepared { proxy, path } = until_start(settings, &mut stop);
    block_on(async {
        let ended = match path {
            Ok(path) => {
                let start = Start {
                    settings: supervised,
                    rules: supervised.rules(settings.stops.clone()),
                    path: &path,
                    command: &settings.command,
                    proxy: proxy.clone(),
                    background: look_after_start(settings, supervised, proxy.clone()),
                };
                supervise(start, &mut stop).await
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &ended {
            quit_unstarted(supervised, proxy, failure, &mut stop).await;
        }
        ended
    })
}

/// Ends as `signal` would end us where our parent has died before we could ask the kernel for it.
fn follow(parent: Parent, signal: Signal) -> Result<(), Failure> {
    match parent.death_sends(signal) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::new(
            Exit::Signal(signal),
            format!("the parent of meshim has died, for which --parent-death-signal is {signal}"),
        )),
        Err(error) => Err(Failure::new(
            Exit::Failed,
            format!("the kernel refuses --parent-death-signal {signal}: {error}"),
        )),
    }
}

/// All that comes before the start.
struct Prepared {
    /// The proxy that was waited for, also where the wait has failed; where nobody waited, the one
    /// that listens.
    proxy: Option<Proxy>,
    /// The command's file; or why it is not to be started.
    path: Result<PathBuf, Failure>,
}

/// Finds the command, judges what is certain, waits, judges the rest.
fn until_start(settings: &Run, stop: &mut StopSignals) -> Prepared {
    let began = Instant::now();
    let named = settings.wait.proxy.as_ref();
    let path = match find_command(settings) {
        Ok(path) => path,
        Err(failure) => {
            let proxy = pod::proxy_now(settings.wait.proxy.as_ref());
            return Prepared { proxy, path: Err(failure) };
        }
    };
    // A mesh that the user named is certain before the first look at its proxy.
    if let Some(Err(failure)) = named.map(|proxy| at_once(settings.check, proxy, &settings.listen))
    {
        return Prepared { proxy: settings.wait.proxy.clone(), path: Err(failure) };
    }
    let Waited { proxy, end } = until_ready(&settings.wait, stop);
    let judged = end.and_then(|end| {
        let is_ready = matches!(end, End::Ready);
        ended_well(settings, end)?;
        // Without a mesh there is nothing that could break the application.
        let Some(proxy) = &proxy else { return Ok(()) };
        if named.is_none() {
            at_once(settings.check, proxy, &settings.listen)?;
        }
        // A proxy that is not ready has no inbound clusters yet, and the time is over.
        if is_ready { look_at_listen(settings, proxy, began, stop) } else { Ok(()) }
    });
    Prepared { proxy, path: judged.map(|()| path) }
}

fn find_command(settings: &Run) -> Result<PathBuf, Failure> {
    let name = settings.command.first();
    let name = name.ok_or_else(|| Failure::new(Exit::Failed, "no command was given"))?;
    command::find(name, settings.search_path.as_deref()).map_err(|error| bad_command(&error))
}

/// Is the command to be started after a wait that ended like this?
fn ended_well(settings: &Run, end: End) -> Result<(), Failure> {
    match end {
        End::Ready | End::WithoutProxy => Ok(()),
        End::TimedOut(sentence) if settings.on_timeout == OnTimeout::Start => {
            tracing::warn!(
                event = "timed_out",
                "{sentence}; starting all the same, as --on-timeout start says"
            );
            Ok(())
        }
        End::TimedOut(sentence) => Err(Failure::new(Exit::NotReady, sentence)),
    }
}

/// Judges `--listen` by how the proxy forwards, within what is left of `--timeout`, and no longer
/// than until a stop signal comes.
fn look_at_listen(
    settings: &Run,
    proxy: &Proxy,
    began: Instant,
    stop: &mut StopSignals,
) -> Result<(), Failure> {
    if settings.listen.is_empty() {
        return Ok(());
    }
    let limits = settings.wait.limits;
    let look = listen_before_start(settings.check, proxy, &settings.listen, limits.request_timeout);
    let over = limits.timeout.map(|timeout| began + timeout);
    block_on(async {
        select! {
            biased;
            signal = stop.next() => Err(Failure::new(
                Exit::Signal(signal),
                format!(
                    "ended by {signal} while the proxy was asked how it forwards, for --listen"
                ),
            )),
            judged = look => judged,
            () = sleep_until(over) => ended_well(settings, End::TimedOut(format!(
                "the {} proxy is ready and did not say within {} how it forwards, which --listen \
                 is judged by",
                proxy.mesh,
                Spoken(began.elapsed()),
            ))),
        }
    })
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// What is worth a look once the application runs: whether the proxy can be ended at all, and the
/// listen check for real, where there is a mesh to judge by. It only logs: nothing of ours ends
/// what has started.
fn look_after_start(
    settings: &Run,
    supervised: &Supervise,
    proxy: Option<Proxy>,
) -> Option<Background> {
    let proxy = proxy?;
    let (declared, timeout) = (settings.listen.clone(), settings.wait.limits.request_timeout);
    let checks = settings.check != Enforcement::Off;
    let quits = supervised.quit != QuitWhen::Never && supervised.quit_urls.is_empty();
    Some(Box::pin(async move {
        if quits {
            quit::warn_where_endless(&proxy).await;
        }
        if checks {
            after_start(&proxy, &declared, timeout).await;
        }
    }))
}

/// `--quit` where the application never started: exactly the proxy that the wait has found is
/// asked.
async fn quit_unstarted(
    supervised: &Supervise,
    proxy: Option<Proxy>,
    failure: &Failure,
    stop: &mut StopSignals,
) {
    if !supervised.quit.applies_unstarted(failure.exit) {
        return;
    }
    tracing::info!(
        event = "quitting",
        "the application has not started; asking the proxy to end all the same, as --quit says"
    );
    let (urls, began) = (supervised.quit_urls.clone(), tokio::time::Instant::now());
    let occasion = Occasion::unstarted(failure.exit, supervised.grace);
    let request = Request { urls, proxy, facts: None, occasion, began };
    // The signal that ended the wait, if one did, has been taken: another one ends this, too.
    select! {
        biased;
        signal = stop.next() => tracing::warn!(
            event = "quit_refused",
            signal = signal.number(),
            "{signal}: the proxy is not asked any longer"
        ),
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
