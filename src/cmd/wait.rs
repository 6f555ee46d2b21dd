//! `meshim wait`, and the waiting of the default job: detect the mesh, look until the verdict, tell
//! on the way.

use std::time::{Duration, Instant};

use tokio::select;

use super::runtime::block_on;
use crate::config::Wait;
use crate::core::duration::{Spoken, millis};
use crate::core::endpoint::Endpoint;
use crate::core::envoy::init_dump::InitDump;
use crate::core::envoy::page::Page;
use crate::core::envoy::server_info::ServerInfoPage;
use crate::core::envoy::unread::Unread;
use crate::core::exit::{Exit, Failure};
use crate::core::mesh::Expect;
use crate::core::mesh::{self, Detected, Mesh};
use crate::core::proxy::Proxy;
use crate::core::signal::Signal;
use crate::core::sockets::listener::Listener;
use crate::core::waiting::diagnosis::{self, Hints, Seen};
use crate::core::waiting::observation::{self, Observation};
use crate::core::waiting::pacing::{Distance, Reminders, Verdict, pause};
use crate::core::waiting::readiness::{Next, Readiness};
use crate::core::waiting::targets::{Shape, Target, endpoint_of};
use crate::io::admin::Admin;
use crate::io::http::poller::{Looked, Poller};
use crate::io::signals::{StopSignals, Woken};
use crate::io::sockets::listening;

/// How often a guess that no answer has confirmed yet is held against the listening ports again.
const SECOND_GUESS: Duration = Duration::from_secs(1);

/// `meshim wait`: 0 when the proxy is ready or there is none to wait for, 1 when it is not in time.
///
/// # Errors
/// Settings that only show now (no /proc for `auto`), the timeout, a stop signal.
pub fn wait(settings: &Wait, mut stop: StopSignals) -> Result<Exit, Failure> {
    match until_ready(settings, &mut stop).end? {
        End::Ready | End::WithoutProxy => Ok(Exit::Yes),
        End::TimedOut(sentence) => Err(Failure::timed_out(Exit::No, sentence)),
    }
}

/// What a wait came to.
#[derive(Debug)]
pub(super) struct Waited {
    /// The proxy that it was for: what is drained, judged and asked to end afterwards. `None` where
    /// there is none, and where an answer has shown that what listens is another server.
    pub(super) proxy: Option<Proxy>,
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

/// Waits until the proxy is ready.
pub(super) fn until_ready(settings: &Wait, stop: &mut StopSignals) -> Waited {
    let began = Instant::now();
    let mut waiter =
        Waiter { settings, began, reminders: Reminders::default(), strangers: Vec::new(), stop };
    loop {
        let (proxy, guessed) = match &settings.proxy {
            Some(proxy) => (proxy.clone(), false),
            None => match waiter.detect() {
                Ok(Found::Mesh(mesh)) => (Proxy::of(mesh), true),
                Ok(Found::Over(end)) => return Waited { proxy: None, end: Ok(end) },
                Err(failure) => return Waited { proxy: None, end: Err(failure) },
            },
        };
        if proxy.ready.is_empty() {
            tracing::debug!(mesh = %proxy.mesh, "there is no proxy to wait for");
            return Waited { proxy: None, end: Ok(End::WithoutProxy) };
        }
        match waiter.watch(&proxy, guessed) {
            // It was no proxy after all.
            Ok(None) => {}
            Ok(Some(End::WithoutProxy)) => {
                return Waited { proxy: None, end: Ok(End::WithoutProxy) };
            }
            Ok(Some(end)) => return Waited { proxy: Some(proxy), end: Ok(end) },
            Err(failure) => return Waited { proxy: Some(proxy), end: Err(failure) },
        }
    }
}

/// What detection came to.
enum Found {
    Mesh(Mesh),
    Over(End),
}

/// One wait: its clock, its reminders, and what it must not take for a proxy again.
struct Waiter<'a> {
    settings: &'a Wait,
    began: Instant,
    reminders: Reminders,
    /// Guesses that an answer has refuted.
    strangers: Vec<(Mesh, Observation)>,
    stop: &'a mut StopSignals,
}

