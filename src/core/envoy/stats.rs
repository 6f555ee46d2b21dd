//! Envoy's `/stats`: how busy its inbound side is, as an [`Activity`].
//!
//! Owns which counters are inbound requests and connections and which are not; must never ask
//! anybody.

use std::time::Duration;

use crate::core::envoy::activity::Activity;
use crate::core::envoy::lines::Lines;
use crate::core::envoy::page::Page;
use crate::core::envoy::unread::Unread;

/// Connection managers that serve the proxy itself: the admin API, Istio's readiness (15021) and
/// metrics (15090).
const OWN_MANAGERS: [&str; 3] = ["admin", "agent", "stats"];

/// The admin API's listener, and those between listeners of one Envoy.
const OWN_LISTENERS: [&str; 2] = ["admin", "envoy_internal"];

/// Ports of Istio's listeners for readiness and metrics.
const OWN_PORTS: [&str; 2] = ["_15021", "_15090"];

/// The port of Istio's inbound listener.
const ISTIO_INBOUND: &str = "_15006";

/// Reads the text form of `/stats`: `http.ingress.downstream_rq_active: 3`, one a line.
///
/// `None` where requests are hidden: Istio hides them unless told otherwise, and with
/// `EXIT_ON_ZERO_ACTIVE_CONNECTIONS` shows connections alone (`pkg/bootstrap/config.go`,
/// `stats_matcher`).
#[derive(Debug)]
pub struct StatsPage {
    lines: Lines,
    counters: Vec<(String, u64)>,
}

/// Longer than any line of [`StatsPage::QUERY`]'s answer.
const MOST_LINE: usize = 1024;

impl Page for StatsPage {
    type Content = Option<Activity>;
    /// `filter` is a regular expression.
    const QUERY: &'static str = "/stats?filter=%5C.downstream_(rq%7Ccx)_(active%7Ctotal)%24";
    const MOST_BYTES: usize = 4 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(1);

    fn begin() -> Self {
        Self { lines: Lines::new(MOST_LINE), counters: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let counters = &mut self.counters;
        self.lines.feed(bytes, &mut |line| counters.extend(counter(line)));
        Ok(())
    }

    fn end(self) -> Result<Option<Activity>, Unread> {
        let Self { lines, mut counters } = self;
        lines.finish(&mut |line| counters.extend(counter(line)));
        let counters = counters.iter().filter_map(|(name, value)| {
            let (owner, counter) = name.rsplit_once(".downstream_")?;
            Some((owner.trim_end_matches(';'), counter, *value))
        });
        let counters: Vec<DownstreamCounter<'_>> = counters.collect();
        Ok(activity(&counters))
    }
}

/// Name and value of a counter that may be one of the inbound side's.
fn counter(line: &str) -> Option<(String, u64)> {
    let (name, value) = line.rsplit_once(": ")?;
    let value = value.trim().parse().ok()?;
    is_counted(name).then(|| (name.to_owned(), value))
}

/// May this counter be one of the inbound side's? What is not is not kept: there may be thousands.
fn is_counted(name: &str) -> bool {
    let is_part = name.contains(".worker_") || name.starts_with("http.outbound");
    !is_part && (name.starts_with("http.") || name.starts_with("listener."))
}

/// What stands before `.downstream_`, what behind it, and the value.
type DownstreamCounter<'a> = (&'a str, &'a str, u64);

/// Requests of the HTTP connection managers, and those connections of the listeners that no such
/// manager has.
fn activity(counters: &[DownstreamCounter<'_>]) -> Option<Activity> {
    let (managers, listeners) = (managers(counters), listeners(counters));
    // Istio names the inbound ones so; else a listener without a name may have an outbound one.
    let named = managers.iter().any(|(name, ..)| name.starts_with("inbound"));
    let is_inbound =
        |name: &str| if named { name.starts_with("inbound") } else { !is_outbound(name) };
    let requests = |wanted| sum(&managers, wanted, is_inbound);
    let with_http = sum(&managers, "cx_active", |name| !named || is_inbound(name));
    let all = sum(&listeners, "cx_active", |_| true);
    let connections = all.unwrap_or(0).saturating_sub(with_http.unwrap_or(0));
    match (requests("rq_active"), with_http, all) {
        (Some(active), ..) => {
            Some(Activity { requests: active, connections, begun: requests("rq_total") })
        }
        // No HTTP at all, not a hidden one.
        (None, None, Some(_)) => {
            let begun = sum(&listeners, "cx_total", |_| true);
            Some(Activity { requests: 0, connections, begun })
        }
        (None, Some(_), _) | (None, None, None) => None,
    }
}

/// All but the proxy's own.
fn managers<'a>(counters: &[DownstreamCounter<'a>]) -> Vec<DownstreamCounter<'a>> {
    let managers = counters.iter().filter_map(|(owner, counter, value)| {
        let name = owner.strip_prefix("http.")?;
        (!OWN_MANAGERS.contains(&name)).then_some((name, *counter, *value))
    });
    managers.collect()
}

