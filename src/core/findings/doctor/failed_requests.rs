//! Requests that the proxy itself answered with an error, by Envoy's response flags.
//!
//! Owns the judgement, and what each flag means and asks for; must never count what an injected
//! fault has caused, which is another finding.

use crate::core::envoy::istio_series::{Counts, Reporter};
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::{counted, listed};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;
use crate::core::sorted::SortedMap;

/// How many hosts are told.
const MOST_HOSTS: usize = 10;

/// A flag: what it means, whether nothing got through, and what to do (envoy:
/// `substitution_formatter`, `%RESPONSE_FLAGS%`).
const FLAGS: [(&str, &str, bool, &str); 13] = [
    (
        "NR",
        "no route",
        true,
        "is the host in a VirtualService or Service that this pod may see (Sidecar, exportTo)?",
    ),
    ("NC", "no such cluster", true, "see route-to-missing-cluster"),
    ("UH", "no healthy upstream", true, "see route-to-empty-cluster; are its pods ready?"),
    (
        "UF",
        "connection failed",
        false,
        "is its port open, and do both sides agree on mTLS (DestinationRule, PeerAuthentication)?",
    ),
    ("UC", "connection closed by it", false, "let its keep-alive time be longer than its clients'"),
    ("LR", "connection reset", false, "let its keep-alive time be longer than its clients'"),
    (
        "UO",
        "circuit breaker",
        false,
        "raise connectionPool in its DestinationRule, or lower the load",
    ),
    ("UT", "timeout", false, "raise timeout in its VirtualService, or make it faster"),
    ("URX", "retries used up", false, "see the flag beside it; retries do not help there"),
    ("UAEX", "refused by external authorization", false, "ask the authorization service"),
    ("RL", "rate limit", false, "raise the limit, or lower the load"),
    ("UPE", "protocol error", false, "does the port speak what its name says (HTTP, gRPC, TLS)?"),
    (
        "DPE",
        "protocol error of the client",
        false,
        "does the client speak what the port's name says?",
    ),
];

/// Faults that were injected are told elsewhere.
const INJECTED: [&str; 2] = ["DI", "FI"];

/// Requests and connections that ended in this proxy.
///
/// # Errors
/// The counters could not be read, or this proxy does not count by response flags.
pub fn judge(pages: &Pages) -> Diagnosed {
    let counters = page(&pages.counters)?;
    if !counters.has_istio_metrics {
        return Err(hidden(pages));
    }
    let mut hosts: SortedMap<(&str, Counts), SortedMap<&str, u64>> = SortedMap::new();
    for series in &counters.series {
        let is_failure = series.flags != "-" && !series.flags.is_empty();
        if series.reporter != Reporter::Source || !is_failure {
            continue;
        }
        let flags = series.flags.split(',').filter(|flag| !INJECTED.contains(flag));
        // The first flag that says why, not that retries did not help.
        let known = flags.clone().find(|flag| *flag != "URX" && meaning(flag).is_some());
        let Some(flag) = known.or_else(|| flags.clone().next()) else { continue };
        let host = hosts.get_or_default((series.host.as_str(), series.counts));
        let count = host.get_or_default(flag);
        *count = count.saturating_add(series.count);
    }
    let mut failed: Vec<_> = hosts.into_iter().filter(|(_, flags)| !flags.is_empty()).collect();
    crate::core::sorted::sort_by_key(&mut failed, |(_, flags)| {
        std::cmp::Reverse(flags.values().copied().max())
    });
    let is_cut = counters.is_cut || failed.len() > MOST_HOSTS;
    let told = failed
        .iter()
        .take(MOST_HOSTS)
        .map(|((host, counts), flags)| told(pages, host, *counts, flags));
    let cut = is_cut.then_some(NotSeen::Cut("the hosts that this proxy calls"));
    Ok(Seen::from(told.collect::<Vec<Diagnosis>>()).but(cut))
}

/// Why a proxy's series say nothing.
pub(super) fn hidden(pages: &Pages) -> NotSeen {
    if pages.mesh == Mesh::Istio {
        NotSeen::Hidden("Istio's own metrics are off in this proxy (istio_requests_total)")
    } else {
        pages.not_this_mesh()
    }
}

fn meaning(flag: &str) -> Option<(&'static str, bool, &'static str)> {
    let row = FLAGS.iter().find(|(name, ..)| *name == flag)?;
    Some((row.1, row.2, row.3))
}

fn told(pages: &Pages, host: &str, counts: Counts, flags: &SortedMap<&str, u64>) -> Diagnosis {
    let mut flags: Vec<(&str, u64)> = flags.iter().map(|(flag, count)| (*flag, *count)).collect();
    crate::core::sorted::sort_by_key(&mut flags, |(_, count)| std::cmp::Reverse(*count));
    let total = flags.iter().map(|(_, count)| *count).fold(0, u64::saturating_add);
    let nothing_got_through =
        flags.iter().any(|(flag, _)| meaning(flag).is_some_and(|(_, nothing, _)| nothing));
    let each = flags.iter().map(|(flag, count)| match meaning(flag) {
        Some((words, ..)) => format!("{count} {flag}, {words}"),
        None => format!("{count} {flag}"),
    });
    let noun = if counts == Counts::Connections { "connection" } else { "request" };
    let host = if host.is_empty() { "an unnamed host" } else { host };
    let remedies =
        flags.iter().filter_map(|(flag, _)| Some(format!("{flag}: {}", meaning(flag)?.2)));
    let mut remedies: Vec<String> = remedies.take(2).collect();
    if remedies.is_empty() {
        remedies.push("look these flags up in Envoy's access log documentation".to_owned());
    }
    let finding = Finding {
        code: Code::RequestsFailedInProxy,
        severity: if nothing_got_through { Severity::Error } else { Severity::Warning },
        seen: format!(
            "{} this proxy ended {} to {host} by itself ({})",
            pages.since(),
            counted(total, noun),
            listed(each)
        ),
        why: "so the application got an error that the service behind that name never sent"
            .to_owned(),
        remedy: remedies.join("; "),
        source: "istio_requests_total and istio_tcp_connections_opened_total of this proxy, by \
                 response_flags; they count from its start",
    };
    let finding = Diagnosis::from(finding).number("failed", total);
    finding.on(Some(host.to_owned()), "")
}
