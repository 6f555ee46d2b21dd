//! Envoy's `/stats`: how busy its inbound side is, as an [`Activity`].
//!
//! Owns which counters are inbound requests and which are not; must never ask anybody.

use std::time::Duration;

use crate::core::envoy::activity::Activity;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;

/// Envoy's `server.state` while its health check fails (envoy: `server/utils.cc`).
const DRAINING: u64 = 1;

/// Connection managers that serve the proxy itself: the admin API, Istio's readiness (15021) and
/// metrics (15090).
const OWN_MANAGERS: [&str; 3] = ["admin", "agent", "stats"];

/// Ports of listeners that are not inbound: the same two, and Istio's outbound one.
const OTHER_LISTENERS: [&str; 3] = ["_15001", "_15021", "_15090"];

/// What the stats say; `activity` is `None` where the counters are hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Inbound requests.
    pub activity: Option<Activity>,
    /// The proxy fails its health checks, and so is on its way out by itself.
    pub draining: bool,
}

/// Reads the text form of `/stats`: `http.ingress.downstream_rq_active: 3`, one a line.
///
/// Istio hides all but `server.state` unless told otherwise (`pkg/bootstrap/config.go`,
/// `stats_matcher`).
#[derive(Debug, Default)]
pub struct StatsPage {
    /// The line that is not complete yet.
    line: Vec<u8>,
    draining: bool,
    counters: Vec<(String, u64)>,
}

/// Longer than any line of [`StatsPage::QUERY`]'s answer; what is longer is passed over.
const MOST_LINE: usize = 1024;

impl Page for StatsPage {
    type Content = Stats;
    /// `filter` is a regular expression.
    const QUERY: &'static str =
        "/stats?filter=%5Eserver%5C.state%24%7C%5C.downstream_(rq%7Ccx)_(active%7Ctotal)%24";
    const MOST_BYTES: usize = 4 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(1);

