//! The list of all judges of the doctor. A new one is a file, a row here, a row in
//! `core/findings/codes.rs` and a section of docs/findings.md.
//!
//! Owns the list and the order of their findings; must never judge by itself.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen};
use crate::core::findings::doctor::pages::Pages;
use crate::core::findings::doctor::{
    annotations, authorization, capture, certificates, control_plane, debug_logging, draining,
    failed_requests, faults, http10, memory, plaintext, probes, rejected, restarted, retries,
    routes, runtime, sniffed, tracing, unknown_destination, whole_mesh,
};

/// A pure function from what was read to what is wrong; it answers with findings of its own code.
pub type DoctorJudge = fn(&Pages) -> Diagnosed;

/// Every judge, by its code.
pub const JUDGES: &[(Code, DoctorJudge)] = &[
    (Code::RouteToMissingCluster, routes::missing),
    (Code::ConfigRejected, rejected::judge),
    (Code::FaultInjected, faults::judge),
    (Code::AuthorizationDeniesAll, authorization::judge),
    (Code::Certificate, certificates::judge),
    (Code::ClockSkew, certificates::clock),
    (Code::ControlPlaneLost, control_plane::judge),
    (Code::ProxyDraining, draining::judge),
    (Code::RouteToEmptyCluster, routes::empty),
    (Code::RequestsFailedInProxy, failed_requests::judge),
    (Code::TrafficBypassesProxy, capture::judge),
    (Code::PlaintextAccepted, plaintext::judge),
    (Code::UnknownDestination, unknown_destination::judge),
    (Code::ProxyRestarted, restarted::judge),
    (Code::ProxyMemory, memory::judge),
    (Code::ConfigOfWholeMesh, whole_mesh::judge),
    (Code::PortProtocolSniffed, sniffed::judge),
    (Code::RetriesUnsafe, retries::not_safe),
    (Code::RetryBudget, retries::budget),
    (Code::RuntimeOverridden, runtime::judge),
    (Code::TracingSamplesAll, tracing::judge),
    (Code::DebugLogging, debug_logging::judge),
    (Code::ProbesNotRewritten, probes::judge),
    (Code::AnnotationUnknown, annotations::judge),
    (Code::Http10Refused, http10::judge),
];

/// What all judges came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoctorVerdict {
    /// The worst first; those of one severity in the judges' order.
    pub found: Vec<Diagnosis>,
    /// Which judge could not look, why, and whether it has looked at a part.
    pub not_seen: Vec<(Code, NotSeen, bool)>,
    /// How many judges there are.
    pub judges: usize,
}

/// Asks every judge.
#[must_use]
pub fn judge(pages: &Pages) -> DoctorVerdict {
    let mut verdict = DoctorVerdict { judges: JUDGES.len(), ..DoctorVerdict::default() };
    for (code, judge) in JUDGES {
        match judge(pages) {
            Ok(seen) => {
                verdict.found.extend(seen.found);
                verdict.not_seen.extend(seen.beside.map(|why| (*code, why, true)));
            }
            Err(why) => verdict.not_seen.push((*code, why, false)),
        }
    }
    crate::core::sorted::sort_by_key(&mut verdict.found, |found| {
        std::cmp::Reverse(found.finding.severity)
    });
    verdict
}

#[cfg(test)]
mod tests {
    use crate::core::sorted::SortedSet;
    use std::time::Duration;

    use super::*;
    use crate::core::envoy::listeners::ListenersPage;
    use crate::core::findings::doctor::fixtures::{
        fixture, found, healthy, read, troubles, with_routes,
    };
    use crate::core::findings::finding::Severity;
    use crate::core::mesh::Mesh;

    #[test]
    fn every_code_of_the_doctor_has_one_judge() {
        let codes: SortedSet<Code> = JUDGES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes.len(), JUDGES.len());
        let first = Code::ALL.iter().position(|code| *code == JUDGES[0].0).expect("it is one");
        // Behind the codes of `check` stand those of the doctor, and nothing else.
        assert_eq!(codes, Code::ALL[first..].iter().copied().collect());
    }

    #[test]
    fn nothing_is_wrong_with_a_healthy_sidecar() {
        let verdict = judge(&healthy());
        let troubles: Vec<&Diagnosis> =
            verdict.found.iter().filter(|found| found.finding.severity > Severity::Info).collect();
        assert!(troubles.is_empty(), "{troubles:#?}");
        assert!(verdict.not_seen.is_empty(), "{:#?}", verdict.not_seen);
    }

    #[test]
    fn each_pitfall_of_a_real_sidecar_is_found_and_nothing_else() {
        let mut rejected = healthy();
        rejected.listeners = Ok(read::<ListenersPage>(fixture!("rejected.listeners.json")));
        let mut authz = healthy();
        authz.listeners = Ok(read::<ListenersPage>(fixture!("authz-tcp.listeners.json")));
        let missing = with_routes(healthy(), fixture!("missing-subset.routes.json"));
        let fault = with_routes(healthy(), fixture!("fault.routes.json"));
        let mut ingress = healthy();
        ingress.listeners = Ok(read::<ListenersPage>(fixture!("sidecar-ingress.listeners.json")));
        let table = [
            (rejected, vec![Code::ConfigRejected]),
            (authz, vec![Code::AuthorizationDeniesAll]),
            (missing, vec![Code::RouteToMissingCluster; 4]),
            (fault, vec![Code::FaultInjected; 2]),
            (ingress, vec![]),
        ];
        for (pages, expected) in table {
            assert_eq!(troubles(&pages), expected);
        }
    }

    #[test]
    fn who_could_not_look_says_so() {
        let unread = Pages::unread(Mesh::Istio, Duration::ZERO, &NotSeen::NoProxy);
        let verdict = judge(&unread);
        assert!(verdict.found.is_empty());
        let silent: Vec<Code> = verdict.not_seen.iter().map(|(code, ..)| *code).collect();
        assert_eq!(silent, JUDGES.iter().map(|(code, _)| *code).collect::<Vec<Code>>());
        for (code, why, is_partial) in &verdict.not_seen {
            assert_eq!((why, *is_partial), (&NotSeen::NoProxy, false), "{code}");
        }
    }

    #[test]
    fn a_proxy_that_is_still_loading_has_no_missing_clusters() {
        let mut pages = with_routes(healthy(), fixture!("missing-subset.routes.json"));
        pages.manifest.as_mut().unwrap().uptime = Some(Duration::from_secs(3));
        let blind = judge(&pages).not_seen;
        assert!(
            blind.iter().any(|(code, why, _)| {
                *code == Code::RouteToMissingCluster && matches!(why, NotSeen::Loading(_))
            }),
            "{blind:?}"
        );
        assert!(troubles(&pages).is_empty());
    }

    #[test]
    fn the_worst_comes_first() {
        let mut pages = with_routes(healthy(), fixture!("missing-subset.routes.json"));
        pages.runtime = Ok(vec!["a".to_owned()]);
        let severities: Vec<Severity> =
            judge(&pages).found.iter().map(|found| found.finding.severity).collect();
        assert!(severities.is_sorted_by(|one, other| one >= other), "{severities:?}");
        assert_eq!(found(&pages, Code::RuntimeOverridden).len(), 1);
    }
}
