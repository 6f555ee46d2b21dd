//! Findings for a reader: as text that a person reads in ten seconds, or as one JSON object.
//!
//! Owns the form; must never judge, and never print.

use std::fmt::Write as _;

use crate::core::findings::finding::{Finding, Severity};

/// What one look at the pod came to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What the judgement rests on: a name and a sentence each.
    pub facts: Vec<(&'static str, String)>,
    /// What could not be seen, and what that means for the judgement.
    pub not_seen: Vec<String>,
}

impl Report {
    /// Is there no error among the findings?
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.count(Severity::Error) == 0
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// The findings first, each with its remedy; then what they rest on.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            let _ = write!(
                text,
                "{}: {}\n  why: {}\n  fix: {}\n  [{}; {}]\n\n",
                finding.severity_name(),
                finding.seen,
                finding.why,
                finding.remedy,
                finding.code,
                finding.source
            );
        }
        let verdict = if self.is_ok() { "ok" } else { "NOT OK" };
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let _ = writeln!(
            text,
            "{verdict}: {}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        );
        for (name, fact) in &self.facts {
            let _ = writeln!(text, "{name}: {fact}");
        }
        for not_seen in &self.not_seen {
            let _ = writeln!(text, "not seen: {not_seen}");
        }
        text
    }

    /// One object in one line.
    #[must_use]
    pub fn json(&self) -> String {
        let finding = |finding: &Finding| {
            let severity = finding.severity_name();
            object(&[
                ("code", finding.code.name()),
                ("severity", severity),
                ("seen", &finding.seen),
                ("why", &finding.why),
                ("remedy", &finding.remedy),
                ("source", finding.source),
            ])
        };
        let findings: Vec<String> = self.findings.iter().map(finding).collect();
        let facts: Vec<(&str, &str)> =
            self.facts.iter().map(|(name, fact)| (*name, fact.as_str())).collect();
        let not_seen: Vec<String> = self.not_seen.iter().map(|text| quoted(text)).collect();
        format!(
            "{{\"ok\":{},\"findings\":[{}],\"facts\":{},\"not_seen\":[{}]}}\n",
            self.is_ok(),
            findings.join(","),
            object(&facts),
            not_seen.join(",")
        )
    }
}

/// A JSON object of texts; a space in a name becomes `_`.
fn object(members: &[(&str, &str)]) -> String {
    let members = members
        .iter()
        .map(|(name, text)| format!("{}:{}", quoted(&name.replace(' ', "_")), quoted(text)));
    format!("{{{}}}", members.collect::<Vec<String>>().join(","))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::findings::codes::Code;

    fn report(severity: Severity) -> Report {
        let finding = Finding {
            code: Code::ListensElsewhere,
            severity,
            seen: "it is \"so\"".to_owned(),
            why: "that breaks".to_owned(),
            remedy: "do this".to_owned(),
            source: "a source",
        };
        Report {
            findings: vec![finding],
            facts: vec![("pod addresses", "10.0.0.5".to_owned())],
            not_seen: vec!["x".to_owned()],
        }
    }

    #[test]
    fn text_begins_with_the_finding_and_its_remedy() {
        let text = report(Severity::Error).text();
        assert!(
            text.starts_with("error: it is \"so\"\n  why: that breaks\n  fix: do this\n"),
            "{text}"
        );
        assert!(
            text.contains("NOT OK: 1 error, 0 warnings\npod addresses: 10.0.0.5\nnot seen: x\n"),
            "{text}"
        );
    }

    #[test]
    fn json_is_one_line_that_reads_back() {
        let line = report(Severity::Warning).json();
        assert_eq!(line.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["ok"], true);
        assert_eq!(read["findings"][0]["seen"], "it is \"so\"");
        assert_eq!(read["facts"]["pod_addresses"], "10.0.0.5");
    }
}
