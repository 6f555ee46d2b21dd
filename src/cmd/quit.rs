//! Asking the proxy to end: `meshim quit`, and what `--quit` does on every exit path.
//!
//! Owns the requests and their log lines; whom to ask, and what an answer means, is core's. Must
//! never change an exit code of the application's.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::found::{Found, found_now};
use super::runtime::until_stopped;
use super::waiter::blind;
use super::{pod, unsent};
use crate::config::QuitSettings;
use crate::core::endpoint::Endpoint;
use crate::core::envoy::server_info::ServerInfo;
use crate::core::exit::{Exit, Failure};
use crate::core::proxy::Proxy;
use crate::core::signal::Signal;
use crate::core::stopping::addressees::{Addressees, Known, NoAddressee};
use crate::core::stopping::quit::{BUDGET, BUDGET_AFTER_STOP, Outcome, Quit, QuitStep};
use crate::core::stopping::quit_when::Occasion;
use crate::core::stopping::standing::{self, Candidate, Condition, Standing};
use crate::core::stopping::unsent::{UnsentEnd, UnsentLimits};
use crate::io::http::client::Client;
use crate::io::signals::{StopSignals, Woken};

/// All looks at how the proxy stands together, and in any case what is left of the asking's own
/// time.
const LOOKING: Duration = Duration::from_secs(2);

/// After a stop signal the kubelet has told every container of the pod within this time, so that a
/// proxy that is to end shows it; pilot-agent needs 0.3 s.
const SHOWS_WITHIN: Duration = Duration::from_secs(1);

/// The pause between two looks for it.
const PAUSE: Duration = Duration::from_millis(50);

/// `meshim quit`: 0 when the proxy will end, when there is none, or when it is a native sidecar,
/// which Kubernetes ends; else 1. A want of descriptors or memory may pass: it is tried again.
///
/// # Errors
/// Not all agree; a stop signal.
pub fn quit(settings: &QuitSettings, mut stop: StopSignals) -> Result<Exit, Failure> {
    let ended = |signal| {
        let sentence = format!("ended by {signal} while asking the proxy to end");
        Failure::new(Exit::Signal(signal), sentence)
    };
    let began = Instant::now();
    let refusals = loop {
        let failure = match find_and_ask(settings, began, &mut stop) {
            Ok(asked) => break asked.map_err(ended)?,
            Err(failure) => failure,
        };
        let next = Instant::now() + PAUSE;
        if next >= began + BUDGET {
            return Err(failure);
        }
        tracing::debug!(why = failure.sentence, "not yet");
        if let Ok(Woken::Stopped(signal)) = stop.wait(None, next.into_std()) {
            return Err(ended(signal));
        }
    };
    match refusals.as_slice() {
        [] => Ok(Exit::Yes),
        refusals => {
            let sentence = format!("the proxy will not end: {}", refusals.join("; "));
            Err(Failure::new(Exit::No, sentence))
        }
    }
}

/// Asks the proxy that is there now. Comes back with the reason of each that will not end, or with
/// the stop signal that came meanwhile.
///
/// # Errors
/// It cannot be seen who is there, or the kernel refuses what asking takes.
fn find_and_ask(
    settings: &QuitSettings,
    began: Instant,
    stop: &mut StopSignals,
) -> Result<Result<Vec<String>, Signal>, Failure> {
    let found = match found_now(&settings.given, stop) {
        Ok(found) => found,
        Err(signal) => return Ok(Err(signal)),
    };
    if let (Some(why), []) = (&found.unseen, settings.urls.as_slice()) {
        return Err(blind(why));
    }
    let (urls, occasion) = (settings.urls.clone(), Occasion::Ended);
    let request = Request { urls, found, facts: None, occasion, began };
    until_stopped(stop, ask(request, began))
}

/// Whom to ask, and what is known about it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// What the user named; each is a proxy of its own.
    pub(super) urls: Vec<Endpoint>,
    /// The mesh's proxy.
    pub(super) found: Found,
    /// What it has said about itself.
    pub(super) facts: Option<ServerInfo>,
    /// What the end followed.
    pub(super) occasion: Occasion,
    /// What the occasion's times count from.
    pub(super) began: Instant,
}

impl Request {
    /// After a stop signal: until when the proxy's own end may be watched.
    fn stopped(&self) -> Option<Instant> {
        match self.occasion {
            Occasion::Ended => None,
            Occasion::Stopped { until } => Some(self.began + until),
        }
    }
}

/// Asks all that are to end, beside an application's own exit code, which this never changes: it
/// only logs.
pub(super) async fn ask_and_tell(request: Request) {
    for refusal in ask(request, Instant::now()).await {
        tracing::warn!(event = "quit_refused", "the proxy will not end: {refusal}");
    }
}

/// Says so where the proxy cannot be ended from this container: to be known at the start, not when
/// a Job's pod never completes.
pub(super) async fn warn_where_endless(proxy: &Proxy) {
    let until = Instant::now() + LOOKING;
    let Some(candidate) = standing::endless(proxy) else { return };
    if let (true, Standing::Endless(why)) = (holds(&candidate, until).await, candidate.means) {
        tracing::warn!(event = "misfit", "--quit: {}", NoAddressee::Endless(proxy.mesh, why));
    }
}

