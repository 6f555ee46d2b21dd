//! The pod's annotations about traffic, as the proxy knows them.
//!
//! Owns their names (istio/api: `annotations.yaml`) and what is kept of them: numbers and words of
//! ours. Must never keep any other value, since annotations may hold anything.

use crate::core::envoy::json::{self, Json};

const PREFIX: &str = "traffic.sidecar.istio.io/";

/// What Istio reads below that prefix.
const TRAFFIC: [&str; 8] = [
    "excludeInboundPorts",
    "excludeInterfaces",
    "excludeOutboundIPRanges",
    "excludeOutboundPorts",
    "includeInboundPorts",
    "includeOutboundIPRanges",
    "includeOutboundPorts",
    "kubevirtInterfaces",
];

/// How many numbers of one annotation are kept.
const MOST_PORTS: usize = 100;

/// How many misspelt names are kept.
const MOST_NAMES: usize = 20;

/// Which ports an annotation names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ports {
    /// There is no such annotation.
    #[default]
    Unset,
    /// `*`.
    All,
    /// These.
    Some(Vec<u16>),
}

/// An annotation whose name is nearly one of Istio's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// As it is written.
    pub written: String,
    /// As it was probably meant.
    pub meant: String,
}

/// What the annotations say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Ports of other pods that go past the proxy.
    pub excluded_outbound: Ports,
    /// The only ports of other pods that go through it.
    pub included_outbound: Ports,
    /// Ports of this pod that go past the proxy.
    pub excluded_inbound: Ports,
    /// The only ports of this pod that go through it.
    pub included_inbound: Ports,
    /// Some ranges of addresses go past the proxy.
    pub has_ranges: bool,
    /// Some interfaces do.
    pub has_interfaces: bool,
    /// The proxy's memory limit, in bytes (`sidecar.istio.io/proxyMemoryLimit`).
    pub memory_limit: Option<u64>,
    /// `sidecar.istio.io/rewriteAppHTTPProbers`, where it is set.
    pub rewrites_probes: Option<bool>,
    /// Names that are nearly one of Istio's.
    pub near_misses: Vec<NearMiss>,
    /// They could not all be read.
    pub is_cut: bool,
}

impl Ports {
    fn read(text: &str) -> Self {
        if text.trim() == "*" {
            return Self::All;
        }
        let ports = text.split(',').filter_map(|port| port.trim().parse().ok());
        Self::Some(ports.take(MOST_PORTS).collect())
    }

    /// Does it name this port?
    #[must_use]
    pub fn has(&self, port: u16) -> bool {
        match self {
            Self::Unset => false,
            Self::All => true,
            Self::Some(ports) => ports.contains(&port),
        }
    }
}

impl Annotations {
    /// Takes in one annotation.
    pub(super) fn learn(&mut self, name: &str, value: Json<'_>) {
        value.with_text(&mut |text| match name.strip_prefix(PREFIX) {
            Some("excludeOutboundPorts") => self.excluded_outbound = Ports::read(text),
            Some("includeOutboundPorts") => self.included_outbound = Ports::read(text),
            Some("excludeInboundPorts") => self.excluded_inbound = Ports::read(text),
            Some("includeInboundPorts") => self.included_inbound = Ports::read(text),
            Some("excludeOutboundIPRanges") => self.has_ranges |= !text.trim().is_empty(),
            Some("includeOutboundIPRanges") => self.has_ranges |= text.trim() != "*",
            Some("excludeInterfaces") => self.has_interfaces |= !text.trim().is_empty(),
            _ => match name {
                "sidecar.istio.io/proxyMemoryLimit" => self.memory_limit = parse_quantity(text),
                "sidecar.istio.io/rewriteAppHTTPProbers" => {
                    self.rewrites_probes = text.trim().parse().ok();
                }
                _ => {}
            },
        });
        if let Some(meant) = near_miss(name).filter(|_| self.near_misses.len() < MOST_NAMES) {
            self.near_misses.push(NearMiss { written: json::clean(name), meant });
        }
    }
}

