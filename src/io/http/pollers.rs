//! A poller for each endpoint that a wait looks at.
//!
//! Owns that there is one connection to each; must never judge an answer.

use std::rc::Rc;
use std::time::Instant;

use crate::core::profile::Expect;
use crate::core::waiting::watched::Place;
use crate::io::http::poller::{Looked, Poller};
use crate::io::signals::StopSignals;

/// The pollers of one wait: those of at most two endpoints of a proxy, and of what else is waited
/// for.
#[derive(Debug, Default)]
pub struct Pollers(Vec<(Place, Poller)>);

impl Pollers {
    /// Looks at `at`, and gives up at `until`.
    pub fn look(&mut self, at: &Place, until: Instant, stop: &mut StopSignals) -> Looked {
        if let Some((_, poller)) = self.0.iter_mut().find(|(known, _)| Rc::ptr_eq(known, at)) {
            return poller.look(until, stop);
        }
        // Of a proxy that turned out to be none nobody else holds the places any more.
        self.0.retain(|(known, _)| Rc::strong_count(known) > 1);
        let mut poller = match at.expect {
            Expect::Accepts => Poller::connecting(at.url.address.clone()),
            _ => Poller::new(&at.url),
        };
        let looked = poller.look(until, stop);
        self.0.push((Rc::clone(at), poller));
        looked
    }
}
