//! Requests to hosts that the mesh does not know.
//!
//! Owns the judgement: where only known hosts are allowed it is a warning, where any is allowed it
//! is worth knowing. Must never name more of a request than its host.

use crate::core::envoy::istio_series::{Counts, Reporter};
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::failed_requests::hidden;
use crate::core::findings::doctor::names::{counted, listed};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::sorted::SortedMap;

const BLACK_HOLE: &str = "BlackHoleCluster";
const PASSTHROUGH: &str = "PassthroughCluster";

/// How many hosts are named.
const MOST_HOSTS: usize = 5;

/// Refused and unmanaged destinations.
///
/// # Errors
/// The counters could not be read, or this proxy does not count by destination.
pub fn judge(pages: &Pages) -> Diagnosed {
    let counters = page(&pages.counters)?;
    if !counters.has_istio_metrics {
        return Err(hidden(pages));
    }
    let refused = hosts(pages, BLACK_HOLE);
    let unmanaged = hosts(pages, PASSTHROUGH);
    let found = [
        (!refused.is_empty()).then(|| refusals(pages, &refused)),
        (!unmanaged.is_empty()).then(|| passed(pages, &unmanaged)),
    ];
    let cut = counters.is_cut.then_some(NotSeen::Cut("the hosts that this proxy calls"));
    Ok(Seen::from(found.into_iter().flatten().collect::<Vec<Diagnosis>>()).but(cut))
}

/// Hosts behind this service name: how many requests, how many connections.
fn hosts<'a>(pages: &'a Pages, service: &str) -> SortedMap<&'a str, (u64, u64)> {
    let mut hosts: SortedMap<&str, (u64, u64)> = SortedMap::new();
    for series in pages.counters.iter().flat_map(|counters| &counters.series) {
        if series.service_name != service || series.reporter != Reporter::Source {
            continue;
        }
        let (requests, connections) = hosts.get_or_default(series.host.as_str());
        let count = if series.counts == Counts::Requests { requests } else { connections };
        *count = count.saturating_add(series.count);
    }
    hosts
}

/// `12 requests to api.example.com and 3 connections to unknown addresses`
fn told(hosts: &SortedMap<&str, (u64, u64)>) -> String {
    let each = hosts.iter().take(MOST_HOSTS).map(|(host, (requests, connections))| {
        let count = if *requests > 0 {
            counted(*requests, "request")
        } else {
            counted(*connections, "connection")
        };
        match *host {
            "" | "unknown" | BLACK_HOLE | PASSTHROUGH => {
                format!("{count} to addresses without a name")
            }
            host => format!("{count} to {host}"),
        }
    });
    let told = listed(each);
    match hosts.len().saturating_sub(MOST_HOSTS) {
        0 => told,
        more => format!("{told}, and more to {}", counted(more as u64, "other host")),
    }
}

fn total(hosts: &SortedMap<&str, (u64, u64)>) -> u64 {
    hosts.values().fold(0, |sum, (requests, connections)| {
        sum.saturating_add(*requests).saturating_add(*connections)
    })
}

fn refusals(pages: &Pages, hosts: &SortedMap<&str, (u64, u64)>) -> Diagnosis {
    let finding = Finding {
        code: Code::UnknownDestination,
        severity: Severity::Warning,
        seen: format!("{} were refused {} (REGISTRY_ONLY)", told(hosts), pages.since()),
        why:
            "so the application got a 502, or a closed connection on ports that no HTTP service of \
              the mesh has"
                .to_owned(),
        remedy: "if the application may call it, tell the mesh about it".to_owned(),
        source: "istio_requests_total and istio_tcp_connections_opened_total with \
                 destination_service_name BlackHoleCluster",
    };
    with_entry(finding, hosts)
}

fn passed(pages: &Pages, hosts: &SortedMap<&str, (u64, u64)>) -> Diagnosis {
    let finding = Finding {
        code: Code::UnknownDestination,
        severity: Severity::Info,
        seen: format!("{} went through unmanaged {}", told(hosts), pages.since()),
        why: "so there is no mTLS, no retry and no policy on them; for hosts outside the mesh \
              that is usual"
            .to_owned(),
        remedy: "a ServiceEntry gives them policy and a name in the metrics".to_owned(),
        source: "istio_requests_total and istio_tcp_connections_opened_total with \
                 destination_service_name PassthroughCluster",
    };
    with_entry(finding, hosts)
}

fn with_entry(finding: Finding, hosts: &SortedMap<&str, (u64, u64)>) -> Diagnosis {
    let diagnosis = Diagnosis::from(finding).number("refused_or_passed", total(hosts));
    let is_name = |host: &&&str| host.contains('.') && host.parse::<std::net::IpAddr>().is_err();
    let Some(host) = hosts.keys().find(is_name) else { return diagnosis };
    let (name, port) = host.split_once(':').unwrap_or((host, "443"));
    let protocol = if port == "443" { "TLS" } else { "HTTP" };
    diagnosis.on(Some("ServiceEntry".to_owned()), "spec.hosts").with(format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {}}}\nspec:\n  \
         hosts: [{name}]\n  location: MESH_EXTERNAL\n  resolution: DNS\n  ports: [{{number: \
         {port}, name: {}, protocol: {protocol}}}]\n",
        name.replace('.', "-"),
        protocol.to_lowercase(),
    ))
}
