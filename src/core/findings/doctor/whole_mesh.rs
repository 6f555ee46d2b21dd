//! A proxy that has been sent the whole mesh.
//!
//! Owns the judgement, and the draft of a `Sidecar` from what the proxy has used; must never call
//! the draft complete: it knows one period only.

use crate::core::envoy::usage::Usage;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::{ClusterName, counted, grouped};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;
use crate::core::sorted::SortedSet;

/// From so many clusters on it is worth knowing, or costs something (an estimate, not measured).
const TOLD_FROM: u64 = 300;
const WARNS_FROM: u64 = 1_000;

/// How many clusters does it hold?
///
/// # Errors
/// The counters could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    let counters = page(&pages.counters)?;
    let Some(clusters) = counters.clusters else {
        return Err(NotSeen::Hidden("the proxy does not show how many clusters it has"));
    };
    let usage = pages.usage.as_ref();
    let beside = usage.and_then(|usage| usage.as_ref().err().cloned());
    if clusters < TOLD_FROM {
        return Ok(Seen::default().but(beside));
    }
    let usage = usage.and_then(|usage| usage.as_ref().ok());
    let used = usage.map(|usage| {
        format!(", and has used {} of them {}", grouped(usage.used.len() as u64), pages.since())
    });
    let memory = counters
        .memory
        .map_or_else(String::new, |memory| format!("; it takes {} MiB", grouped(memory >> 20)));
    let finding = Finding {
        code: Code::ConfigOfWholeMesh,
        severity: if clusters >= WARNS_FROM { Severity::Warning } else { Severity::Info },
        seen: format!(
            "the proxy holds {}{}{memory}",
            counted(clusters, "cluster"),
            used.unwrap_or_default()
        ),
        why: "so each change anywhere in the mesh is sent here, too, and costs memory and CPU"
            .to_owned(),
        remedy: match pages.mesh {
            Mesh::Istio if usage.is_some() => {
                "a Sidecar with what this pod calls; this draft has what it \
                                              called in that time, no more"
                    .to_owned()
            }
            Mesh::Istio => {
                "a Sidecar with what this pod calls; --deep drafts one from what it has used"
                    .to_owned()
            }
            Mesh::Kuma => "reachable services or backends of the Dataplane".to_owned(),
            Mesh::Consul => "intentions limit what a transparent proxy is sent".to_owned(),
            _ => "let the control plane send what this pod calls".to_owned(),
        },
        source: "cluster_manager.active_clusters (/stats), and with --deep the requests of each \
                 cluster (/clusters)",
    };
    let diagnosis = Diagnosis::from(finding).number("clusters", clusters);
    if pages.mesh != Mesh::Istio {
        return Ok(Seen::from(vec![diagnosis]).but(beside));
    }
    let namespace = pages.manifest.as_ref().ok().and_then(|manifest| manifest.namespace.clone());
    let namespace = namespace.unwrap_or_else(|| "NAMESPACE".to_owned());
    let diagnosis =
        diagnosis.on(Some(format!("Sidecar {namespace}/default")), "spec.egress[].hosts");
    let diagnosis = match usage {
        Some(usage) => {
            let used = usage.used.len() as u64;
            diagnosis.number("used_clusters", used).with(draft(usage, &namespace, &pages.since()))
        }
        None => diagnosis,
    };
    Ok(Seen::from(vec![diagnosis]).but(beside))
}

/// A namespace of Kubernetes' is the second part of a Service's name; other hosts stand for
/// themselves, in whatever namespace.
fn draft(usage: &Usage, own: &str, since: &str) -> String {
    let mut hosts: SortedSet<String> = SortedSet::new();
    for cluster in usage.used.iter().filter_map(|name| ClusterName::read(name)) {
        let mut parts = cluster.host.split('.');
        let host = match (parts.next(), parts.next(), parts.next()) {
            (Some(_), Some(namespace), Some("svc")) if namespace == own => continue,
            (Some(_), Some(namespace), Some("svc")) => format!("{namespace}/*"),
            _ => format!("*/{}", cluster.host),
        };
        hosts.insert(host);
    }
    hosts.insert("istio-system/*".to_owned());
    let mut text = format!(
        "# A draft: what this proxy has called {since}. What it calls rarely may be \
         missing.\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{name: default, \
         namespace: {own}}}\nspec:\n  egress:\n  - hosts:\n    - ./*\n"
    );
    for host in hosts {
        text += "    - \"";
        text += &host;
        text += "\"\n";
    }
    text
}
