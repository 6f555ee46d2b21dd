//! `meshim wait`, and the waiting of the default job: does what `core::waiting` says next, and
//! tells on the way.

use std::time::{Duration, Instant};

use tokio::select;
use tracing::{Level, enabled};

use super::runtime::block_on;
use crate::core::answer::printable;
use crate::core::duration::{Spoken, millis};
use crate::core::endpoint::Endpoint;
use crate::core::envoy::counters::CountersPage;
use crate::core::envoy::init_dump::InitDump;
use crate::core::envoy::listeners::ListenersPage;
use crate::core::envoy::page::Page;
use crate::core::envoy::server_info::ServerInfoPage;
use crate::core::envoy::unread::Unread;
use crate::core::exit::{Exit, Failure};
use crate::core::mesh::Mesh;
use crate::core::profiles::Expect;
use crate::core::proxy::{Given, Proxy};
use crate::core::signal::Signal;
use crate::core::waiting::change::Change;
use crate::core::waiting::diagnosis::Hints;
use crate::core::waiting::observation::{self, Observation, Trust};
use crate::core::waiting::pacing::{Limits, Reminders};
use crate::core::waiting::wait::{Ending, Next, Plan, Wait};
use crate::core::waiting::watched::Place;
use crate::io::admin::Admin;
use crate::io::http::poller::Looked;
use crate::io::http::pollers::Pollers;
use crate::io::redirect;
use crate::io::signals::{StopSignals, Woken};
use crate::io::sockets::listening;

/// `meshim wait`: 0 when the proxy is ready or there is none to wait for, 1 when it is not in time.
///
/// # Errors
/// Settings that only show now (no /proc for `auto`), the timeout, a stop signal.
pub fn wait(plan: &Plan, mut stop: StopSignals) -> Result<Exit, Failure> {
    match until_ready(plan, &mut stop).end? {
        End::Ready | End::WithoutProxy => Ok(Exit::Yes),
        End::TimedOut(sentence) => Err(Failure::timed_out(Exit::No, sentence)),
    }
}

/// What is beside us: drained, judged and asked to end afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The proxy. `None` where there is none, and where an answer has shown that what listens is
    /// another server.
    pub(super) proxy: Option<Proxy>,
    /// Is it certain that it is this proxy? Whatever ends programs must be sent to no other server.
    pub(super) is_certain: bool,
}

/// What a wait came to.
#[derive(Debug)]
pub(super) struct Waited {
    /// What it was for.
    pub(super) found: Found,
    /// How it ended; a [`Failure`] for a stop signal and for what the kernel refuses.
    pub(super) end: Result<End, Failure>,
}

/// How a wait ended.
#[derive(Debug)]
pub(super) enum End {
    /// The proxy is ready.
    Ready,
    /// There is none to wait for.
    WithoutProxy,
    /// Not ready in time; why, in a sentence.
    TimedOut(String),
}

/// Waits until everything that `plan` names is ready.
pub(super) fn until_ready(plan: &Plan, stop: &mut StopSignals) -> Waited {
    let (wait, first) = Wait::new(plan);
    let mut waiter = Waiter::new(plan, wait, stop);
    if let (Some(_), Some(mesh)) = (plan.injected, plan.given.mesh) {
        tracing::info!(
            event = "injected_unheard",
            %mesh,
            "MESHIM_INJECTED is not heard, since the mesh is named"
        );
    }
    waiter.tell(first);
    let end = waiter.until_over();
    Waited { found: waiter.found(), end }
}

/// How long the proxy may take, once the time is over, to say what it waits for.
const HINTS_WITHIN: Duration = Duration::from_millis(500);

/// So many rejected listeners are named.
const MOST_REJECTED: usize = 2;

/// How long it may take to find out whether what listens is a proxy.
const FOUND_WITHIN: Duration = Duration::from_secs(1);

/// The proxy that is there now, for what asks something of it: the one that the user named, or one
/// that is confirmed as the wait confirms it, so that no stranger on a proxy's port is sent a POST.
///
/// # Errors
/// The stop signal that came meanwhile.
pub(super) fn found_now(given: &Given, stop: &mut StopSignals) -> Result<Found, Signal> {
    if let Some(mesh) = given.mesh {
        return Ok(Found { proxy: Some(Proxy::at(mesh, given)), is_certain: true });
    }
    let limits = Limits {
        timeout: Some(FOUND_WITHIN),
        absent_after: Some(Duration::ZERO),
        request_timeout: FOUND_WITHIN,
    };
    let plan = Plan { given: given.clone(), injected: None, others: Vec::new(), limits };
    let mut waiter = Waiter::new(&plan, Wait::new(&plan).0, stop);
    while !waiter.wait.is_certain() {
        let done = match waiter.wait.next(waiter.now()) {
            // That a proxy may come is of no use now.
            Next::Probe => Ok(waiter.wait.probed(false)),
            Next::List => Ok(waiter.list()),
            Next::Look { at, trust, until } => waiter.look(&at, trust, until),
            Next::Rest(until) => waiter.rest(until),
            Next::GiveUp | Next::Over(_) => break,
        };
        match done.map_err(|failure| failure.exit) {
            Ok(Some(refuted @ Change::Refuted(..))) => waiter.tell(Some(refuted)),
            Ok(_) => {}
            Err(Exit::Signal(signal)) => return Err(signal),
            Err(_) => break,
        }
    }
    // Several ports of a mesh that nobody contradicts are more than the one of a plain Envoy.
    let Found { proxy, is_certain } = waiter.found();
    let proxy = proxy.filter(|proxy| is_certain || proxy.mesh != Mesh::Envoy);
    Ok(Found { proxy, is_certain })
}

