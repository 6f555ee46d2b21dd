//! Findings for a reader: as text that a person reads in ten seconds, or as one JSON object.
//!
//! Owns the form; must never judge, and never print.

use std::fmt::Write as _;

use crate::core::findings::finding::{Finding, Severity};

/// What one look at the pod came to.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What the judgement rests on: a name and a sentence each.
    pub facts: Vec<(&'static str, String)>,
    /// What could not be seen, and what that means for the judgement.
    pub not_seen: Vec<String>,
    /// How many judges were asked.
    pub judges: usize,
    /// The judges that could not look, or not at everything.
    pub blind: Vec<&'static str>,
}

impl CheckReport {
    /// Is there an error among the findings?
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Is all well, as far as every judge could see?
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.has_errors() && self.blind.is_empty()
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    /// One line. It never says "ok" where somebody could not look.
    fn verdict(&self) -> String {
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let counts = format!("{}, {}", counted(errors, "error"), counted(warnings, "warning"));
        let blind = match self.blind.len() {
            0 => String::new(),
            count => format!(
                "; {count} of {} checks could not look ({})",
                self.judges,
                self.blind.join(", ")
            ),
        };
        match (errors, warnings) {
            (1.., _) => format!("NOT OK: {counts}{blind}"),
            _ if blind.is_empty() => format!("ok: {counts}"),
            (_, 0) => format!("nothing wrong seen{blind}"),
            _ => format!("no error seen, {}{blind}", counted(warnings, "warning")),
        }
    }

    /// The verdict, the findings, each with its remedy, then what they rest on.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n\n", self.verdict());
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
        let blind: Vec<String> = self.blind.iter().map(|name| quoted(name)).collect();
        format!(
            "{{\"ok\":{},\"findings\":[{}],\"facts\":{},\"not_seen\":[{}],\"checks\":{},\
             \"could_not_look\":[{}]}}\n",
            self.is_ok(),
            findings.join(","),
            object(&facts),
            not_seen.join(","),
            self.judges,
            blind.join(",")
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

    fn report(severity: Severity) -> CheckReport {
        let finding = Finding {
            code: Code::ListensElsewhere,
            severity,
            seen: "it is \"so\"".to_owned(),
            why: "that breaks".to_owned(),
            remedy: "do this".to_owned(),
            source: "a source",
        };
        CheckReport {
            findings: vec![finding],
            facts: vec![("pod addresses", "10.0.0.5".to_owned())],
            not_seen: vec!["x".to_owned()],
            judges: 2,
            blind: vec!["a check"],
        }
    }

    #[test]
    fn text_begins_with_the_verdict_then_the_finding_and_its_remedy() {
        let text = report(Severity::Error).text();
        let verdict = "NOT OK: 1 error, 0 warnings; 1 of 2 checks could not look (a check)";
        let finding = "error: it is \"so\"\n  why: that breaks\n  fix: do this\n";
        assert!(text.starts_with(&format!("{verdict}\n\n{finding}")), "{text}");
        assert!(text.ends_with("pod addresses: 10.0.0.5\nnot seen: x\n"), "{text}");
    }

    #[test]
    fn the_verdict_is_never_ok_beside_somebody_who_could_not_look() {
        let blind = "; 1 of 2 checks could not look (a check)";
        let warned = report(Severity::Warning);
        assert_eq!(warned.verdict(), format!("no error seen, 1 warning{blind}"));
        assert!(!warned.is_ok() && !warned.has_errors());
        let quiet = CheckReport { findings: Vec::new(), ..warned.clone() };
        assert_eq!(quiet.verdict(), format!("nothing wrong seen{blind}"));
        let all_seen = CheckReport { blind: Vec::new(), ..warned };
        assert_eq!(all_seen.verdict(), "ok: 0 errors, 1 warning");
        assert!(all_seen.is_ok());
    }

    #[test]
    fn json_is_one_line_that_reads_back() {
        let line = report(Severity::Warning).json();
        assert_eq!(line.matches('\n').count(), 1);
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["ok"], false);
        assert_eq!(read["could_not_look"][0], "a check");
        assert_eq!(read["findings"][0]["seen"], "it is \"so\"");
        assert_eq!(read["facts"]["pod_addresses"], "10.0.0.5");
    }
}
