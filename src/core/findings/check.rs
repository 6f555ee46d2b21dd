//! What `meshim check` judges: the list of its judges.
//!
//! Owns the list and its order; each judge has a file of its own. Must never look at anything.

use crate::core::findings::finding::Finding;
use crate::core::findings::judged::Judged;
use crate::core::findings::listen::{judge, past_the_proxy};
use crate::core::findings::pod::Pod;
use crate::core::findings::{identity, readiness};

/// A judge: what it judges, and the judgement.
pub type CheckJudge = (&'static str, fn(&Pod) -> Judged);

/// All of them, in the order in which a person would ask.
pub const JUDGES: &[CheckJudge] = &[
    ("readiness", readiness::judge),
    ("identity", identity::judge),
    ("listen addresses", judge::for_real),
    ("excluded ports", past_the_proxy::excluded_ports),
    ("interception", past_the_proxy::interception),
    ("IPv6", past_the_proxy::ipv6),
];

/// What all judges came to.
#[derive(Clone, Debug, Default)]
pub struct CheckVerdict {
    /// The worst first; of equals, in the judges' order.
    pub findings: Vec<Finding>,
    /// What could not be seen; each sentence once.
    pub not_seen: Vec<String>,
    /// How many judges there are.
    pub judges: usize,
    /// The judges that could not look, or not at everything.
    pub blind: Vec<&'static str>,
}

/// Asks every judge.
#[must_use]
pub fn judge_all(judges: &[CheckJudge], pod: &Pod) -> CheckVerdict {
    let mut verdict = CheckVerdict { judges: judges.len(), ..CheckVerdict::default() };
    for (name, judge) in judges {
        let Judged { findings, not_seen } = judge(pod);
        verdict.findings.extend(findings);
        if !not_seen.is_empty() {
            verdict.blind.push(name);
        }
        for sentence in not_seen {
            if !verdict.not_seen.contains(&sentence) {
                verdict.not_seen.push(sentence);
            }
        }
    }
    crate::core::sorted::sort_by_key(&mut verdict.findings, |finding| {
        std::cmp::Reverse(finding.severity)
    });
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::findings::codes::Code;
    use crate::core::findings::finding::Severity;
    use crate::core::mesh::Mesh;
    use crate::core::proxy::Proxy;

    fn finding(severity: Severity) -> Finding {
        let (seen, why, remedy) = (String::new(), String::new(), String::new());
        Finding { code: Code::NobodyListens, severity, seen, why, remedy, source: "" }
    }

    #[test]
    fn the_worst_comes_first_and_each_sentence_once() {
        const JUDGES: &[CheckJudge] = &[
            ("a", |_| vec![finding(Severity::Warning)].into()),
            ("b", |_| Judged::blind("x".to_owned())),
            ("c", |_| Judged::blind("x".to_owned())),
            ("d", |_| vec![finding(Severity::Error)].into()),
        ];
        let verdict = judge_all(JUDGES, &Pod::of(Proxy::of(Mesh::None)));
        let severities: Vec<Severity> =
            verdict.findings.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Error, Severity::Warning]);
        assert_eq!((verdict.not_seen.len(), verdict.judges), (1, 4));
        assert_eq!(verdict.blind, ["b", "c"]);
    }
}