    fn begin() -> Self {
        Self::default()
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        for byte in bytes {
            match byte {
                b'\n' => self.end_line(),
                byte if self.line.len() < MOST_LINE => self.line.push(*byte),
                _ => {}
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<Stats, Unread> {
        self.end_line();
        let counters = self.counters.iter().filter_map(|(name, value)| {
            let (owner, counter) = name.rsplit_once(".downstream_")?;
            Some((owner.trim_end_matches(';'), counter, *value))
        });
        let counters: Vec<Counter<'_>> = counters.collect();
        let (requests, connections) =
            (Counters::requests(&counters), Counters::connections(&counters));
        Ok(Stats { activity: requests.or(connections), draining: self.draining })
    }
}

impl StatsPage {
    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        let read = line.rsplit_once(": ").and_then(|(name, value)| {
            let value = value.trim().parse::<u64>().ok()?;
            Some((name.to_owned(), value))
        });
        match read {
            Some((name, value)) if name == "server.state" => self.draining = value == DRAINING,
            Some((name, value)) if is_counted(&name) => self.counters.push((name, value)),
            _ => {}
        }
        self.line.clear();
    }
}

/// May this counter be one of the inbound side's? What is not is not kept: a proxy may have thousands.
fn is_counted(name: &str) -> bool {
    let is_part = name.contains(".worker_") || name.starts_with("http.outbound");
    !is_part && (name.starts_with("http.") || name.starts_with("listener."))
}

/// What stands before `.downstream_`, what behind it, and the value.
type Counter<'a> = (&'a str, &'a str, u64);

struct Counters;

impl Counters {
    /// Of the HTTP connection managers: the inbound ones where they are named so, as Istio does,
    /// else all but the proxy's own and those named outbound.
    fn requests(counters: &[Counter<'_>]) -> Option<Activity> {
        let managers = counters.iter().filter_map(|(owner, counter, value)| {
            let name = owner.strip_prefix("http.")?;
            (!OWN_MANAGERS.contains(&name) && !name.starts_with("outbound"))
                .then_some((name, *counter, *value))
        });
        let managers: Vec<Counter<'_>> = managers.collect();
        let named = managers.iter().any(|(name, ..)| name.starts_with("inbound"));
        let inbound = managers.iter().filter(|(name, ..)| !named || name.starts_with("inbound"));
        sum(inbound, "rq_active", "rq_total")
    }

    /// Of the listeners, where there is no HTTP to be seen: Istio's with
    /// `EXIT_ON_ZERO_ACTIVE_CONNECTIONS`.
    fn connections(counters: &[Counter<'_>]) -> Option<Activity> {
        let listeners = counters.iter().filter(|(owner, ..)| {
            let name = owner.strip_prefix("listener.");
            name.is_some_and(|name| {
                let other = OTHER_LISTENERS.iter().any(|port| name.ends_with(port));
                !other
                    && !name.starts_with("admin")
                    && !name.starts_with("envoy_internal")
                    && !name.contains(".worker_")
            })
        });
        sum(listeners, "cx_active", "cx_total")
    }
}

fn sum<'a>(
    counters: impl Iterator<Item = &'a Counter<'a>>,
    active: &str,
    begun: &str,
) -> Option<Activity> {
    let (mut in_flight, mut so_far) = (None, None);
    for (_, counter, value) in counters {
        if *counter == active {
            *in_flight.get_or_insert(0) += value;
        } else if *counter == begun {
            *so_far.get_or_insert(0) += value;
        }
    }
    Some(Activity { active: in_flight?, begun: so_far })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    fn stats(lines: &[&str]) -> Stats {
        whole::<StatsPage>(lines.join("\n").as_bytes()).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "what it is compared with is an Option")]
    fn activity(active: u64, begun: u64) -> Option<Activity> {
        Some(Activity { active, begun: Some(begun) })
    }

    #[test]
    fn a_plain_envoys_requests_are_counted_without_its_own() {
        let seen = stats(&[
            "http.admin.downstream_rq_active: 1",
            "http.admin.downstream_rq_total: 99",
            "http.ingress.downstream_cx_active: 7",
            "http.ingress.downstream_rq_active: 3",
            "http.ingress.downstream_rq_total: 40",
            "http.other.downstream_rq_active: 1",
            "http.other.downstream_rq_total: 2",
            "listener.127.0.0.1_80.downstream_cx_active: 7",
            "server.state: 0",
        ]);
        assert_eq!(seen, Stats { activity: activity(4, 42), draining: false });
    }

    #[test]
    fn istios_inbound_side_is_what_is_named_so() {
        let seen = stats(&[
            "http.inbound_0.0.0.0_8080;.downstream_rq_active: 2",
            "http.inbound_0.0.0.0_8080;.downstream_rq_total: 10",
            "http.outbound_0.0.0.0_80;.downstream_rq_active: 5",
            "http.passthrough.downstream_rq_active: 5",
            "http.agent.downstream_rq_active: 1",
            "http.stats.downstream_rq_active: 1",
        ]);
        assert_eq!(seen.activity, activity(2, 10));
    }

    #[test]
    fn without_http_the_inbound_listeners_connections_count() {
        let seen = stats(&[
            "listener.0.0.0.0_15006.downstream_cx_active: 4",
            "listener.0.0.0.0_15006.downstream_cx_total: 44",
            "listener.0.0.0.0_15006.worker_0.downstream_cx_active: 4",
            "listener.0.0.0.0_15001.downstream_cx_active: 9",
            "listener.0.0.0.0_15021.downstream_cx_active: 1",
            "listener.0.0.0.0_15090.downstream_cx_active: 1",
            "listener.admin.downstream_cx_active: 1",
            "listener.admin.main_thread.downstream_cx_active: 1",
            "listener.envoy_internal_main.downstream_cx_active: 1",
        ]);
        assert_eq!(seen.activity, activity(4, 44));
    }

    #[test]
    fn hidden_stats_say_nothing_but_the_state() {
        assert_eq!(stats(&["server.state: 1"]), Stats { activity: None, draining: true });
        for nonsense in ["", "x", "a: b", ": 1", "http.a.downstream_rq_active: -1", "\u{0}"] {
            assert_eq!(stats(&[nonsense]).activity, None, "{nonsense}");
        }
    }
}
