//! Configuration that the proxy was given and did not take.
//!
//! Owns the judgement; must never tell a part of the configuration itself.

use crate::core::envoy::listeners::Rejected;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::{counted, listed};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};

/// How many names one finding names.
const MOST_NAMES: usize = 5;

/// How much of Envoy's reason is told.
const MOST_DETAILS: usize = 200;

/// Rejected listeners, and rejected updates of the rest as far as anything shows them.
///
/// # Errors
/// The listeners could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    let listeners = page(&pages.listeners)?;
    let mut reasons: Vec<(String, Vec<&Rejected>)> = Vec::new();
    for rejected in &listeners.rejected {
        let reason = told(&rejected.details);
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(rejected),
            None => reasons.push((reason, vec![rejected])),
        }
    }
    let mut found: Vec<Diagnosis> =
        reasons.iter().map(|(reason, names)| listener(reason, names)).collect();
    found.extend(updates(pages));
    let cut = listeners.is_cut.then_some(NotSeen::Cut("the listeners"));
    let hidden = pages.counters.as_ref().err().cloned();
    Ok(Seen::from(found).but(cut.or(hidden)))
}

fn listener(reason: &str, rejected: &[&Rejected]) -> Diagnosis {
    let names = rejected.iter().map(|rejected| match rejected.name.as_str() {
        "" => "one without a name",
        name => name,
    });
    let more = rejected.len().saturating_sub(MOST_NAMES);
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let names = listed(names.take(MOST_NAMES));
    let attempt = rejected.iter().filter_map(|rejected| rejected.attempt.as_deref()).max();
    let at = attempt.map(|attempt| format!(" at {attempt}")).unwrap_or_default();
    let are_served = rejected.iter().all(|rejected| rejected.is_served);
    let noun = if rejected.len() == 1 { "listener" } else { "listeners" };
    let finding = Finding {
        code: Code::ConfigRejected,
        severity: Severity::Error,
        seen: format!("the proxy rejected the {noun} {names}{more}{at}: {reason}"),
        why: if are_served {
            "so it serves on with the configuration from before, and what was changed since does \
             not apply"
                .to_owned()
        } else {
            "so it does not serve what is new there, and a proxy that starts with this \
             configuration never becomes ready"
                .to_owned()
        },
        remedy:
            "undo the EnvoyFilter (or WasmPlugin, Telemetry) that caused it; the control plane's \
                 log has the same reason as NACK"
                .to_owned(),
        source: "error_state of this proxy's listeners (config_dump); it goes away with the next \
                 good update",
    };
    Diagnosis::from(finding)
        .on(None, "")
        .with("istioctl proxy-status; kubectl logs -n istio-system deploy/istiod | grep NACK")
        .number("listeners", rejected.len() as u64)
}

/// Envoy keeps no error for clusters, routes, endpoints and secrets, only counters, most of which
/// Istio hides.
fn updates(pages: &Pages) -> Option<Diagnosis> {
    let counters = pages.counters.as_ref().ok()?;
    let other = counters.rejected.iter().map(|counter| counter.count).fold(0, u64::saturating_add);
    let clusters = counters.cds.rejections;
    if clusters == 0 && other == 0 {
        return None;
    }
    let named = listed(counters.rejected.iter().take(MOST_NAMES).map(|counter| &counter.owner));
    let what = match (clusters, other) {
        (0, _) => format!("{} ({named})", counted(other, "update")),
        (_, 0) => format!("{} of its clusters", counted(clusters, "update")),
        _ => {
            format!("{} of its clusters and {other} others ({named})", counted(clusters, "update"))
        }
    };
    let finding = Finding {
        code: Code::ConfigRejected,
        severity: Severity::Warning,
        seen: format!("the proxy rejected {what} {}", pages.since()),
        why: "so it may serve on with older configuration; whether it still does cannot be seen \
              from here"
            .to_owned(),
        remedy: "look for NACK in the control plane's log; it has the reason and the resource"
            .to_owned(),
        source: "this proxy's counters of rejected updates (/stats), which count from its start",
    };
    let snippet = "istioctl proxy-status; kubectl logs -n istio-system deploy/istiod | grep NACK";
    Some(
        Diagnosis::from(finding)
            .with(snippet)
            .number("rejected_clusters", clusters)
            .number("rejected_others", other),
    )
}

/// Envoy's reason without the configuration that it sometimes quotes: that begins with a brace, or
/// behind the reason in parentheses; and Lua calls a script by its first line.
fn told(details: &str) -> String {
    const SCRIPT: &str = "[string \"";
    let named = details.split_once(SCRIPT).and_then(|(before, script)| {
        Some(format!("{before}[string{}", &script[script.find("\"]:")? + 1..]))
    });
    let details = named.as_deref().unwrap_or(details);
    let end = details.find('{').unwrap_or(details.len());
    let mut text = &details[..end];
    if text.contains("constraint validation failed") || text.contains("arse JSON") {
        text = text.find("): ").map_or(text, |at| &text[..=at]);
    }
    let mut told: String =
        text.trim_end_matches([' ', ':', ',']).chars().take(MOST_DETAILS).collect();
    if told.len() < details.len() {
        told += " …";
    }
    if told.is_empty() { "it gives no reason".to_owned() } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_told_and_the_configuration_is_not() {
        let table = [
            (
                "script load error: [string \"f( -- hunter2\"]:1: near '<eof>'",
                "script load error: [string]:1: near '<eof>'",
            ),
            (
                "Proto constraint validation failed (X.Y: value length must be at least 1 \
                 characters): \
              name: \"hunter2\" stat_prefix: \"x\"",
                "Proto constraint validation failed (X.Y: value length must be at least 1 \
                 characters) …",
            ),
            (
                "Unable to parse JSON as proto (INVALID_ARGUMENT: x): {\"password\":\"hunter2\"}",
                "Unable to parse JSON as proto (INVALID_ARGUMENT: x) …",
            ),
            ("bad filter {password: hunter2}", "bad filter …"),
            ("", "it gives no reason"),
        ];
        for (details, expected) in table {
            assert_eq!(told(details), expected);
        }
    }
}
