//! Envoy's dynamic listeners (`config_dump`, `dynamic_listeners`): how each port is served, and
//! which listeners the proxy has rejected.
//!
//! Owns the reading of both; must never judge. Only what is active counts: for 45 s after a change
//! the dump has the old chains, too, with the old policies (`draining_state`). The configuration
//! that was rejected is passed over, since it may hold anything.

use std::time::Duration;

use crate::core::envoy::fault_filter::{self, FaultFilter};
use crate::core::envoy::json::{self, Json};
use crate::core::envoy::page::{self, Page};
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::rbac::Rbac;
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

/// 100 percent, in millionths.
const ALL: u64 = 100_000_000;

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

/// Where a listener's traffic comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// It does not say; a plain Envoy.
    #[default]
    Unspecified,
    /// To the application.
    Inbound,
    /// From the application.
    Outbound,
}

/// Which transport a chain is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Any.
    #[default]
    Any,
    /// Plaintext.
    Raw,
    /// TLS.
    Tls,
}

/// What a chain speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Neither of the two.
    #[default]
    Other,
    /// An HTTP connection manager.
    Http,
    /// Bytes.
    Tcp,
}

/// One filter chain of an active listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The listener's name.
    pub listener: String,
    /// The listener's own port.
    pub listener_port: Option<u64>,
    /// Whose traffic it is.
    pub direction: Direction,
    /// The port that clients asked for; `None` takes any.
    pub port: Option<u64>,
    /// For which transport it is.
    pub transport: Transport,
    /// It is chosen by the application protocols that the proxy saw first.
    pub is_sniffed: bool,
    /// What it speaks.
    pub protocol: Protocol,
    /// The cluster of a TCP proxy.
    pub cluster: Option<String>,
    /// Whom it lets in.
    pub rbac: Vec<Rbac>,
    /// What its fault filter does.
    pub fault: Option<FaultFilter>,
    /// How many of the requests are traced, in millionths of a percent, where it traces.
    pub sampling: Option<u64>,
    /// A sampler of its own decides about traces.
    pub has_sampler: bool,
    /// It answers HTTP/1.0.
    pub accepts_http10: bool,
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
        let text = || page::read::<String>(part).map(|text| json::clean(&text));
        match path {
            NAME => self.name = text(),
            REJECTED => self.failed_name = text(),
            DETAILS => self.details = Some(text().unwrap_or_default()),
            ATTEMPT => self.attempt = text(),
            UPDATED => self.is_active = true,
            PORT => self.port = page::read(part),
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

impl Chain {
    fn read(&mut self, value: Json<'_>) {
        value.fields(&mut |name, value| match name {
            "filter_chain_match" => self.read_match(value),
            "filters" => value.items(&mut |filter| self.read_filter(filter)),
            _ => {}
        });
    }

    fn read_match(&mut self, value: Json<'_>) {
        value.fields(&mut |name, value| match name {
            "destination_port" => self.port = value.number(),
            "transport_protocol" => value.with_text(&mut |transport| {
                self.transport = match transport {
                    "raw_buffer" => Transport::Raw,
                    "tls" => Transport::Tls,
                    _ => Transport::Any,
                };
            }),
            "application_protocols" => value.items(&mut |_| self.is_sniffed = true),
            _ => {}
        });
    }

    /// A filter's name comes before its configuration, and the configuration's type tells it, too.
    fn read_filter(&mut self, filter: Json<'_>) {
        let mut kind = String::new();
        filter.fields(&mut |name, value| match name {
            "name" => kind = value.text().unwrap_or_default(),
            "typed_config" => match kind.as_str() {
                "envoy.filters.network.http_connection_manager" => {
                    self.protocol = Protocol::Http;
                    self.read_http(value);
                }
                "envoy.filters.network.tcp_proxy" => {
                    self.protocol = Protocol::Tcp;
                    value.at(&["cluster"], &mut |cluster| self.cluster = cluster.text());
                }
                "envoy.filters.network.rbac" => self.rbac.extend(Rbac::read(value)),
                _ => {}
            },
            _ => {}
        });
    }

    fn read_http(&mut self, manager: Json<'_>) {
        manager.fields(&mut |name, value| match name {
            "http_filters" => value.items(&mut |filter| self.read_http_filter(filter)),
            "tracing" => self.read_tracing(value),
            "http_protocol_options" => value.at(&["accept_http_10"], &mut |accepts| {
                self.accepts_http10 = accepts.flag();
            }),
            _ => {}
        });
    }

    fn read_http_filter(&mut self, filter: Json<'_>) {
        let mut kind = String::new();
        filter.fields(&mut |name, value| match name {
            "name" => kind = value.text().unwrap_or_default(),
            "typed_config" => match kind.as_str() {
                "envoy.filters.http.rbac" => self.rbac.extend(Rbac::read(value)),
                fault_filter::NAME => self.fault = Some(FaultFilter::read(value)),
                _ => {}
            },
            _ => {}
        });
    }

    /// Without a value of its own, Envoy traces everything (envoy:
    /// `http_connection_manager.proto`).
    fn read_tracing(&mut self, tracing: Json<'_>) {
        self.sampling = Some(ALL);
        tracing.fields(&mut |name, value| match name {
            "random_sampling" => {
                // Protobuf's JSON leaves a value of 0 out.
                self.sampling = Some(0);
                value.at(&["value"], &mut |value| {
                    self.sampling = Some(value.millionths().unwrap_or_default());
                });
            }
            "provider" => value.at(&["typed_config", "sampler"], &mut |sampler| {
                self.has_sampler = sampler.fields(&mut |_, _| ());
            }),
            _ => {}
        });
    }
}

#[cfg(test)]
mod tests;
