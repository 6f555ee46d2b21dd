//! The endpoints of clusters (`config_dump` with `include_eds`): which clusters there are, and how
//! many of their endpoints are healthy.
//!
//! Owns the query, whose names are a regular expression, and the counting; must never judge.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::envoy::json;
use crate::core::envoy::page::{self, Page};
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::unread::Unread;
use crate::core::sorted::SortedMap;

const KIND: Path = &["configs", EACH, "@type"];
const CLUSTER: Path = &["configs", EACH, "endpoint_config", "cluster_name"];
const ENDPOINT: Path =
    &["configs", EACH, "endpoint_config", "endpoints", EACH, "lb_endpoints", EACH];
const WANTED: &[Path] = &[KIND, CLUSTER, ENDPOINT];

/// An endpoint takes 0.5 KB, its metadata included.
const MOST_PART: usize = 64 * 1024;

/// More clusters than are ever asked for at once.
const MOST_CLUSTERS: usize = 2_000;

/// How many endpoints a cluster has, and how many of them take requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// All of them.
    pub endpoints: u64,
    /// Those that neither EDS nor outlier detection took out.
    pub healthy: u64,
}

/// The clusters that were found, by name.
pub type Endpoints = SortedMap<String, Health>;

/// Reads the page.
#[derive(Debug)]
pub struct EndpointsPage {
    picker: Picker,
    found: Endpoints,
    cluster: Option<String>,
}

impl Page for EndpointsPage {
    type Content = Endpoints;
    /// What [`names`] says comes behind it. Static clusters are in another part of the dump.
    const QUERY: &'static str =
        "/config_dump?include_eds&resource=dynamic_endpoint_configs&name_regex=";
    const MOST_BYTES: usize = 4 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self { picker: Picker::new(WANTED, MOST_PART), found: Endpoints::new(), cluster: None }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let Self { picker, found, cluster } = self;
        picker.feed(bytes, &mut |path, part| match path {
            KIND => *cluster = None,
            CLUSTER => {
                *cluster = page::value::<String>(part).filter(|_| found.len() < MOST_CLUSTERS);
                if let Some(cluster) = cluster {
                    found.get_or_default(cluster.clone());
                }
            }
            _ => {
                if let Some(health) = cluster.as_ref().and_then(|name| found.get_mut(name)) {
                    health.endpoints += 1;
                    health.healthy += u64::from(part.is_none_or(takes_requests));
                }
            }
        })
    }

    fn end(self) -> Result<Endpoints, Unread> {
        self.picker.finish().map(|()| self.found)
    }
}

/// The same of clusters that stand in the bootstrap.
#[derive(Debug)]
pub struct StaticEndpointsPage(EndpointsPage);

impl Page for StaticEndpointsPage {
    type Content = Endpoints;
    const QUERY: &'static str =
        "/config_dump?include_eds&resource=static_endpoint_configs&name_regex=";
    const MOST_BYTES: usize = EndpointsPage::MOST_BYTES;
    const WITHIN: Duration = EndpointsPage::WITHIN;

    fn begin() -> Self {
        Self(EndpointsPage::begin())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        self.0.take(bytes)
    }

    fn end(self) -> Result<Endpoints, Unread> {
        self.0.end()
    }
}

/// Envoy says `UNHEALTHY` for what EDS marked and for what outlier detection ejected alike; a word
/// that is not known, or none, is taken for health.
fn takes_requests(endpoint: &[u8]) -> bool {
    let mut takes = true;
    let read = json::read(endpoint, &mut |value| {
        value.at(&["health_status"], &mut |status| {
            status.with_text(&mut |status| {
                takes = !matches!(status, "UNHEALTHY" | "DRAINING" | "TIMEOUT");
            });
        });
    });
    takes || read.is_err()
}

/// The regular expression, escaped for a URL, that these names match in full.
#[must_use]
pub fn names<'a>(clusters: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for cluster in clusters {
        text += if text.is_empty() { "(" } else { "%7C" };
        for byte in cluster.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b':' | b'/' => {
                    text.push(char::from(byte));
                }
                // RE2 takes \x and the number of any byte of ASCII; others stand for themselves.
                b'.' | b'|' | b'*' | b'+' | b'?' | b'(' | b')' | b'[' | b']' | b'{' | b'}'
                | b'^' | b'$' | b'\\' => {
                    let _ = write!(text, "%5C%{byte:02X}");
                }
                other => {
                    let _ = write!(text, "%{other:02X}");
                }
            }
        }
    }
    if !text.is_empty() {
        text.push(')');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    #[test]
    fn endpoints_are_counted_by_cluster() {
        let body = br#"{"configs":[
          {"@type":"x","endpoint_config":{"cluster_name":"outbound|80||a","endpoints":[
            {"lb_endpoints":[{"health_status":"HEALTHY"},{"health_status":"UNHEALTHY"}]},
            {"lb_endpoints":[{},{"health_status":"A_NEW_ONE"},{"health_status":null},null]}]}},
          {"@type":"x","endpoint_config":{"cluster_name":"empty","policy":{}}},
          {"@type":"x","endpoint_config":{"endpoints":[{"lb_endpoints":[{}]}]}},
          {"@type":"x","endpoint_config":{"cluster_name":7,"endpoints":7}}]}"#;
        let found = whole::<EndpointsPage>(body).unwrap();
        let health = Health { endpoints: 6, healthy: 5 };
        assert_eq!(found.get("outbound|80||a"), Some(&health));
        assert_eq!(found.get("empty"), Some(&Health::default()));
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(whole::<EndpointsPage>(b"{}"), Ok(Endpoints::new()));
        assert!(whole::<EndpointsPage>(b"{\"configs\":[").is_err());
    }

    #[test]
    fn names_become_an_expression_that_matches_them_alone() {
        assert_eq!(
            names(["outbound|9080|v2|a.b", "c"]),
            "(outbound%5C%7C9080%5C%7Cv2%5C%7Ca%5C%2Eb%7Cc)"
        );
        assert_eq!(names(["a b&\u{e4}"]), "(a%20b%26%C3%A4)");
        assert_eq!(names([]), "");
    }
}
