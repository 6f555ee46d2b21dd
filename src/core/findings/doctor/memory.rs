//! A proxy that is close to its memory limit.
//!
//! Owns the judgement; must never judge without a limit that is known: the annotation, or what the
//! agent was given.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::grouped;
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};

/// From these shares of the limit on, in percent.
const WARNS_FROM: u64 = 80;
const BREAKS_FROM: u64 = 92;

/// A container without a limit gets the node's memory for one.
const NO_LIMIT_FROM: u64 = 8 << 30;

/// Does the proxy use most of what it may?
///
/// # Errors
/// Its memory or its limit is not known.
pub fn judge(pages: &Pages) -> Diagnosed {
    let counters = page(&pages.counters)?;
    let Some(proxy) = counters.memory else {
        return Err(NotSeen::Hidden("the proxy does not show its memory"));
    };
    let annotated =
        pages.manifest.as_ref().ok().and_then(|manifest| manifest.annotations.memory_limit);
    let agent = pages.agent.as_ref().ok();
    let given = agent.and_then(|agent| agent.memory_limit).filter(|limit| *limit < NO_LIMIT_FROM);
    let Some(limit) = annotated.or(given).filter(|limit| *limit > 0) else {
        return Err(match &pages.agent {
            Err(why) => why.clone(),
            Ok(_) => NotSeen::Hidden("the proxy's memory limit is not known, or there is none"),
        });
    };
    // The agent is in the same container.
    let used = proxy.saturating_add(agent.and_then(|agent| agent.memory).unwrap_or_default());
    let percent = used.saturating_mul(100) / limit;
    if percent < WARNS_FROM {
        return Ok(Seen::default());
    }
    let finding = Finding {
        code: Code::ProxyMemory,
        severity: if percent >= BREAKS_FROM { Severity::Error } else { Severity::Warning },
        seen: format!(
            "the proxy and its agent use {} of their {} MiB",
            grouped(used >> 20),
            grouped(limit >> 20)
        ),
        why: "so the kernel may kill it at any moment, and with it all connections of this pod"
            .to_owned(),
        remedy: "raise its limit (set request and CPU, too: one of these annotations replaces all \
                 defaults), or send it less: see config-of-whole-mesh"
            .to_owned(),
        source: "server.memory_physical_size (/stats) and the agent's own memory; the limit from \
                 the annotation or the agent's GOMEMLIMIT",
    };
    let double = (limit >> 20) * 2;
    let diagnosis = Diagnosis::from(finding)
        .on(None, "metadata.annotations[sidecar.istio.io/proxyMemoryLimit]")
        .with(format!("sidecar.istio.io/proxyMemoryLimit: {double}Mi"))
        .number("used_bytes", used)
        .number("limit_bytes", limit);
    Ok(Some(diagnosis).into())
}
