//! Being the application's parent: events in, the actions of [`Lifecycle`] out.
//!
//! Owns the loop and what each action is; what happens when is `core::stopping::lifecycle`'s. From
//! the application's start on, must never end it but by a stop signal's grace period.

use std::ffi::OsString;
use std::future::pending;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use tokio::select;
use tokio::time::{Instant, sleep_until};

use super::found::Found;
use super::quit::Request;
use super::start::stopped_before_start;
use super::{drain, pod, progress, quit};
use crate::config::SuperviseSettings;
use crate::core::envoy::server_info::ServerInfo;
use crate::core::exit::{Exit, Failure};
use crate::core::signal::Signal;
use crate::core::stopping::lifecycle::{Action, Event, Lifecycle, Rules};
use crate::io::inbox::{Arrival, Inbox};
use crate::io::parent_death;
use crate::io::process::{self, Application, ChildChange, Launch};
use crate::io::signals::StopSignals;
use crate::io::terminal::Terminal;

/// What is to be started, and what is known by then.
pub(super) struct Start<'a> {
    /// How to stay as its parent.
    pub(super) settings: &'a SuperviseSettings,
    /// What happens when.
    pub(super) rules: Rules,
    /// The command's file.
    pub(super) path: &'a Path,
    /// The command and its arguments.
    pub(super) command: &'a [OsString],
    /// The proxy that was waited for.
    pub(super) found: Found,
    /// What goes on beside it.
    pub(super) background: Option<Background>,
}

/// Starts the command and stays until its end.
///
/// # Errors
/// It could not be started, or a stop signal came first.
pub(super) async fn supervise(start: Start<'_>, stop: &mut StopSignals) -> Result<Exit, Failure> {
    // All that can fail comes first.
    let mut inbox = Inbox::prepare(stop)?;
    if let Err(error) = process::adopt_orphans() {
        tracing::warn!(
            event = "degraded",
            "the kernel does not let us adopt orphans: {error}; they go to the container's init"
        );
    }
    let terminal = Terminal::controlling();
    let launch = launch(&start)?
        .in_own_group(terminal.is_none())
        .signalled_as_group(start.settings.signal_group);
    stopped_before_start(stop)?;
    let application = inbox.while_unblocked(|| launch.start())?;
    // The point of no return: from here on nothing of ours ends the application, and no error of
    // ours ends this function.
    tracing::info!(event = "started", pid = application.pid(), "the application has started");
    let is_anybody_asked = start.found.proxy.is_some() || !start.settings.quit_urls.is_empty();
    let quitting = if is_anybody_asked { start.rules.quitting_takes() } else { Duration::ZERO };
    progress::planned(start.settings, quitting);
    Ok(Supervisor::new(start, application, terminal).run(inbox).await)
}

fn launch(start: &Start<'_>) -> Result<Launch, Failure> {
    let Some(signal) = start.settings.parent_death else {
        return Ok(Launch::new(start.path, start.command));
    };
    parent_death::launch(start.path, start.command, signal).map_err(|error| {
        let sentence = format!(
            "--parent-death-signal needs this program's own file, /proc/self/exe: {error}; mount \
             /proc"
        );
        Failure::new(Exit::Failed, sentence)
    })
}

/// What is done beside waiting; at most one thing at a time.
type Task = Pin<Box<dyn Future<Output = Done>>>;

/// What goes on by itself beside all of that, and may be dropped at any time.
pub(super) type Background = Pin<Box<dyn Future<Output = ()>>>;

/// What came of it.
enum Done {
    Read(Option<ServerInfo>),
    Drained,
    Asked,
}

struct Supervisor<'a> {
    settings: &'a SuperviseSettings,
    application: Application,
    terminal: Option<Terminal>,
    found: Found,
    facts: Option<ServerInfo>,
    lifecycle: Lifecycle,
    task: Option<Task>,
    background: Option<Background>,
    began: Instant,
}

impl<'a> Supervisor<'a> {
    fn new(start: Start<'a>, application: Application, terminal: Option<Terminal>) -> Self {
        let Start { settings, rules, found, background, .. } = start;
        let proxy = found.proxy.as_ref();
        let lifecycle = Lifecycle::new(rules);
        let admin = proxy.and_then(|proxy| proxy.admin.clone());
        if let (None, Some(times), Some(proxy)) = (&admin, settings.drain, proxy) {
            drain::tell_misfits(times, proxy, None);
        }
        let mut task: Option<Task> = None;
        if let (Some(admin), true) = (admin, settings.needs_facts()) {
            task = Some(Box::pin(async move { Done::Read(pod::read_server_info(&admin).await) }));
        }
        let began = Instant::now();
        Self {
            settings,
            application,
            terminal,
            found,
            facts: None,
            lifecycle,
            task,
            background,
            began,
        }
    }

