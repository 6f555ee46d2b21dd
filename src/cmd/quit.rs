//! Asking the proxy to end: `meshim quit`, and what `--quit` does on every exit path. Never changes
//! an exit code.

use tokio::select;
use tokio::time::{Instant, sleep_until};

use super::pod;
use super::runtime::block_on;
use crate::config::Quit as Settings;
use crate::core::endpoint::Endpoint;
use crate::core::envoy::server_info::ServerInfo;
use crate::core::exit::{Exit, Failure};
use crate::core::proxy::Proxy;
use crate::core::stopping::quit::{BUDGET, Next, Outcome, Quit};
use crate::io::http::client::Client;
use crate::io::signals::StopSignals;

/// `meshim quit`: 0 when the proxy will end, when there is none, or when it is a native sidecar,
/// which Kubernetes ends; else 1.
///
/// # Errors
/// Not all agree; a stop signal.
pub fn quit(settings: &Settings, mut stop: StopSignals) -> Result<Exit, Failure> {
    block_on(async {
        let proxy = pod::proxy_now(settings.proxy.as_ref());
        let request = Request { urls: settings.urls.clone(), proxy, facts: None };
        select! {
            biased;
            signal = stop.next() => {
                let sentence = format!("ended by {signal} while asking the proxy to end");
                Err(Failure::new(Exit::Signal(signal), sentence))
            }
            refusals = ask(request) => match refusals.as_slice() {
                [] => Ok(Exit::Yes),
                refusals => {
                    let sentence = format!("the proxy will not end: {}", refusals.join("; "));
                    Err(Failure::new(Exit::No, sentence))
                }
            },
        }
    })
}

/// Whom to ask, and what is known about it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// What the user named; each is a proxy of its own.
    pub(super) urls: Vec<Endpoint>,
    /// The mesh's proxy.
    pub(super) proxy: Option<Proxy>,
    /// What it has said about itself.
    pub(super) facts: Option<ServerInfo>,
}

/// Asks all that are to end, beside an application's own exit code, which this never changes: it
/// only logs.
pub(super) async fn ask_and_tell(request: Request) {
    for refusal in ask(request).await {
        tracing::warn!(event = "quit_refused", "the proxy will not end: {refusal}");
    }
}

/// Asks all that are to end; why those will not that will not.
async fn ask(request: Request) -> Vec<String> {
    let Request { urls, proxy, facts } = request;
    let own = proxy.as_ref().map(Proxy::quit).unwrap_or_default();
    let facts = match (facts, proxy.and_then(|proxy| proxy.admin)) {
        (None, Some(admin)) => pod::read_server_info(&admin).await,
        (facts, _) => facts,
    };
    let is_native = facts.is_some_and(|facts| facts.is_native());
    if is_native {
        tracing::info!(
            event = "quit_needless",
            "the proxy is a native sidecar, which Kubernetes ends by itself and would start \
             again: not asked"
        );
    }
    let is_its = |url: &Endpoint| own.iter().any(|own| is_same_port(own, url));
    let proxies: Vec<Vec<Endpoint>> = if urls.is_empty() {
        vec![own.clone()].into_iter().filter(|own| !is_native && !own.is_empty()).collect()
    } else {
        urls.into_iter().filter(|url| !(is_native && is_its(url))).map(|url| vec![url]).collect()
    };
    if proxies.is_empty() {
        if !is_native {
            tracing::info!(
                event = "quit_needless",
                "there is no proxy in this pod that could be asked to end"
            );
        }
        return Vec::new();
    }
    let mut refusals = Vec::new();
    for outcome in post(Quit::new(proxies, BUDGET)).await {
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

async fn post(mut quit: Quit) -> Vec<Outcome> {
    let began = Instant::now();
    loop {
        match quit.next(began.elapsed()) {
            Next::Over => return quit.outcomes(),
            Next::Rest(until) => sleep_until(began + until).await,
            Next::Post { request, endpoint, until } => {
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
}

/// `localhost` and `127.0.0.1` are the same here.
fn is_same_port(one: &Endpoint, other: &Endpoint) -> bool {
    use crate::core::endpoint::Address::{Tcp, Unix};
    match (&one.address, &other.address) {
        (Tcp { port: one, .. }, Tcp { port: other, .. }) => one == other,
        (Unix(one), Unix(other)) => one == other,
        _ => false,
    }
}
