//! Envoy's `/clusters` as text: which clusters have been used since the proxy's start.
//!
//! Owns the counting; must never judge. The text costs the proxy a quarter of what the JSON does.

use std::time::Duration;

use crate::core::envoy::json::clean;
use crate::core::envoy::lines::Lines;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;
use crate::core::sorted::SortedSet;

/// A line is a cluster's name, an address, a counter.
const MOST_LINE: usize = 4 * 1024;

/// How many used clusters are kept by name.
const MOST_USED: usize = 2_000;

/// What the page told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The names of the outbound clusters that have had a request or a connection.
    pub used: SortedSet<String>,
    /// How many outbound clusters there are in all.
    pub known: u64,
    /// Some were left out: there are too many.
    pub is_cut: bool,
}

/// Reads the page.
#[derive(Debug)]
pub struct UsagePage {
    lines: Lines,
    usage: Usage,
    last: String,
}

impl Page for UsagePage {
    type Content = Usage;
    const QUERY: &'static str = "/clusters";
    const MOST_BYTES: usize = 64 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(10);

    fn begin() -> Self {
        Self { lines: Lines::new(MOST_LINE), usage: Usage::default(), last: String::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let Self { lines, usage, last } = self;
        lines.feed(bytes, &mut |line| usage.take(line, last));
        Ok(())
    }

    fn end(self) -> Result<Usage, Unread> {
        let Self { lines, mut usage, mut last } = self;
        lines.finish(&mut |line| usage.take(line, &mut last));
        Ok(usage)
    }
}

impl Usage {
    /// `outbound|80||host::10.0.0.1:80::rq_total::7`; a cluster's lines stand together. An IPv6
    /// address has `::` of its own, so that the counter is looked for from the end.
    fn take(&mut self, line: &str, last: &mut String) {
        let Some((cluster, rest)) = line.split_once("::") else { return };
        if !cluster.starts_with("outbound|") {
            return;
        }
        if cluster != last {
            self.known += 1;
            cluster.clone_into(last);
        }
        let mut parts = rest.rsplit("::");
        let (value, counter) = (parts.next(), parts.next());
        let is_total = matches!(counter, Some("rq_total" | "cx_total"));
        let is_used =
            is_total && value.and_then(|value| value.parse().ok()).is_some_and(|n: u64| n > 0);
        if is_used && !self.used.contains(cluster) {
            self.is_cut |= self.used.len() >= MOST_USED;
            if self.used.len() < MOST_USED {
                self.used.insert(clean(cluster));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    #[test]
    fn used_clusters_are_told_from_known_ones() {
        let text = "outbound|80||a::observability_name::outbound|80||a;\n\
                    outbound|80||a::10.0.0.1:80::cx_total::0\n\
                    outbound|80||a::10.0.0.1:80::rq_total::0\n\
                    outbound|81||b::[fd00::1]:80::cx_total::3\n\
                    outbound|81||b::[fd00::1]:80::hostname::rq_total\n\
                    outbound|82||c::added_via_api::true\n\
                    inbound|8080||::127.0.0.1:8080::rq_total::9\n\
                    nonsense\n::\n";
        let usage = whole::<UsagePage>(text.as_bytes()).unwrap();
        assert_eq!(usage.known, 3);
        assert_eq!(usage.used.into_iter().collect::<Vec<String>>(), ["outbound|81||b"]);
    }
}
