//! The default job: find the command, check, wait, then become the command or its parent.
//!
//! Owns this order, so that nothing that can fail comes after the start; must never judge a proxy,
//! or start anything itself.

use std::path::PathBuf;
use std::time::Instant;

use tokio::select;

use super::check::{after_start, at_once, listen_before_start};
use super::runtime::{block_on, until_stopped};
use super::start::stopped_before_start;
use super::supervise::{Background, Start, supervise};
use super::unstarted::{self, Beside};
use super::wait::{Waited, until_ready};
use super::waiter::WaitEnd;
use super::{pod, quit};
use crate::config::{Enforcement, OnTimeout, RunSettings, SuperviseSettings, Unstarted};
use crate::core::duration::Spoken;
use crate::core::exit::{Exit, Failure};
use crate::core::proxy::Proxy;
use crate::core::signal::Signal;
use crate::core::stopping::quit_when::QuitWhen;
use crate::io::command::{self, BadCommand, Program};
use crate::io::parent_death::Parent;
use crate::io::signals::StopSignals;
use crate::io::{process, stderr};

/// Waits and becomes the command, or stays as its parent until its end. Where the application never
/// starts and the proxy is to be ended all the same, `tell` gets the failure before that.
///
/// # Errors
/// The command is missing (before any wait), a finding under `enforce`, the timeout, a
/// stop signal, fork or exec.
pub fn run(
    settings: &RunSettings,
    mut stop: StopSignals,
    parent: Parent,
    tell: impl FnOnce(&Failure) -> Exit,
) -> Result<Exit, Failure> {
    stop.hear(settings.stops.added())?;
    for signal in settings.stops.sent().filter(|signal| stop.was_blocked(*signal)) {
        tracing::warn!(
            event = "degraded",
            signal = signal.number(),
            "{signal} was blocked when meshim was started, and the application inherits that, as \
             it would without meshim: it hears {signal} only if it unblocks it"
        );
    }
    let Some(supervised) = &settings.supervise else {
        let path = until_start(settings, &mut stop).path?;
        stopped_before_start(&mut stop)?;
        let pid = process::own_id();
        tracing::info!(event = "started", pid, "this process becomes the application");
        stderr::flush();
        stop.restore_mask()?;
        return Err(process::become_command(&path, &settings.command).into());
    };
    let (beside, ended) = start_and_stay(settings, supervised, &mut stop, parent);
    match ended {
        Err(failure) if supervised.quit.applies_unstarted(failure.exit) => {
            let exit = tell(&failure);
            let last = Unstarted::of(&settings.wait, supervised);
            unstarted::quit(&last, beside, exit, &mut stop);
            Ok(exit)
        }
        ended => ended,
    }
}

/// The run of a parent, and what is known of the proxy where that ends before the start.
fn start_and_stay(
    settings: &RunSettings,
    supervised: &SuperviseSettings,
    stop: &mut StopSignals,
    parent: Parent,
) -> (Beside, Result<Exit, Failure>) {
    if let Some(Err(failure)) = supervised.parent_death.map(|signal| follow(parent, signal)) {
        return (Beside::Unknown, Err(failure));
    }
    let Prepared { beside, path } = until_start(settings, stop);
    let ended = path.and_then(|path| {
        let found = beside.found();
        let start = Start {
            settings: supervised,
            rules: supervised.rules(settings.stops.clone()),
            path: &path,
            command: &settings.command,
            background: look_after_start(settings, supervised, found.proxy.clone()),
            found,
        };
        block_on(supervise(start, stop))
    });
    (beside, ended)
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
    /// The proxy that was waited for, also where the wait has failed.
    beside: Beside,
    /// The command's file; or why it is not to be started.
    path: Result<PathBuf, Failure>,
}

