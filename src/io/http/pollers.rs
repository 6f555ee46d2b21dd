//! A poller for each endpoint that a wait looks at.
//!
//! Owns that there is one connection to each; must never judge an answer.

use std::time::Instant;

use crate::core::endpoint::Endpoint;
use crate::core::profiles::{Expect, Ready};
use crate::io::http::poller::{Looked, Poller};
use crate::io::signals::StopSignals;

/// The pollers of one wait: those of at most two endpoints of a proxy, and of what else is waited
/// for.
#[derive(Debug, Default)]
pub struct Pollers(Vec<(Ready<Endpoint>, Poller)>);

impl Pollers {
    /// Looks at `at`, and gives up at `until`.
    pub fn look(&mut self, at: &Ready<Endpoint>, until: Instant, stop: &mut StopSignals) -> Looked {
        if let Some((_, poller)) = self.0.iter_mut().find(|(known, _)| known == at) {
            return poller.look(until, stop);
        }
        let mut poller = match at.expect {
            Expect::Accepts => Poller::connecting(at.url.address.clone()),
            _ => Poller::new(&at.url),
        };
        let looked = poller.look(until, stop);
        self.0.push((at.clone(), poller));
        looked
    }
}
