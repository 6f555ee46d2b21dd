//! The report as one JSON object in one line; `docs/doctor.schema.json` is its contract.
//!
//! Owns the form; must never judge, and never print.

use serde_json::{Map, Value};

use crate::core::findings::doctor::diagnosis::Diagnosis;
use crate::core::findings::doctor::report::{Blind, Report};

/// The whole report.
#[must_use]
pub fn json(report: &Report) -> String {
    let subject = &report.subject;
    let optional = |text: &Option<String>| text.clone().map_or(Value::Null, Value::String);
    let proxy = object([
        ("mesh", subject.mesh.into()),
        ("name", optional(&subject.node)),
        ("istio_version", optional(&subject.istio_version)),
        ("envoy_version", optional(&subject.envoy_version)),
        ("state", optional(&subject.state)),
        ("uptime_s", subject.uptime.map_or(Value::Null, |uptime| uptime.as_secs().into())),
    ]);
    let whole = object([
        ("ok", report.is_ok().into()),
        ("verdict", report.verdict().into()),
        ("judges", report.judges.into()),
        ("could_not_look", report.blind_judges().into()),
        ("proxy", proxy),
        ("findings", report.found.iter().map(finding).collect()),
        ("not_seen", report.blind.iter().map(blind).collect()),
    ]);
    format!("{whole}\n")
}

fn finding(diagnosis: &Diagnosis) -> Value {
    let finding = &diagnosis.finding;
    let optional = |text: Option<&str>| text.map_or(Value::Null, Value::from);
    let numbers =
        diagnosis.numbers.iter().map(|(name, number)| ((*name).to_owned(), (*number).into()));
    object([
        ("code", finding.code.name().into()),
        ("severity", finding.severity_name().into()),
        ("resource", optional(diagnosis.resource.as_deref())),
        ("field", optional(diagnosis.field)),
        ("seen", finding.seen.as_str().into()),
        ("why", finding.why.as_str().into()),
        ("remedy", finding.remedy.as_str().into()),
        ("snippet", optional(diagnosis.snippet.as_deref())),
        ("source", finding.source.into()),
        ("numbers", Value::Object(numbers.collect())),
    ])
}

fn blind(blind: &Blind) -> Value {
    object([
        ("judge", blind.judge.into()),
        ("reason", blind.reason.into()),
        ("why", blind.why.as_str().into()),
        ("partial", blind.is_partial.into()),
    ])
}

fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::findings::check::Verdict as Check;
    use crate::core::findings::doctor::fixtures::{fixture, healthy, with_routes};
    use crate::core::findings::doctor::judges::judge;

    #[test]
    fn numbers_are_numbers_and_what_is_unknown_is_null() {
        let pages = with_routes(healthy(), fixture!("missing-subset.routes.json"));
        let line = json(&Report::of(&pages, judge(&pages), Check::default()));
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
