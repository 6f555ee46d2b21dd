//! The one client of Envoy's admin API.
//!
//! Owns every request to it but the looks of a wait (`io/http/poller`) and what the user names with
//! `--quit-url`. What a page is asked with, how long it may take, how many bytes it may have, and
//! what it says stand in the page's own file in `core/envoy`. Must never judge, and never hold a
//! whole page.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use crate::core::endpoint::Endpoint;
use crate::core::envoy::page::{Page, Reading};
use crate::core::envoy::state::State;
use crate::core::envoy::unread::Unread;
use crate::io::http::client::Client;

/// Envoy goes on listening, tells its inbound clients to go elsewhere, and stays: the agent's own
/// `/drain` would make a classic sidecar die at once (istio: `pkg/envoy/agent.go`). A second time
/// does nothing.
const DRAIN_LISTENERS: &str = "/drain_listeners?inboundonly&graceful&skip_exit";

/// How long a request may take whose answer is a word.
const WITHIN: Duration = Duration::from_secs(1);

/// One proxy's admin API, over one connection that is kept.
#[derive(Debug)]
pub struct Admin {
    root: Endpoint,
    client: Client,
}

impl Admin {
    /// The admin API at `endpoint`, whose path does not matter. Connects when first asked.
    #[must_use]
    pub fn new(endpoint: &Endpoint) -> Self {
        Self { root: endpoint.at("/"), client: Client::new(endpoint.address.clone()) }
    }

    /// Where `P` is, without its query: for messages.
    #[must_use]
    pub fn url<P: Page>(&self) -> Endpoint {
        self.root.at(P::QUERY.split('?').next().unwrap_or_default())
    }

    /// Reads one page, by `until` or within the page's own time, whichever is shorter.
    ///
    /// # Errors
    /// [`Unread`].
    pub async fn read<P: Page>(&mut self, until: Instant) -> Result<P::Content, Unread> {
        let mut page = P::begin();
        self.fill(&mut page, "", until).await?;
        page.end()
    }

    /// Hands a page its bytes; `what` ends the query of one that asks about something.
    ///
    /// # Errors
    /// [`Unread`].
    pub async fn fill(
        &mut self,
        page: &mut dyn Reading,
        what: &str,
        until: Instant,
    ) -> Result<(), Unread> {
        let (query, most, within) = page.terms();
        let until = until.min(Instant::now() + within);
        let query = [query, what].concat();
        self.fetch(&query, most, until, &mut |bytes| page.push(bytes)).await
    }

    /// How far the proxy is, by `/ready`.
    ///
    /// # Errors
    /// [`Unread`].
    pub async fn state(&mut self, until: Instant) -> Result<State, Unread> {
        let answer = self.client.get("/ready", until.min(Instant::now() + WITHIN)).await?;
        match (answer.status, Unread::of_status(answer.status)) {
            (503, _) | (_, None) => Ok(State::of(&answer.body)),
            (_, Some(unread)) => Err(unread),
        }
    }

    /// Tells the proxy to turn its inbound clients away.
    ///
    /// # Errors
    /// [`Unread`]: then it has not heard, or does not do it.
    pub async fn drain_listeners(&mut self, until: Instant) -> Result<(), Unread> {
        let until = until.min(Instant::now() + WITHIN);
        let answer = self.client.post(DRAIN_LISTENERS, until).await?;
        Unread::of_status(answer.status).map_or(Ok(()), Err)
    }

    /// Not generic: the machinery of a request is in the binary once, and not once for each page.
    async fn fetch(
        &mut self,
        query: &str,
        most: usize,
        until: Instant,
        take: &mut dyn FnMut(&[u8]) -> Result<bool, Unread>,
    ) -> Result<(), Unread> {
        let (mut total, mut has_enough, mut unread) = (0, false, None);
        let sink = &mut |status, bytes: &[u8]| {
            total += bytes.len();
            unread = match Unread::of_status(status) {
                _ if total > most => Some(Unread::TooLarge(most)),
                None => take(bytes).map(|enough| has_enough = enough).err(),
                refused => refused,
            };
            let is_over = unread.is_some() || has_enough;
            if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let status = self.client.stream(query, until, sink).await?;
        unread.or_else(|| Unread::of_status(status)).map_or(Ok(()), Err)
    }
}
