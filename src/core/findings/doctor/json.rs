//! The report as one JSON object in one line; `docs/doctor.schema.json` is its contract.
//!
//! Owns the form; must never judge, and never print.

use crate::core::findings::doctor::diagnosis::Diagnosis;
use crate::core::findings::doctor::report::{Blind, DoctorReport};

/// The whole report.
#[must_use]
pub fn json(report: &DoctorReport) -> String {
    let subject = &report.subject;
    let proxy = object(&[
        ("mesh", quoted(subject.mesh)),
        ("name", optional(subject.node.as_deref())),
        ("istio_version", optional(subject.istio_version.as_deref())),
        ("envoy_version", optional(subject.envoy_version.as_deref())),
        ("state", optional(subject.state.as_deref())),
        ("uptime_s", subject.uptime.map_or_else(null, |uptime| uptime.as_secs().to_string())),
    ]);
    let findings: Vec<String> = report.found.iter().map(finding).collect();
    let blind: Vec<String> = report.blind.iter().map(blind).collect();
    let whole = object(&[
        ("ok", report.is_ok().to_string()),
        ("verdict", quoted(&report.verdict())),
        ("judges", report.judges.to_string()),
        ("could_not_look", report.blind_judges().to_string()),
        ("proxy", proxy),
        ("findings", format!("[{}]", findings.join(","))),
        ("not_seen", format!("[{}]", blind.join(","))),
    ]);
    whole + "\n"
}

fn finding(diagnosis: &Diagnosis) -> String {
    let finding = &diagnosis.finding;
    let numbers = diagnosis.numbers.iter().map(|(name, number)| (*name, number.to_string()));
    let numbers: Vec<(&str, String)> = numbers.collect();
    object(&[
        ("code", quoted(finding.code.name())),
        ("severity", quoted(finding.severity_name())),
        ("resource", optional(diagnosis.resource.as_deref())),
        ("field", optional(diagnosis.field)),
        ("seen", quoted(&finding.seen)),
        ("why", quoted(&finding.why)),
        ("remedy", quoted(&finding.remedy)),
        ("snippet", optional(diagnosis.snippet.as_deref())),
        ("source", quoted(finding.source)),
        ("numbers", object(&numbers)),
    ])
}

fn blind(blind: &Blind) -> String {
    object(&[
        ("judge", quoted(blind.judge)),
        ("reason", quoted(blind.reason)),
        ("why", quoted(&blind.why)),
        ("partial", blind.is_partial.to_string()),
    ])
}

/// A JSON object of members that are JSON already.
fn object(members: &[(&str, String)]) -> String {
    let members = members.iter().map(|(name, json)| format!("\"{name}\":{json}"));
    format!("{{{}}}", members.collect::<Vec<String>>().join(","))
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(null, quoted)
}

fn null() -> String {
    "null".to_owned()
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::core::findings::check::CheckVerdict;
    use crate::core::findings::doctor::fixtures::{fixture, healthy, with_routes};
    use crate::core::findings::doctor::judges::judge;

    #[test]
    fn numbers_are_numbers_and_what_is_unknown_is_null() {
        let pages = with_routes(healthy(), fixture!("missing-subset.routes.json"));
        let line = json(&DoctorReport::of(&pages, judge(&pages), CheckVerdict::default()));
        assert_eq!(line.matches('\n').count(), 1);
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&read["ok"], &read["judges"]), (&Value::Bool(false), &Value::from(25)));
        assert_eq!(read["proxy"]["uptime_s"], 10_800);
        let first = &read["findings"][0];
        assert_eq!(first["code"], "route-to-missing-cluster");
        assert_eq!(first["resource"], "VirtualService shop/reviews");
        assert_eq!(first["field"], "spec.http[].route[].destination");
        assert_eq!(first["numbers"]["failed"], 0);
        let last = read["findings"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&last["severity"], &last["code"]),
            (&"info".into(), &"port-protocol-sniffed".into())
        );
    }
}
