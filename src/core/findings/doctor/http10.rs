//! HTTP/1.0, which the proxy refuses and nginx speaks to what it proxies.
//!
//! Owns the judgement; must never claim that such a request was sent: it leaves no line in the
//! access log and no metric.

use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, Seen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// An nginx beside a proxy that refuses HTTP/1.0.
///
/// # Errors
/// The processes or the proxy's settings are not known.
pub fn judge(pages: &Pages) -> Diagnosed {
    if pages.mesh != Mesh::Istio {
        return Err(pages.not_this_mesh());
    }
    let container = page(&pages.container)?;
    if !container.commands.contains("nginx") {
        return Ok(Seen::default());
    }
    let takes_it = page(&pages.manifest)?.http10
        || pages.listeners.iter().flat_map(|found| &found.chains).any(|chain| chain.accepts_http10);
    if takes_it {
        return Ok(Seen::default());
    }
    let finding = Finding {
        code: Code::Http10Refused,
        severity: Severity::Info,
        seen: "nginx runs here, and the proxy refuses HTTP/1.0".to_owned(),
        why: "so what nginx proxies gets 426 Upgrade Required, unless proxy_http_version is 1.1"
            .to_owned(),
        remedy: "set both in nginx's configuration, or let the proxy take HTTP/1.0 \
                 (ISTIO_META_HTTP10: \"1\")"
            .to_owned(),
        source: "HTTP10 in /server_info; Envoy answers 426 without a line in its access log; \
                 nginx's default for proxy_http_version",
    };
    let diagnosis =
        Diagnosis::from(finding).with("proxy_http_version 1.1;\nproxy_set_header Connection \"\";");
    Ok(Some(diagnosis).into())
}
