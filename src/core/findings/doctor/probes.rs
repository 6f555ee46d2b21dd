//! The kubelet's probes, where Istio was told to leave them alone.
//!
//! Owns the judgement; must never claim that a probe fails, which only the kubelet knows.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// Was rewriting switched off?
///
/// # Errors
/// The annotations could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    if pages.mesh != Mesh::Istio {
        return Err(pages.not_this_mesh());
    }
    let annotations = &page(&pages.manifest)?.annotations;
    if annotations.is_cut {
        return Err(NotSeen::Cut("the annotations"));
    }
    if annotations.rewrites_probes != Some(false) {
        return Ok(Seen::default());
    }
    let finding = Finding {
        code: Code::ProbesNotRewritten,
        severity: Severity::Info,
        seen: "the kubelet's probes go to the application through the proxy".to_owned(),
        why: "so STRICT mTLS refuses them, and an AuthorizationPolicy may".to_owned(),
        remedy: "remove the annotation, unless the probed ports are excluded from the mesh"
            .to_owned(),
        source: "the annotation in /server_info; Istio rewrites probes unless it says false",
    };
    let diagnosis = Diagnosis::from(finding);
    let field = "metadata.annotations[sidecar.istio.io/rewriteAppHTTPProbers]";
    Ok(Some(diagnosis.on(None, field)).into())
}
