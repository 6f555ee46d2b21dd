//! One filter chain of a listener: which connections it takes, and what it does with them.
//!
//! Owns the reading of a chain (envoy: `listener_components.proto`); must never judge, and passes
//! over each filter that no judge asks for.

use crate::core::envoy::fault_filter::{self, FaultFilter};
use crate::core::envoy::json::Json;
use crate::core::envoy::rbac::Rbac;

/// 100 percent, in millionths.
const ALL: u64 = 100_000_000;

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

impl Chain {
    /// Takes in one member of `filter_chains`, as far as it came.
    pub(super) fn read(&mut self, value: Json<'_>) {
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
