//! Certificates that have expired, are not renewed, never came, or are of the future.
//!
//! Owns both judgements, by `expiration_time` and the clock; must never judge by Envoy's days until
//! expiration, which are 0 for the last day, too, or by what Envoy says, which serves an
//! expired certificate and reports nothing.

use std::time::Duration;

use crate::core::envoy::certs::{Certificate, Certs};
use crate::core::envoy::state::State;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::pages::{Pages, page};
use crate::core::findings::doctor::when::{parse, spoken};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;

/// istiod dates a certificate back by this much.
const BACKDATED: Duration = Duration::from_mins(2);

/// Renewal is a matter of certificates that live shorter than this.
const SHORT_LIVED: Duration = Duration::from_hours(24 * 7);

/// The agent renews at half of the lifetime (istio: `SECRET_GRACE_PERIOD_RATIO`): with less than
/// this part left it has failed for a while.
const LEFT_PERCENT: u32 = 40;

/// A root that expires this soon has to be replaced now.
const ROOT_WARNS: Duration = Duration::from_hours(24 * 30);

/// Clocks may differ this much.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

const SOURCE: &str = "expiration_time of this proxy's certificates (/certs), and this node's clock";

/// Expired, not renewed, never issued.
///
/// # Errors
/// The certificates could not be read.
pub fn judge(pages: &Pages) -> Diagnosed {
    if pages.mesh == Mesh::Linkerd {
        return linkerd(pages);
    }
    let certs = page(&pages.certs)?;
    let mut found: Vec<Diagnosis> =
        certs.certificates.iter().filter_map(|certificate| aged(pages, certificate)).collect();
    found.dedup();
    if let Some(waits) = never_issued(pages, certs) {
        found.push(waits);
    }
    let cut = certs.is_cut.then_some(NotSeen::Cut("/certs"));
    // With Istio all of them are copies of one.
    Ok(Seen::from(found).but(cut.filter(|_| pages.mesh != Mesh::Istio)))
}

/// Certificates from the future.
///
/// # Errors
/// As [`judge`].
pub fn clock(pages: &Pages) -> Diagnosed {
    if pages.mesh == Mesh::Linkerd {
        return Err(pages.not_this_mesh());
    }
    let certs = page(&pages.certs)?;
    let ahead = certs.certificates.iter().filter_map(|certificate| {
        let from = parse(certificate.valid_from.as_deref()?)?;
        from.checked_sub(pages.now).filter(|ahead| *ahead > CLOCKS_DIFFER)
    });
    let Some(ahead) = ahead.max() else { return Ok(Seen::default()) };
    let finding = Finding {
        code: Code::ClockSkew,
        severity: Severity::Error,
        seen: format!("a certificate of this proxy becomes valid in {} only", spoken(ahead)),
        why: "so this node's clock is behind the issuer's, and peers refuse each other's \
              certificates"
            .to_owned(),
        remedy: "set this node's clock (NTP, chrony), or the control plane's node's".to_owned(),
        source: "valid_from of this proxy's certificates (/certs), and this node's clock",
    };
    Ok(Some(Diagnosis::from(finding).number("ahead_s", ahead.as_secs())).into())
}

fn aged(pages: &Pages, certificate: &Certificate) -> Option<Diagnosis> {
    let expires = parse(certificate.expires.as_deref()?)?;
    let of = match (&certificate.spiffe, certificate.is_root) {
        (_, true) => "a root certificate that the proxy trusts".to_owned(),
        (Some(name), false) => format!("the proxy's certificate for {name}"),
        (None, false) => format!("a certificate of the proxy (serial {})", certificate.serial),
    };
    let Some(left) = expires.checked_sub(pages.now) else {
        let ago = spoken(pages.now.saturating_sub(expires));
        let is_roots = certificate.is_root;
        if is_roots && !certificate.is_mesh {
            return None;
        }
        let severity = if is_roots { Severity::Warning } else { Severity::Error };
        let seen = format!("{of} expired {ago} ago");
        let why = if certificate.spiffe.is_some() {
            "so peers refuse it, and every mTLS connection of this pod fails"
        } else {
            "so whoever checks it refuses the connection"
        };
        return Some(told(pages, certificate, severity, &seen, why));
    };
    if certificate.is_root {
        let ends_soon = certificate.is_mesh && left < ROOT_WARNS;
        let seen = format!("{of} expires in {}", spoken(left));
        let why = "so from then on no certificate under it is accepted";
        return ends_soon.then(|| told(pages, certificate, Severity::Warning, &seen, why));
    }
    certificate.spiffe.as_ref()?;
    let from = parse(certificate.valid_from.as_deref()?)?;
    let lifetime = expires.checked_sub(from)?.saturating_sub(BACKDATED);
    let is_late = lifetime <= SHORT_LIVED && left * 100 < lifetime * LEFT_PERCENT;
    let late = (lifetime / 2).saturating_sub(left);
    let seen = format!(
        "{of} has {} of its {} left; it is renewed at half of them, so renewal has failed for {}",
        spoken(left),
        spoken(lifetime),
        spoken(late)
    );
    let why =
        "so when it expires every mTLS connection of this pod fails, and the proxy stays ready";
    is_late.then(|| told(pages, certificate, Severity::Warning, &seen, why))
}

fn told(
    pages: &Pages,
    certificate: &Certificate,
    severity: Severity,
    seen: &str,
    why: &str,
) -> Diagnosis {
    let failed = pages.agent.as_ref().map_or(0, |agent| agent.failed_requests);
    let failures =
        if failed > 0 { format!(" (its agent failed {failed} times)") } else { String::new() };
    let finding = Finding {
        code: Code::Certificate,
        severity,
        seen: format!("{seen}{failures}"),
        why: why.to_owned(),
        remedy: remedy(pages, certificate.is_root),
        source: SOURCE,
    };
    Diagnosis::from(finding).number("failed_requests", failed)
}

