//! Authorization that lets nobody in.
//!
//! Owns the judgement; must never report that single requests are refused, which is what such
//! policies are for.

use crate::core::envoy::filter_chain::{Chain, Protocol};
use crate::core::envoy::rbac::{Rbac, Whom};
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::{Resource, listed};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::doctor::ports::{Port, inbound};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;
use crate::core::sorted::{SortedMap, SortedSet};

/// What istiod puts behind a policy's name where its `CUSTOM` provider is wrong.
const BAD_CUSTOM: &str = "-deny-due-to-bad-CUSTOM-action";

/// What istiod puts before the name of a `CUSTOM` policy; the provider's name comes next.
const EXT_AUTHZ: &str = "istio-ext-authz-";

/// Why a port lets nobody in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// An ALLOW policy without rules, by its name in the filter.
    NoRules(String),
    /// ALLOW policies, none of whose rules can match there.
    NothingMatches,
    /// A CUSTOM policy whose provider does not exist.
    NoProvider(String),
    /// A DENY policy that means everybody.
    Refused(String),
}

/// Ports that admit nobody.
///
/// # Errors
/// The listeners could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    let listeners = page(&pages.listeners)?;
    let mut causes: SortedMap<Cause, SortedSet<Option<u64>>> = SortedMap::new();
    for port in inbound(listeners) {
        for cause in causes_of(&port) {
            causes.get_or_default(cause).insert(port.number);
        }
    }
    let found: Vec<Diagnosis> =
        causes.iter().map(|(cause, ports)| told(pages, cause, ports)).collect();
    let cut = listeners.is_cut.then_some(NotSeen::Cut("the listeners"));
    Ok(Seen::from(found).but(cut))
}

/// A sniffed port, and one that no Service names, has HTTP and TCP chains: there an ALLOW policy
/// with HTTP fields has no rule for TCP, which is usual. So HTTP decides where there is any.
fn causes_of(port: &Port<'_>) -> SortedSet<Cause> {
    let has_http = port.chains.iter().any(|chain| chain.protocol == Protocol::Http);
    let decides = |chain: &&&Chain| !has_http || chain.protocol == Protocol::Http;
    let chains: Vec<&&Chain> = port.chains.iter().filter(decides).collect();
    let mut causes = SortedSet::new();
    let all = |closed: &dyn Fn(&Rbac) -> bool| {
        !chains.is_empty() && chains.iter().all(|chain| chain.rbac.iter().any(closed))
    };
    let filters = || chains.iter().flat_map(|chain| &chain.rbac);
    if all(&Rbac::admits_nobody) {
        let closed = filters().filter(|rbac| rbac.admits_nobody());
        let names: SortedSet<&str> = closed
            .flat_map(|rbac| &rbac.policies)
            .filter(|policy| policy.whom == Whom::Nobody)
            .map(|policy| policy.name.as_str())
            .collect();
        if names.is_empty() && port.number.is_some() {
            causes.insert(Cause::NothingMatches);
        }
        causes.extend(names.into_iter().map(|name| Cause::NoRules(name.to_owned())));
    }
    if all(&|rbac| rbac.refusals().next().is_some()) {
        let refusals = filters().flat_map(Rbac::refusals);
        causes.extend(refusals.map(|policy| {
            if policy.name.ends_with(BAD_CUSTOM) {
                Cause::NoProvider(policy.name.clone())
            } else {
                Cause::Refused(policy.name.clone())
            }
        }));
    }
    causes
}

fn told(pages: &Pages, cause: &Cause, ports: &SortedSet<Option<u64>>) -> Diagnosis {
    let name = match cause {
        Cause::NoRules(name) | Cause::NoProvider(name) | Cause::Refused(name) => name.as_str(),
        Cause::NothingMatches => "",
    };
    let resource = Resource::of_policy(name).map(|resource| resource.to_string());
    let policy = resource.clone().unwrap_or_else(|| match name {
        "" => "its authorization".to_owned(),
        name => format!("the policy {name}"),
    });
    let denied = denied(pages);
    let so_far = if denied > 0 { format!(" (denied so far: {denied})") } else { String::new() };
    let (severity, reason, remedy, field) = words(pages.mesh, cause, &policy);
    let which = which(ports);
    let verb = if which.starts_with("ports") { "admit" } else { "admits" };
    let finding = Finding {
        code: Code::AuthorizationDeniesAll,
        severity,
        seen: format!("{which} {verb} nobody: {reason}{so_far}"),
        why: "so every client gets 403 (RBAC: access denied), or a closed connection over TCP"
            .to_owned(),
        remedy,
        source: "the RBAC filters of this proxy's own listeners (config_dump)",
    };
    Diagnosis::from(finding).on(resource, field).number("denied", denied)
}

fn words(mesh: Mesh, cause: &Cause, policy: &str) -> (Severity, String, String, &'static str) {
    match cause {
        Cause::NoRules(_) => (
            Severity::Error,
            format!("{policy} is ALLOW and has no rules"),
            "give it rules, or delete it: an ALLOW policy without rules denies everything"
                .to_owned(),
            "spec.rules",
        ),
        Cause::NothingMatches if mesh == Mesh::Consul => (
            Severity::Error,
            "no intention allows anybody to call this service".to_owned(),
            "create an intention that allows its callers".to_owned(),
            "",
        ),
        Cause::NothingMatches => (
            Severity::Error,
            "none of its ALLOW policies has a rule that can match there".to_owned(),
            "over TCP only from.source (principals, namespaces, ipBlocks) and to.operation.ports \
             count; a rule with methods, paths or headers never matches"
                .to_owned(),
            "spec.rules",
        ),
        Cause::NoProvider(name) => (
            Severity::Warning,
            match provider(name) {
                Some(provider) => {
                    format!("{policy} is CUSTOM, and its provider {provider} is not there")
                }
                None => format!("{policy} is CUSTOM, and its provider is not there"),
            },
            "define the provider in meshConfig.extensionProviders, or correct its name".to_owned(),
            "spec.provider.name",
        ),
        Cause::Refused(_) => (
            Severity::Warning,
            format!("{policy} is DENY and means everybody"),
            "narrow its rules, if that is not on purpose".to_owned(),
            "spec.rules",
        ),
    }
}

/// The provider in `istio-ext-authz-PROVIDER-ns[shop]-policy[ext]-rule[0]`.
fn provider(policy: &str) -> Option<&str> {
    let rest = policy.strip_prefix(EXT_AUTHZ)?;
    Some(rest.split_once("-ns[")?.0).filter(|provider| !provider.is_empty())
}

/// `ports 8080 and 9000, and any other port`
fn which(ports: &SortedSet<Option<u64>>) -> String {
    let numbers: Vec<u64> = ports.iter().filter_map(|port| *port).collect();
    let any = ports.contains(&None);
    match (&numbers[..], any) {
        ([], _) => "any port that no Service names".to_owned(),
        ([only], false) => format!("port {only}"),
        ([only], true) => format!("port {only}, and any port that no Service names,"),
        (some, false) => format!("ports {}", listed(some)),
        (some, true) => format!("ports {}, and any port that no Service names,", listed(some)),
    }
}

fn denied(pages: &Pages) -> u64 {
    let denied = pages.counters.iter().flat_map(|counters| &counters.denied);
    denied.map(|counter| counter.count).fold(0, u64::saturating_add)
}
