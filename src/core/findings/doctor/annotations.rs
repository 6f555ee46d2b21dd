//! Annotations about traffic whose names are misspelt.
//!
//! Owns the judgement; must never tell more of an annotation than its name.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// Names that are nearly one of Istio's.
///
/// # Errors
/// The annotations could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    if pages.mesh != Mesh::Istio {
        return Err(pages.not_this_mesh());
    }
    let annotations = &page(&pages.manifest)?.annotations;
    let found = annotations.near_misses.iter().map(|miss| {
        let finding = Finding {
            code: Code::AnnotationUnknown,
            severity: Severity::Warning,
            seen: format!("the pod has the annotation {}, which Istio does not know", miss.written),
            why: "so it has no effect, and nothing says so".to_owned(),
            remedy: format!("write {}, if that is meant, and create the pod anew", miss.meant),
            source: "the annotations in /server_info, and Istio's list of those about traffic",
        };
        Diagnosis::from(finding).on(None, "metadata.annotations")
    });
    let cut = annotations.is_cut.then_some(NotSeen::Cut("the annotations"));
    Ok(Seen::from(found.collect::<Vec<Diagnosis>>()).but(cut))
}