/// Finds the command, judges what is certain, waits, judges the rest.
fn until_start(settings: &RunSettings, stop: &mut StopSignals) -> Prepared {
    let began = Instant::now();
    let given = &settings.wait.given;
    let named = given.mesh.map(|mesh| Proxy::at(mesh, given));
    let path = match find_command(settings) {
        Ok(path) => path,
        Err(failure) => return Prepared { beside: Beside::Unknown, path: Err(failure) },
    };
    // A mesh that the user named is certain before the first look at its proxy.
    let judge = |proxy: &Proxy| at_once(settings.check, proxy, &settings.listen);
    if let Some(Err(failure)) = named.as_ref().map(judge) {
        return Prepared { beside: Beside::Unknown, path: Err(failure) };
    }
    let Waited { found, end } = until_ready(&settings.wait, stop);
    let proxy = found.proxy.as_ref();
    let judged = end.and_then(|end| {
        let is_ready = matches!(end, WaitEnd::Ready);
        ended_well(settings, end).map_err(|failure| with_cause(settings, proxy, failure))?;
        // Without a mesh there is nothing that could break the application.
        let Some(proxy) = proxy else { return Ok(()) };
        if named.is_none() {
            judge(proxy)?;
        }
        // A proxy that is not ready has no inbound clusters yet, and the time is over.
        if is_ready { look_at_listen(settings, proxy, began, stop) } else { Ok(()) }
    });
    Prepared { beside: Beside::Known(found), path: judged.map(|()| path) }
}

fn find_command(settings: &RunSettings) -> Result<PathBuf, Failure> {
    let name = settings.command.first();
    let name = name.ok_or_else(|| Failure::new(Exit::Failed, "no command was given"))?;
    let found = command::find(name, settings.search_path.as_deref());
    let Program { path, doubt } = found.map_err(|error| bad_command(&error))?;
    if let Some(foreign) = doubt {
        tracing::warn!(
            event = "doubtful_command",
            "the command {} will not start, unless this kernel was taught to run such files \
             (binfmt_misc): {foreign}",
            path.display()
        );
    }
    Ok(path)
}

/// Is the command to be started after a wait that ended like this?
fn ended_well(settings: &RunSettings, end: WaitEnd) -> Result<(), Failure> {
    match end {
        WaitEnd::Ready | WaitEnd::WithoutProxy => Ok(()),
        WaitEnd::TimedOut(sentence) if settings.on_timeout == OnTimeout::Start => {
            tracing::warn!(
                event = "timed_out",
                "{sentence}; starting all the same, as --on-timeout start says"
            );
            Ok(())
        }
        WaitEnd::TimedOut(sentence) => Err(Failure::new(Exit::NotReady, sentence)),
    }
}

/// The failure of a wait for a proxy that an earlier run of the same container may have ended:
/// pilot-agent then exits with 0, and is not started again where only failures are.
fn with_cause(settings: &RunSettings, proxy: Option<&Proxy>, failure: Failure) -> Failure {
    let quit = settings.supervise.as_ref().map(|supervise| supervise.quit);
    if quit != Some(QuitWhen::Always) || proxy.is_some_and(pod::listens) {
        return failure;
    }
    let sentence = format!(
        "{}; if an earlier run of this container has ended it (--quit always under restartPolicy: \
         OnFailure), it does not come back: such Jobs need --quit on-success",
        failure.sentence
    );
    Failure { sentence, ..failure }
}

/// Judges `--listen` by how the proxy forwards, within what is left of `--timeout`, and no longer
/// than until a stop signal comes.
fn look_at_listen(
    settings: &RunSettings,
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
    let judged = until_stopped(stop, async {
        select! {
            biased;
            judged = look => judged,
            () = sleep_until(over) => ended_well(settings, WaitEnd::TimedOut(format!(
                "the {} proxy is ready and did not say within {} how it forwards, which --listen \
                 is judged by",
                proxy.mesh,
                Spoken(began.elapsed()),
            ))),
        }
    })?;
    judged.unwrap_or_else(|signal| {
        let doing = "the proxy was asked how it forwards, for --listen";
        Err(Failure::new(Exit::Signal(signal), format!("ended by {signal} while {doing}")))
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
    settings: &RunSettings,
    supervised: &SuperviseSettings,
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

fn bad_command(error: &BadCommand) -> Failure {
    let exit = match error {
        BadCommand::NotFound(..) => Exit::NotFound,
        BadCommand::NotExecutable(..) | BadCommand::NoInterpreter(..) => Exit::CannotExecute,
        BadCommand::Unseen(..) => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}
