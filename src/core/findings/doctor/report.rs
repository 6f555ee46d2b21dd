//! All that a run of the doctor tells.
//!
//! Owns the sum and its one-line verdict; the forms are in `text` and `json`. Must never judge.

use std::time::Duration;

use crate::core::findings::check::CheckVerdict;
use crate::core::findings::doctor::diagnosis::Diagnosis;
use crate::core::findings::doctor::judges::DoctorVerdict;
use crate::core::findings::doctor::names::counted;
use crate::core::findings::doctor::pages::Pages;
use crate::core::findings::doctor::when::spoken;
use crate::core::findings::finding::Severity;
use crate::core::mesh::Mesh;
use crate::core::sorted::SortedSet;

/// What `check`'s judges are called among those that could not look.
const CHECK: &str = "check";

/// The proxy that was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Which mesh's it is, as `--mesh` names it.
    pub mesh: &'static str,
    /// What it calls itself.
    pub node: Option<String>,
    /// Istio's version, where it is Istio's.
    pub istio_version: Option<String>,
    /// Envoy's version.
    pub envoy_version: Option<String>,
    /// How far it is.
    pub state: Option<String>,
    /// How long it has run.
    pub uptime: Option<Duration>,
}

/// A judge that could not look, or not at everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blind {
    /// Its code.
    pub judge: &'static str,
    /// Why, as a word for machines.
    pub reason: &'static str,
    /// Why, in words.
    pub why: String,
    /// It has looked at a part.
    pub is_partial: bool,
}

/// What was found, of what, and what could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoctorReport {
    /// Of which proxy.
    pub subject: Subject,
    /// The worst first.
    pub found: Vec<Diagnosis>,
    /// Who could not look.
    pub blind: Vec<Blind>,
    /// How many judges there are, `check`'s among them.
    pub judges: usize,
    /// How many of `check`'s could not look, or not at everything.
    blind_in_check: usize,
}

impl DoctorReport {
    /// Puts the doctor's findings and `check`'s together.
    #[must_use]
    pub fn of(pages: &Pages, verdict: DoctorVerdict, check: CheckVerdict) -> Self {
        let blind = verdict.not_seen.into_iter().map(|(code, why, is_partial)| Blind {
            judge: code.name(),
            reason: why.name(),
            why: why.to_string(),
            is_partial,
        });
        let of_check = check.not_seen.into_iter().map(|why| Blind {
            judge: CHECK,
            reason: "system",
            why,
            is_partial: true,
        });
        let mut found: Vec<Diagnosis> = check.findings.into_iter().map(Diagnosis::from).collect();
        found.extend(verdict.found);
        crate::core::sorted::sort_by_key(&mut found, |found| {
            std::cmp::Reverse(found.finding.severity)
        });
        let blind = blind.chain(of_check).collect();
        Self {
            subject: Subject::of(pages),
            found,
            blind,
            judges: verdict.judges + check.judges,
            blind_in_check: check.blind.len(),
        }
    }

    /// Is there an error among the findings?
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// Is all well, as far as every judge could see? The rule of `check`'s report, too.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        !self.has_errors() && self.blind_judges() + self.partly_blind_judges() == 0
    }

    /// How many findings are that bad.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        self.found.iter().filter(|found| found.finding.severity == severity).count() as u64
    }

    /// How many judges could not look at all.
    #[must_use]
    pub fn blind_judges(&self) -> usize {
        let wholly = self.blind.iter().filter(|blind| !blind.is_partial);
        wholly.map(|blind| blind.judge).collect::<SortedSet<&str>>().len()
    }

    /// How many have looked at a part.
    fn partly_blind_judges(&self) -> usize {
        let partly = self.blind.iter().filter(|blind| blind.is_partial && blind.judge != CHECK);
        partly.map(|blind| blind.judge).collect::<SortedSet<&str>>().len() + self.blind_in_check
    }

    /// The sum in one line: never "ok" beside judges that could not look.
    #[must_use]
    pub fn verdict(&self) -> String {
        let counts = [
            (self.count(Severity::Error), "error"),
            (self.count(Severity::Warning), "warning"),
            (self.count(Severity::Info), "note"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, noun)| counted(*count, noun)).collect();
        let found = match (counts.is_empty(), self.has_errors()) {
            (true, _) => "nothing wrong seen".to_owned(),
            (false, true) => format!("NOT OK: {}", counts.join(", ")),
            (false, false) if self.count(Severity::Warning) == 0 => {
                format!("nothing wrong seen, {}", counts.join(", "))
            }
            (false, false) => counts.join(", "),
        };
        match (self.blind_judges(), self.partly_blind_judges()) {
            (0, 0) => format!("{found}; all {} judges could look", self.judges),
            (0, part) => {
                format!("{found}; {part} of {} could not look at everything", self.judges)
            }
            (blind, 0) => format!("{found}; {blind} of {} could not look", self.judges),
            (blind, part) => {
                format!(
                    "{found}; {blind} of {} could not look, {part} not at everything",
                    self.judges
                )
            }
        }
    }
}

impl Subject {
    fn of(pages: &Pages) -> Self {
        let manifest = pages.manifest.as_ref().ok();
        let server = manifest.map(|manifest| &manifest.server);
        Self {
            mesh: pages.mesh.profile().name,
            node: manifest.and_then(|manifest| manifest.node.clone()),
            istio_version: server.and_then(|server| server.istio_version.clone()),
            envoy_version: server.and_then(|server| server.envoy_version.clone()),
            state: server.and_then(|server| server.state.as_ref()).map(ToString::to_string),
            uptime: manifest.and_then(|manifest| manifest.uptime),
        }
    }

    /// `istio 1.28.0, Envoy 1.40.0, LIVE for 3 h`
    #[must_use]
    pub fn line(&self) -> String {
        let mut parts = vec![match &self.istio_version {
            Some(version) => format!("{} {version}", self.mesh),
            None if self.mesh == Mesh::None.profile().name => "no mesh's proxy".to_owned(),
            None => self.mesh.to_owned(),
        }];
        parts.extend(self.envoy_version.as_ref().map(|version| format!("Envoy {version}")));
        let uptime = self.uptime.map(|uptime| format!("up {}", spoken(uptime)));
        parts.extend(self.state.clone());
        parts.extend(uptime);
        parts.join(", ")
    }
}