/// Istio's inbound listener alone where there is one, whose outbound ones have the addresses of
/// other Services; else all but the proxy's own and those named outbound.
fn listeners<'a>(counters: &[DownstreamCounter<'a>]) -> Vec<DownstreamCounter<'a>> {
    let listeners = counters.iter().filter_map(|(owner, counter, value)| {
        let name = owner.strip_prefix("listener.")?;
        let is_own = OWN_LISTENERS.iter().any(|own| name.starts_with(own))
            || OWN_PORTS.iter().any(|port| name.ends_with(port));
        (!is_own && !is_outbound(name)).then_some((name, *counter, *value))
    });
    let listeners: Vec<DownstreamCounter<'_>> = listeners.collect();
    let is_istios = |name: &str| name.ends_with(ISTIO_INBOUND);
    let is_istio = listeners.iter().any(|(name, ..)| is_istios(name));
    listeners.into_iter().filter(|(name, ..)| !is_istio || is_istios(name)).collect()
}

/// A plain Envoy does not say which of its listeners lead out of the pod: a `stat_prefix` does.
fn is_outbound(name: &str) -> bool {
    ["outbound", "egress"].iter().any(|prefix| name.starts_with(prefix))
}

/// `None` where there is no such counter, or where it is hidden.
fn sum(
    counters: &[DownstreamCounter<'_>],
    wanted: &str,
    keep: impl Fn(&str) -> bool,
) -> Option<u64> {
    let kept = counters.iter().filter(|(name, counter, _)| *counter == wanted && keep(name));
    kept.fold(None, |sum, (.., value)| Some(sum.unwrap_or(0_u64).saturating_add(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    fn stats(lines: &[&str]) -> Option<Activity> {
        whole::<StatsPage>(lines.join("\n").as_bytes()).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "what it is compared with is an Option")]
    fn activity(requests: u64, connections: u64, begun: u64) -> Option<Activity> {
        Some(Activity { requests, connections, begun: Some(begun) })
    }

    #[test]
    fn a_plain_envoys_requests_are_counted_without_its_own() {
        let seen = stats(&[
            "http.admin.downstream_cx_active: 1",
            "http.admin.downstream_rq_active: 1",
            "http.admin.downstream_rq_total: 99",
            "http.egress_http.downstream_cx_active: 2",
            "http.egress_http.downstream_rq_active: 5",
            "http.ingress.downstream_cx_active: 7",
            "http.ingress.downstream_rq_active: 3",
            "http.ingress.downstream_rq_total: 40",
            "http.other.downstream_rq_active: 1",
            "http.other.downstream_rq_total: 2",
            "listener.127.0.0.1_80.downstream_cx_active: 7",
            "listener.127.0.0.1_81.downstream_cx_active: 2",
        ]);
        assert_eq!(seen, activity(4, 0, 42));
    }

    #[test]
    fn plain_tcp_beside_http_is_counted_by_its_connections() {
        let seen = stats(&[
            "http.ingress.downstream_cx_active: 7",
            "http.ingress.downstream_rq_active: 0",
            "http.ingress.downstream_rq_total: 40",
            "listener.0.0.0.0_80.downstream_cx_active: 7",
            "listener.0.0.0.0_5432.downstream_cx_active: 2",
            "listener.egress_mysql.downstream_cx_active: 5",
        ]);
        assert_eq!(seen, activity(0, 2, 40));
    }

    #[test]
    fn istios_inbound_side_is_what_is_named_so() {
        let seen = stats(&[
            "http.inbound_0.0.0.0_8080;.downstream_cx_active: 6",
            "http.inbound_0.0.0.0_8080;.downstream_rq_active: 2",
            "http.inbound_0.0.0.0_8080;.downstream_rq_total: 10",
            "http.outbound_0.0.0.0_80;.downstream_rq_active: 5",
            "http.passthrough.downstream_rq_active: 5",
            "http.agent.downstream_rq_active: 1",
            "http.stats.downstream_rq_active: 1",
            "listener.0.0.0.0_15006.downstream_cx_active: 9",
            "listener.0.0.0.0_15001.downstream_cx_active: 9",
            "listener.10.96.0.7_3306.downstream_cx_active: 9",
        ]);
        assert_eq!(seen, activity(2, 3, 10));
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
        assert_eq!(seen, activity(0, 4, 44));
    }

    #[test]
    fn hidden_stats_say_nothing() {
        for nonsense in ["", "x", "a: b", ": 1", "http.a.downstream_rq_active: -1", "\u{0}"] {
            assert_eq!(stats(&[nonsense]), None, "{nonsense}");
        }
        let with_exit_on_zero = stats(&[
            "http.inbound_0.0.0.0_8080;.downstream_cx_active: 6",
            "listener.0.0.0.0_15006.downstream_cx_active: 9",
        ]);
        assert_eq!(with_exit_on_zero, None, "connections that idle are no requests");
    }
}
