//! One wait as it happens: does what `core::waiting` says next, and hands back what it saw.
//!
//! Owns the clock and the connections of a wait; must never decide what a look means.

use std::time::{Duration, Instant};

use tracing::{Level, enabled};

use super::hints::hints;
use super::page::read;
use super::wait_progress::Progress;
use crate::core::duration::Spoken;
use crate::core::envoy::server_info::ServerInfoPage;
use crate::core::exit::{Exit, Failure};
use crate::core::profile::Expect;
use crate::core::signal::Signal;
use crate::core::waiting::change::Change;
use crate::core::waiting::not_ready::Hints;
use crate::core::waiting::observation::{self, Observation, Trust};
use crate::core::waiting::pacing::Reminders;
use crate::core::waiting::step::{Ending, Step};
use crate::core::waiting::wait::{Wait, WaitPlan};
use crate::core::waiting::watched::Place;
use crate::io::http::poller::Looked;
use crate::io::http::pollers::Pollers;
use crate::io::redirect;
use crate::io::signals::{StopSignals, Woken};
use crate::io::sockets::listening;

/// How a wait ended.
#[derive(Debug)]
pub(super) enum WaitEnd {
    /// The proxy is ready.
    Ready,
    /// There is none to wait for.
    WithoutProxy,
    /// Not ready in time; why, in a sentence.
    TimedOut(String),
}

/// One wait: the pure one, its clock, its connections and its log.
pub(super) struct Waiter<'a> {
    pub(super) wait: Wait,
    pub(super) progress: Progress,
    is_mesh_named: bool,
    began: Instant,
    reminders: Reminders,
    pollers: Pollers,
    stop: &'a mut StopSignals,
}

impl<'a> Waiter<'a> {
    /// A wait that begins now.
    pub(super) fn new(plan: &WaitPlan, wait: Wait, stop: &'a mut StopSignals) -> Self {
        Self {
            wait,
            progress: Progress::new(plan.limits.timeout),
            is_mesh_named: plan.given.mesh.is_some(),
            began: Instant::now(),
            reminders: Reminders::default(),
            pollers: Pollers::default(),
            stop,
        }
    }

    /// The time since the wait began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Waits until everything is ready, or the time is over.
    ///
    /// # Errors
    /// A stop signal; no way to see who listens, for `auto`; the kernel refuses.
    pub(super) fn until_over(&mut self) -> Result<WaitEnd, Failure> {
        loop {
            let now = self.now();
            let next = self.wait.next(now);
            if !matches!(next, Step::Over(_)) && self.reminders.is_over(now) {
                Progress::goes_on(&self.wait, now);
            }
            let change = match next {
                Step::List => self.list(),
                Step::Look { at, trust, until } => self.look(&at, trust, until)?,
                Step::Probe => {
                    let found = redirect::is_redirected(self.stop);
                    let is_redirected = found.map_err(|signal| self.stopped(signal))?;
                    self.wait.probed(is_redirected)
                }
                Step::GiveUp => Some(self.wait.give_up()),
                Step::Rest(until) => self.rest(until)?,
                Step::Over(ending) => return self.over(ending),
            };
            self.progress.tell(change, self.now());
        }
    }

    /// Sees who listens.
    pub(super) fn list(&mut self) -> Option<Change> {
        let before = self.now();
        let listening = listening::listening();
        let now = self.now();
        let listening = listening.as_deref().map_err(ToString::to_string);
        self.wait.listed(now, now.saturating_sub(before), listening)
    }

    /// Looks at one endpoint, until `until` into the wait.
    ///
    /// # Errors
    /// A stop signal.
    pub(super) fn look(
        &mut self,
        at: &Place,
        trust: Trust,
        until: Duration,
    ) -> Result<Option<Change>, Failure> {
        let (before, until) = (self.now(), self.began + until);
        let (seen, proves) = match self.seen(at, trust, until) {
            Ok(seen) => seen,
            Err(signal) => return Err(self.stopped(signal)),
        };
        let now = self.now();
        if enabled!(Level::DEBUG) && self.wait.last_seen(at) != Some(&seen) {
            tracing::debug!(url = %at, %seen, "looked");
        }
        Ok(self.wait.observe(at, now, now.saturating_sub(before), seen, proves))
    }

    /// What a look sees, and whether only this proxy would answer so.
    fn seen(
        &mut self,
        at: &Place,
        trust: Trust,
        until: Instant,
    ) -> Result<(Observation, bool), Signal> {
        if at.expect == Expect::ServerInfo {
            let read = read::<ServerInfoPage>(&at.url, until, self.stop)?;
            return Ok((observation::of_server_info(read), false));
        }
        match self.pollers.look(at, until, self.stop) {
            Looked::Answer(answer) => {
                // What is certain need not be proven again with each look.
                let proves = trust == Trust::Guessed && observation::proves(at.expect, &answer);
                Ok((observation::decode(at.expect, trust, Ok(answer)), proves))
            }
            Looked::Fault(fault) => Ok((Observation::Failed(fault), false)),
            Looked::Stopped(signal) => Err(signal),
        }
    }

    /// Does nothing until `until` into the wait.
    ///
    /// # Errors
    /// A stop signal; the kernel refuses.
    pub(super) fn rest(&mut self, until: Duration) -> Result<Option<Change>, Failure> {
        match self.stop.wait(None, self.began + until) {
            Ok(Woken::Stopped(signal)) => Err(self.stopped(signal)),
            Ok(Woken::Ready | Woken::TimeUp) => Ok(None),
            Err(error) => {
                Err(Failure::new(Exit::Failed, format!("the kernel does not let us wait: {error}")))
            }
        }
    }

    fn over(&mut self, ending: Ending) -> Result<WaitEnd, Failure> {
        match ending {
            Ending::Ready => Ok(WaitEnd::Ready),
            Ending::WithoutProxy => Ok(WaitEnd::WithoutProxy),
            Ending::Blind(why) => Err(blind(&why)),
            Ending::TimedOut => {
                let now = self.now();
                if self.is_mesh_named {
                    // Who listens, for the sentence alone: the agent, or another mesh's proxy.
                    self.list();
                }
                let hints = hints(&self.wait, self.stop).map_err(|signal| self.stopped(signal))?;
                let (missing, why) = (self.wait.subject("was", "were"), self.wait.explain(&hints));
                let took = Spoken(now);
                Ok(WaitEnd::TimedOut(format!("{missing} not ready within {took}: {why}")))
            }
        }
    }

    fn stopped(&self, signal: Signal) -> Failure {
        let (after, missing) = (Spoken(self.now()), self.wait.missing());
        let why = self.wait.explain(&Hints::default());
        Failure::new(
            Exit::Signal(signal),
            format!("ended by {signal} after waiting {after} for {missing}: {why}"),
        )
    }
}

/// Nobody can see who listens: why.
pub(super) fn blind(why: &str) -> Failure {
    let sentence = format!(
        "--mesh auto needs the listening sockets, and neither sock_diag nor /proc/net/tcp tells \
         them: {why}; name the mesh with --mesh"
    );
    Failure::new(Exit::Failed, sentence)
}