    async fn run(mut self, mut inbox: Inbox) -> Exit {
        loop {
            let deadline = self.lifecycle.deadline().map(|deadline| self.began + deadline);
            // A flood of signals keeps the inbox ready for ever: the deadline is not to wait for
            // it.
            let events = if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                vec![Event::TimeOver]
            } else {
                select! {
                    biased;
                    done = finished(&mut self.task) => self.on_done(done),
                    arrival = inbox.next() => match arrival {
                        Arrival::Child => self.on_child(),
                        arrival => self.on_signal(arrival),
                    },
                    () = at(deadline) => vec![Event::TimeOver],
                    () = over(&mut self.background) => Vec::new(),
                }
            };
            for event in events {
                let actions = self.lifecycle.on(self.began.elapsed(), event);
                let exit = actions.iter().find_map(|action| self.perform(*action));
                progress::happened(event, &actions, &self.lifecycle);
                if let Some(exit) = exit {
                    return exit;
                }
            }
        }
    }

    /// The signals of a terminal's keys go to its foreground group, the application's own, without
    /// us.
    fn on_signal(&self, arrival: Arrival) -> Vec<Event> {
        match arrival {
            Arrival::Sent(signal) | Arrival::Kernel(signal @ Signal::HUP) => {
                vec![Event::Came(signal)]
            }
            Arrival::Kernel(signal) => {
                tracing::debug!(%signal, terminal = self.terminal.is_some(), "the kernel's signal \
                                                                              is not forwarded");
                Vec::new()
            }
            Arrival::Child => Vec::new(),
        }
    }

    fn on_child(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for change in self.application.reap() {
            match change {
                ChildChange::Ended(exit) => events.push(Event::Ended(exit)),
                ChildChange::Stopped => self.stop_with_it(),
            }
        }
        events
    }

    /// Under a shell with job control we stop when the application does, and go on with it, so that
    /// the shell sees the one job that it has started.
    fn stop_with_it(&self) {
        let Some(terminal) = self.terminal.as_ref().filter(|_| process::is_a_job()) else { return };
        let group = self.application.group();
        let was_foreground = terminal.foreground() == group;
        process::stop_ourselves();
        if let (Some(group), true) = (group, was_foreground) {
            terminal.hand_to(group);
        }
        self.application.resume();
    }

    fn on_done(&mut self, done: Done) -> Vec<Event> {
        match done {
            Done::Drained => vec![Event::Drained],
            Done::Asked => vec![Event::Asked],
            Done::Read(facts) => {
                if let (Some(times), Some(proxy)) = (self.settings.drain, &self.found.proxy) {
                    drain::tell_misfits(times, proxy, facts.as_ref());
                }
                self.facts = facts;
                Vec::new()
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Exit> {
        match action {
            Action::Drain => self.task = self.drain(),
            Action::Stop(signal) => {
                self.task = None;
                self.send(signal);
                // A stopped process does not handle a signal until SIGCONT.
                if self.application.may_be_stopped() {
                    self.application.resume();
                }
            }
            Action::Forward(signal) => self.send(signal),
            Action::Kill => {
                self.task = None;
                self.send(Signal::KILL);
            }
            Action::Quit => {
                let urls = self.settings.quit_urls.clone();
                let request = Request {
                    urls,
                    found: self.found.clone(),
                    facts: self.facts.clone(),
                    occasion: self.lifecycle.occasion(),
                    began: self.began,
                };
                self.task = Some(Box::pin(async move {
                    quit::ask_and_tell(request).await;
                    Done::Asked
                }));
            }
            Action::Exit(exit) => return Some(exit),
        }
        None
    }

    fn drain(&mut self) -> Option<Task> {
        let (proxy, times) = (self.found.proxy.clone(), self.settings.drain?);
        let facts = self.facts.clone();
        let began = Instant::now();
        Some(Box::pin(async move {
            drain::until_idle(proxy, times, facts, began).await;
            Done::Drained
        }))
    }

    fn send(&self, signal: Signal) {
        if let Err(error) = self.application.send(signal) {
            tracing::warn!(
                event = "signal_failed",
                signal = signal.number(),
                "{signal} cannot be sent to the application: {error}; does it run as another user?"
            );
        }
    }
}

async fn finished(task: &mut Option<Task>) -> Done {
    let Some(running) = task else { return pending().await };
    let done = running.await;
    *task = None;
    done
}

async fn over(background: &mut Option<Background>) {
    let Some(running) = background else { return pending().await };
    running.await;
    *background = None;
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
