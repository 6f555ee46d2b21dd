//! Traces of every request.
//!
//! Owns the judgement; must never report a provider with a sampler of its own, which gets
//! everything on purpose.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, Seen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};

/// From this share on, in percent.
const TOLD_FROM: u64 = 50;

/// How much is traced?
///
/// # Errors
/// The listeners could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    let listeners = page(&pages.listeners)?;
    let sampled = listeners.chains.iter().filter(|chain| !chain.has_sampler);
    let most = sampled.filter_map(|chain| chain.sampling).max().unwrap_or_default() / 1_000_000;
    if most < TOLD_FROM {
        return Ok(Seen::default());
    }
    let finding = Finding {
        code: Code::TracingSamplesAll,
        severity: Severity::Info,
        seen: format!("the proxy traces {most}% of the requests"),
        why: "so each of them costs CPU here and space in the tracing system".to_owned(),
        remedy: "sample less, if this is no test system".to_owned(),
        source: "random_sampling of this proxy's own listeners (config_dump)",
    };
    let diagnosis = Diagnosis::from(finding)
        .on(Some("Telemetry".to_owned()), "spec.tracing[].randomSamplingPercentage")
        .with("tracing: [{randomSamplingPercentage: 1}]");
    Ok(Some(diagnosis).into())
}