fn remedy(pages: &Pages, is_root: bool) -> String {
    match pages.mesh {
        _ if is_root => {
            "replace the mesh's root certificate, with both roots trusted meanwhile".to_owned()
        }
        Mesh::Istio => format!(
            "can the agent reach {}? see its log (kubectl logs POD -c istio-proxy); when it can, \
             delete the pod",
            discovery(pages)
        ),
        _ => "see the log of the proxy's container, and of the mesh's certificate authority"
            .to_owned(),
    }
}

fn discovery(pages: &Pages) -> &str {
    let manifest = pages.manifest.as_ref().ok();
    manifest
        .and_then(|manifest| manifest.discovery_address.as_deref())
        .unwrap_or("istiod.istio-system.svc:15012")
}

/// SDS has been asked for the proxy's own certificate and has not answered.
fn never_issued(pages: &Pages, certs: &Certs) -> Option<Diagnosis> {
    let waiting = pages.warming_secrets.as_ref().ok()?;
    let is_own = |name: &&String| matches!(name.as_str(), "default" | "ROOTCA");
    let own = waiting.iter().find(is_own)?;
    let has_own = certs.certificates.iter().any(|certificate| certificate.spiffe.is_some());
    if has_own {
        return None;
    }
    let state = pages.manifest.as_ref().ok().and_then(|manifest| manifest.server.state.clone());
    let is_live = state == Some(State::Live);
    let finding = Finding {
        code: Code::Certificate,
        severity: Severity::Error,
        seen: format!("the proxy has asked for its certificate ({own}) and never got one"),
        why: if is_live {
            "so no mTLS connection of this pod works"
        } else {
            "so its listeners wait for it, and the proxy does not become ready"
        }
        .to_owned(),
        remedy: remedy(pages, false),
        source: "the secrets that this proxy waits for (config_dump, dynamic_warming_secrets)",
    };
    Some(finding.into())
}

fn linkerd(pages: &Pages) -> Diagnosed {
    let metrics = page(&pages.linkerd)?;
    let Some(expires) = metrics.certificate_expires.map(Duration::from_secs) else {
        return Err(NotSeen::Hidden("the proxy's metrics have no expiry of its certificate"));
    };
    if expires > pages.now {
        return Ok(Seen::default());
    }
    let ago = spoken(pages.now.saturating_sub(expires));
    let finding = Finding {
        code: Code::Certificate,
        severity: Severity::Error,
        seen: format!("the proxy's certificate expired {ago} ago"),
        why: "so peers refuse it, and every mTLS connection of this pod fails".to_owned(),
        remedy: "can the proxy reach linkerd-identity? see its log, and linkerd check --proxy"
            .to_owned(),
        source: "identity_cert_expiration_timestamp_seconds of 4191/metrics, and this node's clock",
    };
    Ok(Some(finding.into()).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::certs::CertsPage;
    use crate::core::findings::doctor::fixtures::{fixture, healthy, read};

    fn at(now: &str) -> Pages {
        let mut pages = healthy();
        pages.certs = Ok(read::<CertsPage>(fixture!("renewal-failing.certs.json")));
        pages.now = parse(now).unwrap();
        pages
    }

    fn seen(judged: Diagnosed) -> Vec<(Severity, String)> {
        let found = judged.unwrap().found;
        found.into_iter().map(|found| (found.finding.severity, found.finding.seen)).collect()
    }

    /// Issued at 15:54:53 for 60 s, of a real sidecar whose renewal failed.
    #[test]
    fn only_the_clock_decides_how_old_a_certificate_is() {
        assert_eq!(seen(judge(&at("2026-11-24T15:55:00Z"))), []);
        let late = seen(judge(&at("2026-11-24T15:55:40Z")));
        assert_eq!(late[0].0, Severity::Warning);
        assert!(late[0].1.contains("has 13 s of its 60 s left"), "{late:?}");
        let expired = seen(judge(&at("2026-11-24T16:55:53Z")));
        let text =
            "the proxy's certificate for spiffe://cluster.local/ns/shop/sa/shop expired 60 min ago";
        assert_eq!(expired, [(Severity::Error, text.to_owned())]);
        let years = seen(judge(&at("2036-11-20T00:00:00Z")));
        assert_eq!(years.len(), 2, "{years:?}");
        assert!(years.iter().any(|(_, seen)| seen.contains("a root certificate")), "{years:?}");
    }

    #[test]
    fn a_certificate_of_the_future_is_a_clock_that_is_wrong() {
        assert_eq!(seen(clock(&at("2026-11-24T15:52:00Z"))), []);
        let skew = seen(clock(&at("2026-11-24T15:02:53Z")));
        assert_eq!(skew[0].0, Severity::Error);
        assert!(skew[0].1.contains("becomes valid in 50 min only"), "{skew:?}");
    }

    #[test]
    fn a_certificate_that_never_came_is_an_error() {
        let mut pages = healthy();
        pages.certs = Ok(Certs::default());
        pages.warming_secrets = Ok(vec!["default".to_owned()]);
        let never = seen(judge(&pages));
        assert!(never[0].1.contains("never got one"), "{never:?}");
        pages.warming_secrets = Ok(vec!["kubernetes://gateway".to_owned()]);
        assert_eq!(seen(judge(&pages)), []);
    }
}
