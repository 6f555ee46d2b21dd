//! Retries that cannot happen, or that repeat what must not be repeated.
//!
//! Owns both judgements; must never report Istio's defaults, which repeat only what was never sent.

use crate::core::envoy::routes::Route;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::{Resource, listed};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::doctor::when::spoken;
use crate::core::findings::finding::{Finding, Severity};

/// How many findings of one kind are told.
const MOST_TOLD: usize = 10;

/// On these a request that has been carried out is sent again.
const UNSAFE: [&str; 3] = ["5xx", "gateway-error", "reset"];

/// Retries of requests that may have had an effect.
///
/// # Errors
/// The routes could not be read.
pub fn not_safe(pages: &Pages) -> Diagnosed {
    each(pages, &|route| {
        let retry = route.retry.as_ref()?;
        let on: Vec<&str> =
            retry.on.iter().map(String::as_str).filter(|on| UNSAFE.contains(on)).collect();
        if on.is_empty() || route.is_by_method || retry.retries == Some(0) {
            return None;
        }
        let finding = Finding {
            code: Code::RetriesUnsafe,
            severity: Severity::Warning,
            seen: format!(
                "{} repeats requests on {}, whatever their method",
                place(route),
                listed(on)
            ),
            why: "so a POST that was carried out and answered with an error is carried out again"
                .to_owned(),
            remedy: "match only methods that may be repeated, or retry on connect-failure and \
                     refused-stream"
                .to_owned(),
            source: "retry_on of this proxy's own route (config_dump)",
        };
        Some((finding, "spec.http[].retries.retryOn"))
    })
}

/// Retries that the timeout leaves no time for.
///
/// # Errors
/// As [`not_safe`].
pub fn budget(pages: &Pages) -> Diagnosed {
    each(pages, &|route| {
        let (retry, timeout) = (route.retry.as_ref()?, route.timeout?);
        let tries =
            u32::try_from(retry.retries?.saturating_add(1)).ok().filter(|tries| *tries > 1)?;
        let seen = match retry.per_try {
            Some(per_try) if per_try.checked_mul(tries)? > timeout => format!(
                "{} has {} for {tries} tries of {} each",
                place(route),
                spoken(timeout),
                spoken(per_try)
            ),
            Some(_) => return None,
            None => format!(
                "{} has {} for {tries} tries, and no limit for one of them",
                place(route),
                spoken(timeout)
            ),
        };
        let finding = Finding {
            code: Code::RetryBudget,
            severity: Severity::Info,
            seen,
            why: "so the first slow try eats the time of the others, which do not happen"
                .to_owned(),
            remedy: "let perTryTimeout times (attempts + 1) fit into timeout".to_owned(),
            source: "timeout and retry_policy of this proxy's own route (config_dump)",
        };
        Some((finding, "spec.http[].retries.perTryTimeout"))
    })
}

/// Asks about each route that somebody wrote.
fn each(pages: &Pages, of: &dyn Fn(&Route) -> Option<(Finding, &'static str)>) -> Diagnosed {
    let routes = page(&pages.routes)?;
    let mut found: Vec<Diagnosis> = Vec::new();
    for route in &routes.routes {
        let Some(resource) = route.config.as_deref().and_then(Resource::of_config) else {
            continue;
        };
        if let Some((finding, field)) = of(route) {
            found.push(Diagnosis::from(finding).on(Some(resource.to_string()), field));
        }
    }
    let is_cut = routes.is_cut || found.len() > MOST_TOLD;
    found.truncate(MOST_TOLD);
    Ok(Seen::from(found).but(is_cut.then_some(NotSeen::Cut("the routes"))))
}

fn place(route: &Route) -> String {
    format!("the route {} of {}", route.path, route.host)
}
