//! A proxy that was started to log everything.
//!
//! Owns the judgement; must never claim to know a level that was changed later, which is not seen.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};

/// At which level does it log?
///
/// # Errors
/// It does not say.
pub fn judge(pages: &Pages) -> Diagnosed {
    let manifest = page(&pages.manifest)?;
    let Some(level) = manifest.log_level.as_deref() else {
        return Err(NotSeen::Hidden("the proxy does not say its log level"));
    };
    if !matches!(level, "debug" | "trace") {
        return Ok(Seen::default());
    }
    let finding = Finding {
        code: Code::DebugLogging,
        severity: Severity::Info,
        seen: format!("the proxy was started with log level {level}"),
        why: "so each request costs it many lines, and they hold headers".to_owned(),
        remedy:
            "remove the annotation sidecar.istio.io/logLevel (or --log-level), and create the pod \
                 anew"
                .to_owned(),
        source: "command_line_options.log_level of /server_info; the level at its start",
    };
    let diagnosis = Diagnosis::from(finding);
    Ok(Some(diagnosis.on(None, "metadata.annotations[sidecar.istio.io/logLevel]")).into())
}