/// What a name was meant to be: one of Istio's under another prefix of Istio's, in other letter
/// case, or with up to two letters changed.
fn near_miss(written: &str) -> Option<String> {
    let (prefix, name) = written.rsplit_once('/')?;
    let is_istios = prefix.ends_with("istio.io");
    let own = PREFIX.trim_end_matches('/');
    if prefix == own && TRAFFIC.contains(&name) || name.len() > 64 {
        return None;
    }
    // A prefix that is nearly the right one, or any of Istio's.
    if !is_istios && distance(&prefix.to_ascii_lowercase(), own) > 2 {
        return None;
    }
    let near =
        |known: &&&str| distance(&name.to_ascii_lowercase(), &known.to_ascii_lowercase()) <= 2;
    TRAFFIC.iter().find(near).map(|known| format!("{PREFIX}{known}"))
}

/// How many letters have to be changed, added or left out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(80).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().take(80).enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, own) in other.iter().enumerate() {
            let changed = diagonal + usize::from(*own != letter);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// A quantity of Kubernetes': `512Mi`, `1G`, `134217728`.
fn parse_quantity(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
    ];
    let text = text.trim();
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let Some(digit) = fraction.chars().next() else { return Some(whole) };
    Some(whole + factor / 10 * u64::from(digit.to_digit(10)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(list: &[(&str, &str)]) -> Annotations {
        let mut annotations = Annotations::default();
        for (name, value) in list {
            let value = serde_json::to_string(value).unwrap();
            json::read(value.as_bytes(), &mut |value| annotations.learn(name, value)).unwrap();
        }
        annotations
    }

    #[test]
    fn ports_are_read_and_nothing_else_is_kept() {
        let read = annotations(&[
            ("traffic.sidecar.istio.io/excludeOutboundPorts", "3306, 5432,hunter2"),
            ("traffic.sidecar.istio.io/includeInboundPorts", "*"),
            ("traffic.sidecar.istio.io/excludeOutboundIPRanges", "10.0.0.0/8"),
            ("example.com/password", "hunter2"),
        ]);
        assert_eq!(read.excluded_outbound, Ports::Some(vec![3306, 5432]));
        assert!(read.excluded_outbound.has(3306) && !read.excluded_outbound.has(80));
        assert!(read.included_inbound.has(80) && read.has_ranges);
        assert_eq!(read.excluded_inbound, Ports::Unset);
        assert!(!format!("{read:?}").contains("hunter2"));
    }

    #[test]
    fn a_misspelt_name_is_known_again() {
        let table = [
            ("traffic.sidecar.istio.io/excludeOutboundPort", Some("excludeOutboundPorts")),
            ("traffic.sidecar.istio.io/excludeOutBoundPorts", Some("excludeOutboundPorts")),
            ("sidecar.istio.io/excludeInboundPorts", Some("excludeInboundPorts")),
            ("traffic.sidecar.istio.io/excludeInboundPorts", None),
            ("trafic.sidecar.istio.io/excludeInboundPorts", Some("excludeInboundPorts")),
            ("sidecar.istio.io/inject", None),
            ("example.com/excludeInboundPorts", None),
            ("excludeInboundPorts", None),
            ("sidecar.istio.io/", None),
        ];
        for (written, meant) in table {
            let meant = meant.map(|name| format!("{PREFIX}{name}"));
            assert_eq!(near_miss(written), meant, "{written}");
        }
    }

    #[test]
    fn quantities_are_kubernetes_own() {
        let table = [
            ("512Mi", Some(512 << 20)),
            ("1G", Some(1_000_000_000)),
            ("1.5Gi", Some((1 << 30) + (1_u64 << 30) / 10 * 5)),
            ("134217728", Some(134_217_728)),
            ("x", None),
            ("", None),
            ("99999999999Ti", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse_quantity(text), expected, "{text}");
        }
    }
}