/// One wait: the pure one, its clock, its connections and its log.
struct Waiter<'a> {
    plan: &'a Plan,
    wait: Wait,
    began: Instant,
    reminders: Reminders,
    pollers: Pollers,
    told_of_search: bool,
    stop: &'a mut StopSignals,
}

impl<'a> Waiter<'a> {
    fn new(plan: &'a Plan, wait: Wait, stop: &'a mut StopSignals) -> Self {
        Self {
            plan,
            wait,
            began: Instant::now(),
            reminders: Reminders::default(),
            pollers: Pollers::default(),
            told_of_search: false,
            stop,
        }
    }

    fn found(&self) -> Found {
        Found { proxy: self.wait.proxy().cloned(), is_certain: self.wait.is_certain() }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn until_over(&mut self) -> Result<End, Failure> {
        loop {
            let now = self.now();
            let next = self.wait.next(now);
            if !matches!(next, Next::Over(_)) && self.reminders.is_over(now) {
                self.remind(now);
            }
            let change = match next {
                Next::List => self.list(),
                Next::Look { at, trust, until } => self.look(&at, trust, until)?,
                Next::Probe => {
                    let found = redirect::is_redirected(self.stop);
                    let is_redirected = found.map_err(|signal| self.stopped(signal))?;
                    self.wait.probed(is_redirected)
                }
                Next::GiveUp => Some(self.wait.give_up()),
                Next::Rest(until) => self.rest(until)?,
                Next::Over(ending) => return self.over(ending),
            };
            self.tell(change);
        }
    }

    /// Says that the wait goes on, and why.
    fn remind(&self, now: Duration) {
        let (missing, why) = (self.wait.missing(), self.wait.explain(&Hints::default()));
        let mesh = self.wait.proxy().map(|proxy| proxy.mesh.to_string());
        tracing::warn!(
            event = "not_ready",
            mesh,
            waited_ms = millis(now),
            "{missing} not ready after {}: {why}",
            Spoken(now)
        );
    }

    fn list(&mut self) -> Option<Change> {
        let before = self.now();
        let listening = listening::listening();
        let now = self.now();
        let listening = listening.as_deref().map_err(ToString::to_string);
        self.wait.listed(now, now.saturating_sub(before), listening)
    }

    fn look(
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

    fn rest(&mut self, until: Duration) -> Result<Option<Change>, Failure> {
        match self.stop.wait(None, self.began + until) {
            Ok(Woken::Stopped(signal)) => Err(self.stopped(signal)),
            Ok(Woken::Ready | Woken::TimeUp) => Ok(None),
            Err(error) => {
                Err(Failure::new(Exit::Failed, format!("the kernel does not let us wait: {error}")))
            }
        }
    }

    fn over(&mut self, ending: Ending) -> Result<End, Failure> {
        match ending {
            Ending::Ready => Ok(End::Ready),
            Ending::WithoutProxy => Ok(End::WithoutProxy),
            Ending::Blind(why) => Err(Failure::new(
                Exit::Failed,
                format!(
                    "--mesh auto needs the listening sockets, and neither sock_diag nor \
                     /proc/net/tcp tells them: {why}; name the mesh with --mesh"
                ),
            )),
            Ending::TimedOut => {
                let now = self.now();
                if self.plan.given.mesh.is_some() {
                    // Who listens, for the sentence alone: the agent, or another mesh's proxy.
                    self.list();
                }
                let hints = self.hints().map_err(|signal| self.stopped(signal))?;
                let (missing, why) = (self.wait.missing(), self.wait.explain(&hints));
                let took = Spoken(now);
                Ok(End::TimedOut(format!("{missing} was not ready within {took}: {why}")))
            }
        }
    }

    /// What can be found out at the end, where there is an Envoy to ask. Whoever has not answered a
    /// look will not answer this, and only draw out the wait.
    fn hints(&mut self) -> Result<Hints, Signal> {
        let admin = self.wait.proxy().filter(|_| self.wait.speaks());
        let Some(admin) = admin.and_then(|proxy| proxy.admin.clone()) else {
            return Ok(Hints::default());
        };
        let until = Instant::now() + HINTS_WITHIN;
        if !self.wait.is_live() {
            let unready = read::<InitDump>(&admin, until, self.stop)?.unwrap_or_default();
            return Ok(Hints { unready, rejected: Vec::new() });
        }
        let listeners = read::<ListenersPage>(&admin, until, self.stop)?.unwrap_or_default();
        let mut rejected: Vec<String> = listeners
            .rejected
            .iter()
            .take(MOST_REJECTED)
            .map(|one| printable(format!("{}: {}", one.name, one.details).as_bytes(), 200))
            .collect();
        if rejected.is_empty() {
            let counters = read::<CountersPage>(&admin, until, self.stop)?.unwrap_or_default();
            let counted = [("cds", counters.cds), ("lds", counters.lds)].into_iter();
            let counted = counted.filter(|(_, updates)| updates.rejections > 0);
            rejected.extend(
                counted.map(|(name, updates)| {
                    format!("{name}.update_rejected: {}", updates.rejections)
                }),
            );
        }
        Ok(Hints { unready: Vec::new(), rejected })
    }

    fn stopped(&self, signal: Signal) -> Failure {
        let (after, missing) = (Spoken(self.now()), self.wait.missing());
        let why = self.wait.explain(&Hints::default());
        Failure::new(
            Exit::Signal(signal),
            format!("ended by {signal} after waiting {after} for {missing}: {why}"),
        )
    }

    /// The way of a wait, as the log shows it.
    fn tell(&mut self, change: Option<Change>) {
        let Some(change) = change else { return };
        let now = self.now();
        let (waited_ms, timeout_ms) = (millis(now), self.plan.limits.timeout.map(millis));
        let for_ever = if timeout_ms.is_none() { ", for ever" } else { "" };
        match change {
            Change::Searching if std::mem::replace(&mut self.told_of_search, true) => {}
            Change::Searching => tracing::info!(
                event = "waiting",
                timeout_ms,
                "waiting for a proxy to show up in this pod{for_ever}"
            ),
            Change::WaitingFor(mesh, ready) => tracing::info!(
                event = "waiting",
                %mesh,
                %ready,
                timeout_ms,
                "waiting for the proxy{for_ever}"
            ),
            Change::Refuted(mesh, url, seen) => tracing::warn!(
                event = "not_the_proxy",
                %mesh,
                "{url} answers {seen}: that is not the {mesh} proxy, looking for another"
            ),
            Change::ProxyReady(mesh, looks) => {
                tracing::info!(event = "ready", %mesh, waited_ms, looks, "the proxy is ready");
            }
            Change::OtherReady(url) => {
                tracing::info!(event = "other_ready", %url, waited_ms, "ready, as --wait-for asks");
            }
            Change::AskingAgain(mesh) => tracing::debug!(%mesh, "asking again"),
            Change::Agent(name, true) => tracing::debug!("{name} runs"),
            Change::Agent(name, false) => tracing::debug!("{name} is gone"),
            Change::Absent | Change::Ambient | Change::NotInjected | Change::Redirected => {
                tell_of_nobody(&change, now);
            }
        }
    }
}

/// What else says whether there is a proxy at all.
fn tell_of_nobody(change: &Change, now: Duration) {
    match change {
        Change::Absent => tracing::info!(
            event = "no_proxy",
            waited_ms = millis(now),
            "no proxy has shown up within {}: going on without one",
            Spoken(now)
        ),
        Change::Ambient => tracing::info!(
            event = "no_proxy",
            mesh = "ambient",
            "this pod is in an ambient mesh: there is no sidecar to wait for"
        ),
        Change::NotInjected => tracing::info!(
            event = "no_proxy",
            "MESHIM_INJECTED is empty, so this pod has no sidecar to wait for"
        ),
        _ => tracing::info!(
            event = "redirected",
            waited_ms = millis(now),
            "nobody listens yet, but this pod's traffic is redirected to a proxy: waiting on, in \
             spite of --absent-after"
        ),
    }
}

/// Reads a page that is too long for a look.
fn read<P: Page>(
    admin: &Endpoint,
    until: Instant,
    stop: &mut StopSignals,
) -> Result<Result<P::Content, Unread>, Signal> {
    let mut admin = Admin::new(admin);
    let read = block_on(async {
        Ok(select! {
            biased;
            signal = stop.next() => Err(signal),
            page = admin.read::<P>(until.into()) => Ok(page),
        })
    });
    read.unwrap_or_else(|failure| Ok(Err(Unread::Unreachable(failure.sentence))))
}