impl Waiter<'_> {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Looks at the pod's listening sockets until they show a mesh.
    fn detect(&mut self) -> Result<Found, Failure> {
        let limits = self.settings.limits;
        let mut told = false;
        loop {
            let before = self.now();
            let shown = self.shown().map_err(|error| {
                let sentence = format!(
                    "--mesh auto needs the listening sockets, and neither sock_diag nor \
                             /proc/net/tcp tells them: {error}; name the mesh with --mesh"
                );
                Failure::new(Exit::Failed, sentence)
            })?;
            match shown {
                Detected::Sidecar(mesh) => return Ok(Found::Mesh(mesh)),
                Detected::Ambient => {
                    tracing::info!(
                        event = "no_proxy",
                        mesh = "ambient",
                        "this pod is in an ambient mesh: there is no sidecar to wait for"
                    );
                    return Ok(Found::Over(End::WithoutProxy));
                }
                Detected::Nothing => {}
            }
            if !std::mem::replace(&mut told, true) {
                tracing::info!(
                    event = "waiting",
                    timeout_ms = self.timeout_ms(),
                    "waiting for a proxy to show up in this pod{}",
                    self.for_ever()
                );
            }
            let now = self.now();
            match limits.verdict(now, false) {
                Some(Verdict::Absent) => return Ok(Found::Over(absent(now))),
                Some(_) => {
                    let sentence =
                        format!("no proxy within {}: {}", Spoken(now), self.nothing_found());
                    return Ok(Found::Over(End::TimedOut(sentence)));
                }
                None => {}
            }
            if self.reminders.is_over(now) {
                tracing::warn!(
                    event = "not_ready",
                    waited_ms = millis(now),
                    "no proxy after {}: {}",
                    Spoken(now),
                    self.nothing_found()
                );
            }
            self.rest(
                limits.cut(now + pause(now, now.saturating_sub(before), Distance::Far), now),
                None,
            )?;
        }
    }

    /// What the listening ports show, but for guesses that were refuted.
    fn shown(&self) -> std::io::Result<Detected> {
        let refuted: Vec<Mesh> = self.strangers.iter().map(|(mesh, _)| *mesh).collect();
        Ok(mesh::detect(&ports_of(&listening::listening()?), &refuted))
    }

    fn timeout_ms(&self) -> Option<u64> {
        self.settings.limits.timeout.map(millis)
    }

    /// What the log says in words, since there is no number for it.
    const fn for_ever(&self) -> &'static str {
        if self.settings.limits.timeout.is_none() { ", for ever" } else { "" }
    }

    fn nothing_found(&self) -> String {
        diagnosis::nothing_found(&self.strangers)
    }

    /// Looks at one proxy until the verdict; `None` when it was no proxy after all.
    fn watch(&mut self, proxy: &Proxy, guessed: bool) -> Result<Option<End>, Failure> {
        let mut readiness = Readiness::new(self.settings.limits, Shape::of(proxy, guessed));
        let mut clients = Clients::new(proxy);
        let mut second_guess = self.now() + SECOND_GUESS;
        let ready = endpoint_of(proxy, Target::Authority(0)).0.to_string();
        tracing::info!(
            event = "waiting",
            mesh = %proxy.mesh,
            %ready,
            timeout_ms = self.timeout_ms(),
            "waiting for the proxy{}",
            self.for_ever()
        );
        loop {
            match readiness.next(self.now()) {
                Next::Rest(_) if guessed && self.now() >= second_guess => {
                    // A stranger on one mesh's port may have kept us from another mesh's proxy that
                    // came later.
                    if self.shown().is_ok_and(|shown| shown != Detected::Sidecar(proxy.mesh)) {
                        return Ok(None);
                    }
                    second_guess = self.now() + SECOND_GUESS;
                }
                Next::Rest(until) => self.rest(until, Some((proxy, &readiness)))?,
                Next::Look { target, until } => {
                    let before = self.now();
                    let seen = clients.look(proxy, target, self.began + until, self.stop);
                    let seen =
                        seen.map_err(|signal| self.stopped(signal, Some((proxy, &readiness))))?;
                    let now = self.now();
                    let (cheap, authority, _) = readiness.last_seen();
                    let last = if target == Target::Cheap { cheap } else { authority };
                    if last != Some(&seen) {
                        tracing::debug!(url = %endpoint_of(proxy, target).0, %seen, "looked");
                    }
                    readiness.observe(target, now, now.saturating_sub(before), seen);
                    if self.reminders.is_over(now) {
                        tracing::warn!(
                            event = "not_ready",
                            mesh = %proxy.mesh,
                            waited_ms = millis(now),
                            "not ready after {}: {}",
                            Spoken(now),
                            explain(proxy, &readiness, &Hints::default())
                        );
                    }
                }
                Next::Over(verdict) => return self.over(verdict, proxy, &readiness),
            }
        }
    }

    fn over(
        &mut self,
        verdict: Verdict,
        proxy: &Proxy,
        readiness: &Readiness,
    ) -> Result<Option<End>, Failure> {
        let now = self.now();
        Ok(match verdict {
            Verdict::Ready => {
                tracing::info!(
                    event = "ready",
                    mesh = %proxy.mesh,
                    waited_ms = millis(now),
                    looks = readiness.looks(),
                    "the proxy is ready"
                );
                Some(End::Ready)
            }
            Verdict::Absent => Some(absent(now)),
            Verdict::TimedOut => {
                // Whoever has not answered a look will not answer this, and only draw out the wait.
                let (cheap, authority, _) = readiness.last_seen();
                let speaks = cheap.or(authority).is_some_and(Observation::speaks);
                let unready =
                    if speaks { unready_targets(proxy, self.stop) } else { Ok(Vec::new()) };
                let unready =
                    unready.map_err(|signal| self.stopped(signal, Some((proxy, readiness))))?;
                let hints = Hints { unready, other_mesh: other_than(proxy.mesh) };
                let why = explain(proxy, readiness, &hints);
                let sentence =
                    format!("the {} proxy was not ready within {}: {why}", proxy.mesh, Spoken(now));
                Some(End::TimedOut(sentence))
            }
            Verdict::Unconfirmed => {
                let Some(seen) = readiness.last_seen().1.cloned() else { return Ok(None) };
                let url = endpoint_of(proxy, Target::Authority(0)).0;
                tracing::warn!(
                    event = "not_the_proxy",
                    mesh = %proxy.mesh,
                    "{url} answers {seen}: that is not the {} proxy, looking for another",
                    proxy.mesh
                );
                self.strangers.push((proxy.mesh, seen));
                None
            }
        })
    }

    fn rest(
        &mut self,
        until: Duration,
        watched: Option<(&Proxy, &Readiness)>,
    ) -> Result<(), Failure> {
        match self.stop.wait(None, self.began + until) {
            Ok(Woken::Stopped(signal)) => Err(self.stopped(signal, watched)),
            Ok(Woken::Ready | Woken::TimeUp) => Ok(()),
            Err(error) => {
                Err(Failure::new(Exit::Failed, format!("the kernel does not let us wait: {error}")))
            }
        }
    }

    fn stopped(&self, signal: Signal, watched: Option<(&Proxy, &Readiness)>) -> Failure {
        let why = watched.map_or_else(
            || self.nothing_found(),
            |(proxy, readiness)| explain(proxy, readiness, &Hints::default()),
        );
        let after = Spoken(self.now());
        Failure::new(
            Exit::Signal(signal),
            format!("ended by {signal} after waiting {after} for the proxy: {why}"),
        )
    }
}

