//! Ports that take plaintext beside mTLS.
//!
//! Owns the judgement: what is accepted is seen in the listeners, what really came in the counters.
//! Must never take one for the other.

use crate::core::envoy::istio_series::{Counts, Reporter, Series};
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::failed_requests::hidden;
use crate::core::findings::doctor::names::{counted, listed};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::doctor::ports::inbound;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;
use crate::core::sorted::SortedSet;

/// How many callers are named.
const MOST_CALLERS: usize = 5;

/// What accepts plaintext, and whether any came.
///
/// # Errors
/// The listeners could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    if pages.mesh == Mesh::Linkerd {
        return linkerd(pages);
    }
    let listeners = page(&pages.listeners)?;
    let ports = inbound(listeners);
    let open: Vec<Option<u64>> =
        ports.iter().filter(|port| port.is_permissive()).map(|port| port.number).collect();
    if open.is_empty() {
        let cut = listeners.is_cut.then_some(NotSeen::Cut("the listeners"));
        return Ok(Seen::default().but(cut));
    }
    let is_counted = pages.counters.as_ref().is_ok_and(|counters| counters.has_istio_metrics);
    let series: Vec<&Series> = pages
        .counters
        .iter()
        .flat_map(|counters| &counters.series)
        .filter(|series| series.reporter == Reporter::Destination && series.is_plaintext)
        .collect();
    let beside = match &pages.counters {
        Err(why) => Some(why.clone()),
        Ok(_) if !is_counted => Some(hidden(pages)),
        Ok(_) => None,
    };
    Ok(Seen::from(vec![told(pages, &open, &series, is_counted)]).but(beside))
}

fn told(pages: &Pages, open: &[Option<u64>], series: &[&Series], is_counted: bool) -> Diagnosis {
    let sum = |counts| {
        let of = series.iter().filter(|series| series.counts == counts);
        of.map(|series| series.count).fold(0, u64::saturating_add)
    };
    let (requests, connections) = (sum(Counts::Requests), sum(Counts::Connections));
    let came = requests > 0 || connections > 0;
    let callers: SortedSet<&str> =
        series.iter().map(|series| series.source_workload.as_str()).take(MOST_CALLERS).collect();
    let traffic = match (requests, connections) {
        (0, 0) if is_counted => format!("no plaintext came {}", pages.since()),
        (0, 0) => "whether plaintext comes cannot be seen here".to_owned(),
        (requests, 0) => {
            format!("{} came in plaintext {}", counted(requests, "request"), pages.since())
        }
        (0, connections) => {
            format!("{} came in plaintext {}", counted(connections, "connection"), pages.since())
        }
        (requests, connections) => format!(
            "{} and {} came in plaintext {}",
            counted(requests, "request"),
            counted(connections, "connection"),
            pages.since()
        ),
    };
    let from = if came { format!(" (source workload {})", listed(callers)) } else { String::new() };
    let manifest = pages.manifest.as_ref().ok();
    let namespace = manifest.and_then(|manifest| manifest.namespace.clone());
    let finding = Finding {
        code: Code::PlaintextAccepted,
        severity: if came { Severity::Warning } else { Severity::Info },
        seen: format!("{} PERMISSIVE, and {traffic}{from}", which(open)),
        why: "so whoever reaches the pod's address can call it without a certificate".to_owned(),
        remedy: if came {
            "give those callers a sidecar, then make mTLS STRICT"
        } else if is_counted {
            "mTLS can be made STRICT, as far as this pod has seen"
        } else {
            "make mTLS STRICT when no caller needs plaintext"
        }
        .to_owned(),
        source: "the chains of this proxy's inbound listeners (config_dump), and its \
                 connection_security_policy counters",
    };
    let diagnosis =
        Diagnosis::from(finding).number("requests", requests).number("connections", connections);
    if pages.mesh != Mesh::Istio {
        return diagnosis;
    }
    let namespace = namespace.unwrap_or_else(|| "NAMESPACE".to_owned());
    let resource = format!("PeerAuthentication {namespace}/default");
    diagnosis.on(Some(resource), "spec.mtls.mode").with(format!(
        "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {{name: default, \
         namespace: {namespace}}}\nspec: {{mtls: {{mode: STRICT}}}}\n"
    ))
}

fn which(open: &[Option<u64>]) -> String {
    let numbers: Vec<u64> = open.iter().filter_map(|port| *port).collect();
    match &numbers[..] {
        [] => "this workload is".to_owned(),
        [only] => format!("port {only} is"),
        some => format!("ports {} are", listed(some)),
    }
}

fn linkerd(pages: &Pages) -> Diagnosed {
    let metrics = page(&pages.linkerd)?;
    if metrics.plaintext == 0 {
        return Ok(Seen::default());
    }
    let finding = Finding {
        code: Code::PlaintextAccepted,
        severity: Severity::Warning,
        seen: format!(
            "{} came without mesh TLS since the proxy's start",
            counted(metrics.plaintext, "request")
        ),
        why: "so callers without a proxy are let in, without a certificate".to_owned(),
        remedy: "mesh those callers, then set the default inbound policy to all-authenticated"
            .to_owned(),
        source: "request_total of 4191/metrics, by its label tls",
    };
    let diagnosis = Diagnosis::from(finding).number("requests", metrics.plaintext);
    Ok(Some(diagnosis.on(None, "metadata.annotations[config.linkerd.io/default-inbound-policy]"))
        .into())
}
