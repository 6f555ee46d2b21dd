//! Values of Envoy's runtime that somebody set by hand.
//!
//! Owns the judgement; must never tell a value.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, Seen};
use crate::core::findings::doctor::names::{counted, listed};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};

/// How many names are told.
const MOST_NAMES: usize = 5;

/// Is anything set in the admin layer?
///
/// # Errors
/// The page could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    let names = page(&pages.runtime)?;
    if names.is_empty() {
        return Ok(Seen::default());
    }
    let count = names.len() as u64;
    let more = if names.len() > MOST_NAMES { " and more" } else { "" };
    let finding = Finding {
        code: Code::RuntimeOverridden,
        severity: Severity::Warning,
        seen: format!(
            "{} of the proxy set by hand: {}{more}",
            counted(count, "runtime value"),
            listed(names.iter().take(MOST_NAMES))
        ),
        why: "so this proxy behaves differently from all others, until it is started anew"
            .to_owned(),
        remedy: "set them back to nothing (POST /runtime_modify?NAME=), or delete the pod"
            .to_owned(),
        source: "the admin layer of this proxy's /runtime, which only /runtime_modify writes",
    };
    Ok(Some(Diagnosis::from(finding).number("values", count)).into())
}