/// What was last seen of a proxy, and what may be behind it.
fn explain(proxy: &Proxy, readiness: &Readiness, hints: &Hints) -> String {
    let (cheap, authority, current) = readiness.last_seen();
    let seen = cheap.map(|seen| (Target::Cheap, seen)).into_iter();
    let seen = seen.chain(authority.map(|seen| (Target::Authority(current), seen)));
    let seen: Vec<Seen<'_>> =
        seen.map(|(target, seen)| (endpoint_of(proxy, target).0, seen)).collect();
    let (last, advice) = (diagnosis::last_seen(&seen), diagnosis::advice(proxy.mesh, &seen, hints));
    format!("{last} ({} looks); {advice}", readiness.looks())
}

fn ports_of(listening: &[Listener]) -> Vec<u16> {
    listening.iter().map(|listener| listener.address.port()).collect()
}

/// Another mesh than the one waited for, if the pod's listening ports show one.
fn other_than(mesh: Mesh) -> Option<Mesh> {
    match mesh::detect(&ports_of(&listening::listening().ok()?), &[mesh]) {
        Detected::Sidecar(other) => Some(other),
        Detected::Ambient | Detected::Nothing => None,
    }
}

fn absent(now: Duration) -> End {
    tracing::info!(
        event = "no_proxy",
        waited_ms = millis(now),
        "no proxy has shown up within {}: going on without one",
        Spoken(now)
    );
    End::WithoutProxy
}

/// One connection to each endpoint.
struct Clients {
    cheap: Option<Poller>,
    ready: Vec<Poller>,
}

impl Clients {
    fn new(proxy: &Proxy) -> Self {
        Self {
            cheap: proxy.cheap.as_ref().map(Poller::new),
            ready: proxy.ready.iter().map(|ready| Poller::new(&ready.url)).collect(),
        }
    }

    fn look(
        &mut self,
        proxy: &Proxy,
        target: Target,
        until: Instant,
        stop: &mut StopSignals,
    ) -> Result<Observation, Signal> {
        let (endpoint, expect) = endpoint_of(proxy, target);
        let poller = match (target, &mut self.cheap) {
            _ if expect == Expect::ServerInfo => {
                let read = read::<ServerInfoPage>(endpoint, until, stop)?;
                return Ok(observation::of_server_info(read));
            }
            (Target::Cheap, Some(cheap)) => cheap,
            (Target::Cheap, None) => &mut self.ready[0],
            (Target::Authority(index), _) => &mut self.ready[index],
        };
        match poller.look(until, stop) {
            Looked::Answer(answer) => Ok(observation::decode(expect, Ok(answer))),
            Looked::Fault(fault) => Ok(observation::decode(expect, Err(fault))),
            Looked::Stopped(signal) => Err(signal),
        }
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

/// What Envoy's init manager waits for, where there is an Envoy to ask.
fn unready_targets(proxy: &Proxy, stop: &mut StopSignals) -> Result<Vec<String>, Signal> {
    let Some(admin) = &proxy.admin else { return Ok(Vec::new()) };
    let read = read::<InitDump>(admin, Instant::now() + InitDump::WITHIN, stop)?;
    Ok(read.unwrap_or_default())
}
