//! Holds a report against `docs/doctor.schema.json`: the few words of JSON Schema that it uses.

use serde_json::Value;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/doctor.schema.json");

/// Fails where the report does not fit.
#[track_caller]
pub(crate) fn holds(report: &Value) {
    let schema = std::fs::read_to_string(SCHEMA).expect("it is there");
    let schema: Value = serde_json::from_str(&schema).expect("it is JSON");
    let mut wrong = Vec::new();
    hold("report", report, &schema, &mut wrong);
    assert!(wrong.is_empty(), "docs/doctor.schema.json:\n{}\n{report:#}", wrong.join("\n"));
}

fn hold(at: &str, value: &Value, schema: &Value, wrong: &mut Vec<String>) {
    let known = ["type", "enum", "properties", "required", "items", "additionalProperties"];
    let words = schema.as_object().expect("a schema is an object").keys();
    for word in words.filter(|word| !matches!(word.as_str(), "$schema" | "title" | "description")) {
        assert!(known.contains(&word.as_str()), "the schema has `{word}`, which nobody holds");
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.is_empty() && !kinds.contains(&kind) {
        wrong.push(format!("{at} is {kind}, and not one of {kinds:?}"));
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        wrong.push(format!("{at} is {value}, and not one of {words:?}"));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            wrong.push(format!("{at} has no {name}"));
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => wrong.push(format!("{at} has {name}")),
            (Value::Null, Value::Object(_)) => {
                hold(&format!("{at}.{name}"), member, &schema["additionalProperties"], wrong);
            }
            (Value::Null, _) => {}
            (schema, _) => hold(&format!("{at}.{name}"), member, schema, wrong),
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        hold(&format!("{at}[{index}]"), item, &schema["items"], wrong);
    }
}
