//! Envoy's RBAC filters (`envoy.filters.http.rbac`, `envoy.filters.network.rbac`): whom they let
//! in.
//!
//! Owns the two shapes that decide without looking at a request: "nobody" and "everybody". Other
//! rules are not understood, on purpose; must never judge, and keeps no value of a rule.

use crate::core::envoy::json::{self, Json};

/// How many policies of one filter are kept by name.
const MOST_POLICIES: usize = 50;

/// What happens where a policy matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RbacAction {
    /// Whoever matches none is refused. Protobuf's JSON leaves it out.
    #[default]
    Allow,
    /// Whoever matches one is refused.
    Deny,
    /// Something else, as `LOG`: refuses nobody.
    Other,
}

/// Whom a rule means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Nobody: the shape of an ALLOW policy without rules (istio: `allow-nil-rule-out.yaml`).
    Nobody,
    /// Everybody.
    Everybody,
    /// It depends on the request.
    Some,
}

/// One policy of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, from which Istio's `AuthorizationPolicy` can be read.
    pub name: String,
    /// Whom it means.
    pub whom: Whom,
}

/// One filter's enforced rules. Shadow rules are a dry run and not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rbac {
    /// What a match does.
    pub action: RbacAction,
    /// The first 50 policies by name.
    pub policies: Vec<Policy>,
    /// Is there a policy, also among those not kept, that means anybody?
    pub has_match: bool,
}

impl Rbac {
    /// Reads the filter's configuration; `None` where it enforces nothing.
    #[must_use]
    pub fn read(config: Json<'_>) -> Option<Self> {
        let mut rbac = None;
        config.at(&["rules"], &mut |rules| rbac = Self::of_rules(rules));
        rbac
    }

    fn of_rules(rules: Json<'_>) -> Option<Self> {
        let mut rbac = Self::default();
        let is_object = rules.fields(&mut |name, value| match name {
            "action" => value.with_text(&mut |action| {
                rbac.action = match action {
                    "ALLOW" => RbacAction::Allow,
                    "DENY" => RbacAction::Deny,
                    _ => RbacAction::Other,
                };
            }),
            // A matcher tree instead of policies: nobody knows whom it lets in.
            "matcher" => rbac.has_match = true,
            "policies" => {
                let is_object = value.fields(&mut |name, value| rbac.take(name, value));
                // Not understood: nothing is claimed about it.
                rbac.has_match |= !is_object;
            }
            _ => {}
        });
        is_object.then_some(rbac)
    }

    fn take(&mut self, name: &str, policy: Json<'_>) {
        let policy = Policy { name: json::clean(name), whom: whom(policy) };
        self.has_match |= policy.whom != Whom::Nobody;
        if self.policies.len() < MOST_POLICIES {
            self.policies.push(policy);
        }
    }

    /// Does it refuse everybody, because it allows and no policy of it means anybody?
    #[must_use]
    pub fn admits_nobody(&self) -> bool {
        self.action == RbacAction::Allow && !self.has_match
    }

    /// The policies that refuse everybody on purpose.
    pub fn refusals(&self) -> impl Iterator<Item = &Policy> {
        let denies = self.action == RbacAction::Deny;
        self.policies.iter().filter(move |policy| denies && policy.whom == Whom::Everybody)
    }
}

/// A policy matches where one of its permissions and one of its principals do.
fn whom(policy: Json<'_>) -> Whom {
    let (mut permissions, mut principals) = (Vec::new(), Vec::new());
    policy.fields(&mut |name, value| match name {
        "permissions" => value.items(&mut |rule| permissions.push(matches(rule))),
        "principals" => value.items(&mut |rule| principals.push(matches(rule))),
        // A condition beside them may narrow it.
        "condition" | "checked_condition" | "cel_config" => permissions.push(Whom::Some),
        _ => {}
    });
    let any = |rules: &[Whom]| {
        let all = |what| rules.iter().all(|rule| *rule == what);
        match rules {
            // Envoy refuses such a policy; nothing is claimed about it.
            [] => Whom::Some,
            _ if all(Whom::Nobody) => Whom::Nobody,
            _ if all(Whom::Everybody) => Whom::Everybody,
            _ => Whom::Some,
        }
    };
    match (any(&permissions), any(&principals)) {
        (Whom::Nobody, _) | (_, Whom::Nobody) => Whom::Nobody,
        (Whom::Everybody, Whom::Everybody) => Whom::Everybody,
        _ => Whom::Some,
    }
}