/// Asks all that are to end, within the time that counts from `since`. Comes back with the reason
/// of each that will not.
async fn ask(request: Request, since: Instant) -> Vec<String> {
    let (addressees, stopped) = (addressees(&request).await, request.stopped());
    let left = BUDGET.saturating_sub(since.elapsed());
    let proxy = request.found.proxy.as_ref();
    match (addressees, stopped) {
        (Addressees::Nobody(reason @ NoAddressee::Endless(..)), None) => vec![reason.to_string()],
        (Addressees::Nobody(reason), _) => {
            tracing::info!(event = "quit_needless", "{reason}");
            Vec::new()
        }
        (Addressees::Each(each), None) => {
            unsent::until_sent(UnsentLimits::UNHURRIED, proxy).await;
            post(Quit::new(each, left)).await
        }
        (Addressees::Each(each), Some(until)) => {
            unsent::until_sent(rest_of(until), proxy).await;
            post(Quit::new(each, BUDGET_AFTER_STOP)).await
        }
        (Addressees::EnvoyOnceIdle(envoy), until) => {
            let limits = until.map_or(UnsentLimits::UNHURRIED, rest_of);
            match unsent::until_idle(limits, proxy).await {
                UnsentEnd::Empty => post(Quit::new(vec![vec![envoy]], BUDGET_AFTER_STOP)).await,
                UnsentEnd::Stuck(load) | UnsentEnd::OutOfTime(load) => {
                    let (bytes, requests) = (load.bytes(), load.in_flight);
                    tracing::info!(
                        event = "quit_needless",
                        bytes,
                        requests,
                        "the proxy still has work in flight, so it is left to its own drain"
                    );
                    Vec::new()
                }
                UnsentEnd::Unseen => Vec::new(),
            }
        }
    }
}

fn rest_of(until: Instant) -> UnsentLimits {
    UnsentLimits::until(until.saturating_duration_since(Instant::now()))
}

/// Whom to ask. After a stop signal the proxy gets a moment to show that it is ending.
async fn addressees(request: &Request) -> Addressees {
    let (urls, proxy) = (request.urls.as_slice(), request.found.proxy.as_ref());
    let is_stranger = !request.found.is_certain;
    let began = Instant::now();
    let is_native = is_native(proxy, request.facts.as_ref(), began + LOOKING).await;
    loop {
        let standing = match proxy.filter(|_| urls.is_empty() && !is_native && !is_stranger) {
            Some(proxy) => stands(proxy).await,
            None => Standing::Serving,
        };
        let stopped = request.stopped().is_some();
        let known = Known { urls, proxy, is_stranger, is_native, standing, stopped };
        let addressees = Addressees::of(known);
        let may_show = matches!(addressees, Addressees::Nobody(NoAddressee::OnlyThisContainer(_)));
        if !may_show || began.elapsed() >= SHOWS_WITHIN {
            return addressees;
        }
        sleep(PAUSE).await;
    }
}

/// What the proxy says about itself, asked where it has not been asked before.
async fn is_native(proxy: Option<&Proxy>, facts: Option<&ServerInfo>, until: Instant) -> bool {
    match (facts, proxy.and_then(|proxy| proxy.admin.as_ref())) {
        (Some(facts), _) => facts.is_native(),
        (None, Some(admin)) => {
            let read = timeout_at(until, pod::read_server_info(admin)).await;
            read.ok().flatten().is_some_and(|facts| facts.is_native())
        }
        (None, None) => false,
    }
}

async fn stands(proxy: &Proxy) -> Standing {
    let until = Instant::now() + LOOKING;
    for candidate in standing::candidates(proxy) {
        if holds(&candidate, until).await {
            return candidate.means;
        }
    }
    Standing::Serving
}

async fn holds(candidate: &Candidate, until: Instant) -> bool {
    for condition in &candidate.conditions {
        let Condition { url, .. } = condition;
        let answer = Client::new(url.address.clone()).get(&url.path, until).await;
        if !condition.holds(&answer) {
            return false;
        }
    }
    true
}

/// Posts until each has agreed or refused. Comes back with the reason of each that will not end.
async fn post(mut quit: Quit) -> Vec<String> {
    let began = Instant::now();
    loop {
        match quit.next(began.elapsed()) {
            QuitStep::Over => break,
            QuitStep::Rest(until) => sleep_until(began + until).await,
            QuitStep::Post { request, endpoint, until } => {
                let mut client = Client::new(endpoint.address.clone());
                let answer = client.post(&endpoint.path, began + until).await;
                let said = answer
                    .as_ref()
                    .map_or_else(ToString::to_string, |answer| answer.status.to_string());
                tracing::debug!(url = %endpoint, %said, "posted");
                quit.on(began.elapsed(), request, &answer);
            }
        }
    }
    let mut refusals = Vec::new();
    for outcome in quit.outcomes() {
        match outcome {
            Outcome::Agreed(how) => {
                tracing::info!(event = "quit", "the proxy was asked to end: {how}");
            }
            Outcome::Nobody(urls) => {
                tracing::info!(
                    event = "quit_needless",
                    "there is no proxy to end: nobody listens at {urls}"
                );
            }
            Outcome::Refused(why) => refusals.push(why),
        }
    }
    refusals
}
