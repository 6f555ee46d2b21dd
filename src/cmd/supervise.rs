//! Being the application's parent: events in, the actions of [`Lifecycle`] out.
//!
//! Owns the loop and what each action is; what happens when is `core::lifecycle`'s. From the
//! application's start on, nothing here ends it but a stop signal's grace period.

use std::ffi::OsString;
use std::future::pending;
use std::path::Path;
use std::pin::Pin;

use tokio::select;
use tokio::time::{Instant, sleep_until};

use super::quit::Request;
use super::start::{not_started, stopped_before_start};
use super::{drain, pod, quit};
use crate::config::Supervise;
use crate::core::duration::Spoken;
use crate::core::envoy::server_info::ServerInfo;
use crate::core::exit::{Exit, Failure};
use crate::core::proxy::Proxy;
use crate::core::signal::Signal;
use crate::core::stopping::lifecycle::{Action, Event, Lifecycle};
use crate::io::process::{self, Application, Change};
use crate::io::signals::{Arrival, Inbox, StopSignals};
use crate::io::terminal::Terminal;

/// Starts the command and stays until its end.
///
/// # Errors
/// It could not be started, or a stop signal came first.
pub(super) async fn supervise(
    settings: &Supervise,
    path: &Path,
    command: &[OsString],
    proxy: Option<Proxy>,
    background: Option<Background>,
    stop: &mut StopSignals,
) -> Result<Exit, Failure> {
    // All that can fail comes first.
    let mut inbox =
        Inbox::prepare(stop).map_err(|refused| Failure::new(Exit::Failed, refused.to_string()))?;
    if let Err(error) = process::adopt_orphans() {
        tracing::warn!(
            "the kernel does not let us adopt orphans: {error}; they go to the container's init"
        );
    }
    let terminal = Terminal::controlling();
    stopped_before_start(stop)?;
    let started = inbox.while_unblocked(|| Application::start(path, command, terminal.is_none()));
    let application = started.map_err(|error| not_started(&error))?;
    // The point of no return: from here on nothing of ours ends the application, and no error of
    // ours ends this function.
    tracing::debug!(pid = application.pid(), "the application has started");
    Ok(Supervisor::new(settings, application, terminal, proxy, background).run(inbox).await)
}

/// What is done beside waiting; at most one thing at a time.
type Work = Pin<Box<dyn Future<Output = Done>>>;

/// What goes on by itself beside all of that, and may be dropped at any time.
pub(super) type Background = Pin<Box<dyn Future<Output = ()>>>;

/// What came of it.
enum Done {
    Read(Option<ServerInfo>),
    Drained,
    Asked,
}

struct Supervisor<'a> {
    settings: &'a Supervise,
    application: Application,
    terminal: Option<Terminal>,
    proxy: Option<Proxy>,
    facts: Option<ServerInfo>,
    lifecycle: Lifecycle,
    work: Option<Work>,
    background: Option<Background>,
    began: Instant,
}

impl<'a> Supervisor<'a> {
    fn new(
        settings: &'a Supervise,
        application: Application,
        terminal: Option<Terminal>,
        proxy: Option<Proxy>,
        background: Option<Background>,
    ) -> Self {
        let mut lifecycle = Lifecycle::new(settings.rules());
        let admin = proxy.as_ref().and_then(|proxy| proxy.admin.clone());
        if admin.is_none() {
            lifecycle.cannot_drain();
            if let (Some(_), Some(proxy)) = (settings.drain, &proxy) {
                tracing::warn!(
                    "--drain has no effect: the {} proxy has no Envoy admin API to drain through",
                    proxy.mesh
                );
            }
        }
        let mut work: Option<Work> = None;
        if let (Some(admin), true) = (admin, settings.needs_facts()) {
            work = Some(Box::pin(async move { Done::Read(pod::read_server_info(&admin).await) }));
        }
        let began = Instant::now();
        Self {
            settings,
            application,
            terminal,
            proxy,
            facts: None,
            lifecycle,
            work,
            background,
            began,
        }
    }

    async fn run(mut self, mut inbox: Inbox) -> Exit {
        loop {
            let deadline = self.lifecycle.deadline().map(|deadline| self.began + deadline);
            let events = select! {
                biased;
                arrival = inbox.next() => match arrival {
                    Arrival::Child => self.on_child(),
                    arrival => self.on_signal(arrival),
                },
                done = finished(&mut self.work) => self.on_done(done),
                () = at(deadline) => vec![Event::TimeOver],
                () = over(&mut self.background) => Vec::new(),
            };
            for event in events {
                for action in self.lifecycle.on(self.began.elapsed(), event) {
                    if let Some(exit) = self.perform(action) {
                        return exit;
                    }
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
                Change::Ended(exit) => events.push(Event::Ended(exit)),
                Change::Stopped => self.stop_with_it(),
            }
        }
        events
    }

    /// Under a shell with job control we stop when the application does, and go on with it, so that
    /// the shell sees the one job that it has started.
    fn stop_with_it(&self) {
        let Some(terminal) = self.terminal.as_ref().filter(|_| process::is_a_job()) else { return };
        let group = self.application.group();
        let had_its_turn = terminal.foreground() == group;
        process::stop_ourselves();
        if let (Some(group), true) = (group, had_its_turn) {
            terminal.hand_to(group);
        }
        self.application.resume();
    }

    fn on_done(&mut self, done: Done) -> Vec<Event> {
        match done {
            Done::Drained => vec![Event::Drained],
            Done::Asked => vec![Event::Asked],
            Done::Read(facts) => {
                if let (Some(times), Some(facts)) = (self.settings.drain, &facts) {
                    drain::warn_of_misfits(times, facts);
                }
                self.facts = facts;
                Vec::new()
            }
        }
    }

    fn perform(&mut self, action: Action) -> Option<Exit> {
        match action {
            Action::Drain => self.work = self.drain(),
            Action::Stop(signal) => {
                self.work = None;
                self.send(signal);
                // A stopped process would take its stop signal with it into the grave.
                if self.application.may_be_stopped() {
                    self.application.resume();
                }
            }
            Action::Forward(signal) => self.send(signal),
            Action::Kill => {
                self.work = None;
                let grace = Spoken(self.settings.grace);
                tracing::warn!(
                    "the application has not ended within {grace} of the stop signal (--grace): \
                     killing it"
                );
                self.send(Signal::KILL);
            }
            Action::Quit => {
                let urls = self.settings.quit_urls.clone();
                let request = Request { urls, proxy: self.proxy.clone(), facts: self.facts.take() };
                self.work = Some(Box::pin(async move {
                    quit::ask_and_tell(request).await;
                    Done::Asked
                }));
            }
            Action::Exit(exit) => return Some(exit),
        }
        None
    }

    fn drain(&mut self) -> Option<Work> {
        let (proxy, times, facts) = (self.proxy.clone()?, self.settings.drain?, self.facts.clone());
        let began = Instant::now();
        Some(Box::pin(async move {
            // Where the proxy could not be told, that has been said, and the application has served
            // on all the same.
            let _ = drain::until_idle(proxy, times, facts, began).await;
            Done::Drained
        }))
    }

    fn send(&self, signal: Signal) {
        tracing::debug!(%signal, phase = ?self.lifecycle.phase(), "forwarding");
        if let Err(error) = self.application.send(signal) {
            tracing::warn!(
                "{signal} cannot be sent to the application: {error}; does it run as another user?"
            );
        }
    }
}

async fn finished(work: &mut Option<Work>) -> Done {
    let Some(running) = work else { return pending().await };
    let done = running.await;
    *work = None;
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