/// One `Permission` or `Principal`: `any`, its negation, or a conjunction of one (which is how
/// istiod writes a rule without conditions).
fn matches(rule: Json<'_>) -> Whom {
    let mut whom = Whom::Some;
    rule.fields(&mut |name, value| match name {
        "any" => whom = if value.flag() { Whom::Everybody } else { Whom::Some },
        "not_rule" | "not_id" => {
            whom = match matches(value) {
                Whom::Everybody => Whom::Nobody,
                Whom::Nobody => Whom::Everybody,
                Whom::Some => Whom::Some,
            };
        }
        "and_rules" | "and_ids" | "or_rules" | "or_ids" => {
            value.fields(&mut |_, list| {
                let mut inner = Vec::new();
                list.items(&mut |rule| inner.push(matches(rule)));
                if let [only] = inner[..] {
                    whom = only;
                }
            });
        }
        _ => {}
    });
    whom
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::json;

    fn rbac(config: &str) -> Option<Rbac> {
        let mut rbac = None;
        json::read(config.as_bytes(), &mut |value| rbac = Rbac::read(value)).unwrap();
        rbac
    }

    const NEVER: &str = r#"{"permissions":[{"not_rule":{"any":true}}],
                            "principals":[{"not_id":{"any":true}}]}"#;
    const ANYBODY: &str = r#"{"permissions":[{"and_rules":{"rules":[{"any":true}]}}],
                              "principals":[{"and_ids":{"ids":[{"any":true}]}}]}"#;
    const SOME: &str = r#"{"permissions":[{"and_rules":{"rules":[{"destination_port":8080}]}}],
                           "principals":[{"any":true}]}"#;

    fn with(action: &str, policies: &[(&str, &str)]) -> Rbac {
        let policies: Vec<String> =
            policies.iter().map(|(name, policy)| format!("\"{name}\":{policy}")).collect();
        let policies = policies.join(",");
        rbac(&format!(r#"{{"rules":{{{action}"policies":{{{policies}}}}}}}"#)).unwrap()
    }

    #[test]
    fn an_allow_policy_without_rules_admits_nobody() {
        assert!(with("", &[("a", NEVER)]).admits_nobody());
        assert!(with(r#""action":"ALLOW","#, &[("a", NEVER), ("b", NEVER)]).admits_nobody());
        assert!(rbac(r#"{"rules":{}}"#).unwrap().admits_nobody());
        for others in [&[("a", NEVER), ("b", SOME)][..], &[("a", ANYBODY)]] {
            assert!(!with("", others).admits_nobody(), "{others:?}");
        }
        assert!(!with(r#""action":"DENY","#, &[("a", NEVER)]).admits_nobody());
        assert!(!with(r#""action":"A_NEW_ONE","#, &[("a", NEVER)]).admits_nobody());
        for unknown in [r#"{"rules":{"matcher":{}}}"#, r#"{"rules":{"policies":7}}"#] {
            assert!(!rbac(unknown).unwrap().admits_nobody(), "{unknown}");
        }
    }

    #[test]
    fn a_refusal_of_everybody_is_named_whichever_way_it_is_written() {
        let plain = r#"{"permissions":[{"any":true}],"principals":[{"any":true}]}"#;
        for policy in [ANYBODY, plain] {
            let rbac = with(r#""action":"DENY","#, &[("x", SOME), ("all", policy)]);
            let names: Vec<&str> = rbac.refusals().map(|policy| policy.name.as_str()).collect();
            assert_eq!(names, ["all"]);
        }
        assert_eq!(with("", &[("all", ANYBODY)]).refusals().count(), 0);
    }

    #[test]
    fn a_dry_run_enforces_nothing() {
        assert_eq!(rbac(r#"{"shadow_rules":{"policies":{}},"stat_prefix":"x"}"#), None);
        for strange in ["null", "7", "[]", r#"{"rules":null}"#, r#"{"rules":7}"#] {
            assert_eq!(rbac(strange), None, "{strange}");
        }
    }

    #[test]
    fn what_is_not_understood_is_never_called_nobody() {
        for strange in ["null", "7", "{}", r#"{"permissions":[]}"#, r#"{"permissions":[null]}"#] {
            assert!(!with("", &[("a", strange)]).admits_nobody(), "{strange}");
        }
    }
}
