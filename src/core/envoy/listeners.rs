//! Envoy's dynamic listeners (`config_dump`, `dynamic_listeners`): how each port is served, and
//! which listeners the proxy has rejected.
//!
//! Owns the reading of both; must never judge. Only what is active counts: for 45 s after a change
//! the dump has the old chains, too, with the old policies (`draining_state`). The configuration
//! that was rejected is passed over, since it may hold anything.

use std::time::Duration;

use crate::core::envoy::filter_chain::{Chain, Direction};
use crate::core::envoy::json;
use crate::core::envoy::page::{self, Page};
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::unread::Unread;

const KIND: Path = &["configs", EACH, "@type"];
const NAME: Path = &["configs", EACH, "name"];
const DIRECTION: Path = &["configs", EACH, "active_state", "listener", "traffic_direction"];
const PORT: Path =
    &["configs", EACH, "active_state", "listener", "address", "socket_address", "port_value"];
const CHAIN: Path = &["configs", EACH, "active_state", "listener", "filter_chains", EACH];
const DEFAULT: Path = &["configs", EACH, "active_state", "listener", "default_filter_chain"];
const UPDATED: Path = &["configs", EACH, "active_state", "last_updated"];
const DETAILS: Path = &["configs", EACH, "error_state", "details"];
const ATTEMPT: Path = &["configs", EACH, "error_state", "last_update_attempt"];
const REJECTED: Path = &["configs", EACH, "error_state", "failed_configuration", "name"];
const WANTED: &[Path] =
    &[KIND, NAME, DIRECTION, PORT, CHAIN, DEFAULT, UPDATED, DETAILS, ATTEMPT, REJECTED];

/// A filter chain of Istio's takes 10 to 60 KB, more with hundreds of authorization rules.
const MOST_PART: usize = 1024 * 1024;

/// A pod has a dozen ports with five chains each.
const MOST_CHAINS: usize = 1_000;

/// More rejected listeners than these tell a reader nothing.
const MOST_REJECTED: usize = 100;

/// What the listeners told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listeners {
    /// The chains of the active listeners.
    pub chains: Vec<Chain>,
    /// What the proxy was given and did not take; each name once.
    pub rejected: Vec<Rejected>,
    /// Some were left out: there are too many, or one is too large.
    pub is_cut: bool,
}

/// A listener that the proxy did not take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejected {
    /// Its name.
    pub name: String,
    /// Envoy's reason.
    pub details: String,
    /// When it was last tried, in RFC 3339.
    pub attempt: Option<String>,
    /// An older version of it serves on.
    pub is_served: bool,
}

/// What of an entry has come so far.
#[derive(Debug, Default)]
struct Entry {
    name: Option<String>,
    failed_name: Option<String>,
    details: Option<String>,
    attempt: Option<String>,
    is_active: bool,
    direction: Direction,
    port: Option<u64>,
    first_chain: usize,
}

/// Reads the page of a mesh whose inbound and outbound listeners are named.
#[derive(Debug)]
pub struct ListenersPage {
    picker: Picker,
    listeners: Listeners,
    entry: Entry,
}

impl Page for ListenersPage {
    type Content = Listeners;
    /// Rejected listeners pass the name's filter, whatever they are called.
    const QUERY: &'static str =
        "/config_dump?resource=dynamic_listeners&name_regex=virtual(In%7COut)bound";
    const MOST_BYTES: usize = 8 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self {
            picker: Picker::new(WANTED, MOST_PART),
            listeners: Listeners::default(),
            entry: Entry::default(),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let Self { picker, listeners, entry } = self;
        picker.feed(bytes, &mut |path, part| match path {
            KIND => {
                let next = Entry { first_chain: listeners.chains.len(), ..Entry::default() };
                listeners.close(std::mem::replace(entry, next));
            }
            CHAIN | DEFAULT => {
                entry.is_active = true;
                listeners.take(part);
            }
            path => entry.learn(path, part),
        })
    }

    fn end(mut self) -> Result<Listeners, Unread> {
        self.picker.finish()?;
        self.listeners.close(self.entry);
        Ok(self.listeners)
    }
}

/// Reads the listeners of any other proxy: all of them.
#[derive(Debug)]
pub struct AllListenersPage(ListenersPage);

impl Page for AllListenersPage {
    type Content = Listeners;
    const QUERY: &'static str = "/config_dump?resource=dynamic_listeners";
    const MOST_BYTES: usize = ListenersPage::MOST_BYTES;
    const WITHIN: Duration = ListenersPage::WITHIN;

    fn begin() -> Self {
        Self(ListenersPage::begin())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        self.0.take(bytes)
    }

    fn end(self) -> Result<Listeners, Unread> {
        self.0.end()
    }
}

impl Entry {
    fn learn(&mut self, path: Path, part: Option<&[u8]>) {
        let text = || page::value::<String>(part).map(|text| json::clean(&text));
        match path {
            NAME => self.name = text(),
            REJECTED => self.failed_name = text(),
            DETAILS => self.details = Some(text().unwrap_or_default()),
            ATTEMPT => self.attempt = text(),
            UPDATED => self.is_active = true,
            PORT => self.port = page::value(part),
            DIRECTION => {
                self.direction = match text().as_deref() {
                    Some("INBOUND") => Direction::Inbound,
                    Some("OUTBOUND") => Direction::Outbound,
                    _ => Direction::Unspecified,
                };
            }
            _ => {}
        }
    }
}

impl Listeners {
    /// All of an entry has come.
    fn close(&mut self, entry: Entry) {
        let name = entry.name.or(entry.failed_name).unwrap_or_default();
        for chain in &mut self.chains[entry.first_chain..] {
            chain.listener.clone_from(&name);
            chain.listener_port = entry.port;
            chain.direction = entry.direction;
        }
        let Some(details) = entry.details else { return };
        let attempt = entry.attempt;
        // Envoy tells each rejected listener twice: once by name, once without.
        let is_same = |known: &Rejected| {
            known.name == name
                || (known.details == details && (name.is_empty() || known.name.is_empty()))
        };
        if let Some(known) = self.rejected.iter_mut().find(|known| is_same(known)) {
            if known.name.is_empty() {
                known.name = name;
            }
            known.attempt = known.attempt.take().or(attempt);
            known.is_served |= entry.is_active;
        } else if self.rejected.len() < MOST_REJECTED {
            self.rejected.push(Rejected { name, details, attempt, is_served: entry.is_active });
        } else {
            self.is_cut = true;
        }
    }

    fn take(&mut self, part: Option<&[u8]>) {
        let mut chain = Chain::default();
        let read = part.map(|part| json::read(part, &mut |value| chain.read(value)));
        if !matches!(read, Some(Ok(()))) || self.chains.len() >= MOST_CHAINS {
            self.is_cut = true;
            return;
        }
        self.chains.push(chain);
    }
}

#[cfg(test)]
mod tests;
