//! Fault injection that was left on.
//!
//! Owns the judgement; must never report the filter's mere presence, since Istio puts it into every
//! chain.

use crate::core::envoy::fault_filter::FaultFilter;
use crate::core::envoy::istio_series::Series;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::Resource;
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// From this share of unmarked requests on, in millionths, it breaks the application.
const BREAKS_FROM: u64 = 10_000;

/// How many findings are told.
const MOST_TOLD: usize = 20;

/// Faults on routes, and in listeners.
///
/// # Errors
/// The routes could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    let routes = page(&pages.routes)?;
    let mut found: Vec<Diagnosis> = Vec::new();
    for route in &routes.routes {
        let Some(fault) = route.fault.as_ref().filter(|fault| fault.is_on()) else { continue };
        let resource = route.config.as_deref().and_then(Resource::of_config);
        let is_conditional = route.is_conditional || fault.is_conditional;
        let place = format!("the route {} of {}", route.path, route.host);
        let resource = resource.map(|resource| resource.to_string());
        let field = if resource.is_some() { "spec.http[].fault" } else { "" };
        found.push(told(pages, &place, fault, is_conditional).on(resource, field));
    }
    let chains = pages.listeners.iter().flat_map(|listeners| &listeners.chains);
    let mut places: Vec<(String, &FaultFilter)> = Vec::new();
    for chain in chains {
        let Some(fault) = chain.fault.as_ref().filter(|fault| fault.is_on()) else { continue };
        let port = chain.port.map(|port| format!(", port {port}")).unwrap_or_default();
        let place = format!("the listener {}{port}", chain.listener);
        if !places.iter().any(|(known, _)| *known == place) {
            places.push((place, fault));
        }
    }
    let in_listeners =
        places.iter().map(|(place, fault)| told(pages, place, fault, fault.is_conditional));
    found.extend(in_listeners);
    let is_cut = routes.is_cut || found.len() > MOST_TOLD;
    found.truncate(MOST_TOLD);
    let cut = is_cut.then_some(NotSeen::Cut("the routes"));
    Ok(Seen::from(found).but(cut.or(pages.listeners.as_ref().err().cloned())))
}

fn told(pages: &Pages, place: &str, fault: &FaultFilter, is_conditional: bool) -> Diagnosis {
    let aborts = (fault.aborts > 0).then(|| {
        let status = fault.status.map_or_else(String::new, |status| format!(" with {status}"));
        format!("aborts {}% of the requests{status}", rounded(fault.aborts))
    });
    let delays = (fault.delays > 0).then(|| {
        let by = fault.delay.as_ref().map_or_else(String::new, |delay| format!(" by {delay}"));
        format!("delays {}% of the requests{by}", rounded(fault.delays))
    });
    let what: Vec<String> = aborts.into_iter().chain(delays).collect();
    let breaks = fault.aborts.max(fault.delays) >= BREAKS_FROM && !is_conditional;
    let marked = if is_conditional { ", of those that match its headers" } else { "" };
    let injected = injected(pages);
    let so_far = if injected > 0 { format!(" ({injected} in all so far)") } else { String::new() };
    let remedy = if pages.mesh == Mesh::Kuma {
        "remove the MeshFaultInjection that selects this proxy"
    } else {
        "remove the fault from the VirtualService, or from the EnvoyFilter that put it there"
    };
    let finding = Finding {
        code: Code::FaultInjected,
        severity: if breaks { Severity::Error } else { Severity::Warning },
        seen: format!("{place} {}{marked}", what.join(" and ")),
        why: format!("so the proxy itself makes requests fail or wait, on purpose{so_far}"),
        remedy: remedy.to_owned(),
        source: "the fault filter's settings in this proxy's own configuration (config_dump)",
    };
    Diagnosis::from(finding).number("injected", injected)
}

fn injected(pages: &Pages) -> u64 {
    let series = pages.counters.iter().flat_map(|counters| &counters.series);
    let by_fault = series.filter(|series: &&Series| series.has("FI") || series.has("DI"));
    by_fault.map(|series| series.count).fold(0, u64::saturating_add)
}

/// Millionths as a percentage, without needless digits.
fn rounded(millionths: u64) -> String {
    let (whole, rest) = (millionths / 10_000, millionths % 10_000);
    let text = format!("{whole}.{rest:04}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_have_no_needless_digits() {
        for (millionths, expected) in
            [(1_000_000, "100"), (5_000, "0.5"), (10_100, "1.01"), (1, "0.0001")]
        {
            assert_eq!(rounded(millionths), expected);
        }
    }
}
