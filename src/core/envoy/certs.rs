//! Envoy's `/certs`: the certificates of its TLS contexts.
//!
//! Owns the reading of it: with Istio, each outbound cluster has its own copy of one certificate,
//! so copies are passed over, and reading ends early; must never judge.

use std::time::Duration;

use crate::core::envoy::json;
use crate::core::envoy::page::Page;
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::unread::Unread;

const WANTED: &[Path] = &[&["certificates", EACH]];

/// A certificate's entry takes 0.3 KB; a context that trusts all public roots has 150 of them.
const MOST_PART: usize = 512 * 1024;

/// How many different certificates are kept.
const MOST_KEPT: usize = 64;

/// After so many bytes the rest is left unread: those of Istio are all alike by then.
const ENOUGH: usize = 256 * 1024;

/// One certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    /// It is one that others are checked by, not one that the proxy shows.
    pub is_root: bool,
    /// It stands in a TLS context whose own certificate has a SPIFFE name: the mesh's.
    pub is_mesh: bool,
    /// Its SPIFFE name, where it has one: `spiffe://cluster.local/ns/shop/sa/shop`.
    pub spiffe: Option<String>,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// From when, in RFC 3339; istiod writes two minutes before the issue.
    pub valid_from: Option<String>,
    /// Until when, in RFC 3339. Envoy's `days_until_expiration` is 0 for the last day and for what
    /// expired years ago alike.
    pub expires: Option<String>,
}

/// What `/certs` told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certs {
    /// Each certificate once, at most 64.
    pub certificates: Vec<Certificate>,
    /// There are more than were read.
    pub is_cut: bool,
}

/// Reads the page.
#[derive(Debug)]
pub struct CertsPage {
    picker: Picker,
    certs: Certs,
    total: usize,
}

impl Page for CertsPage {
    type Content = Certs;
    const QUERY: &'static str = "/certs";
    const MOST_BYTES: usize = 4 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self { picker: Picker::new(WANTED, MOST_PART), certs: Certs::default(), total: 0 }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        self.total += bytes.len();
        let certs = &mut self.certs;
        self.picker.feed(bytes, &mut |_, part| certs.take(part))
    }

    fn has_enough(&self) -> bool {
        self.total > ENOUGH
    }

    fn end(mut self) -> Result<Certs, Unread> {
        if self.has_enough() {
            self.certs.is_cut = true;
            return Ok(self.certs);
        }
        self.picker.finish().map(|()| self.certs)
    }
}

impl Certs {
    /// Adds what one TLS context has.
    fn take(&mut self, part: Option<&[u8]>) {
        let mut context = Vec::new();
        let read = part.map(|part| {
            json::read(part, &mut |value| {
                value.fields(&mut |name, value| {
                    let is_root = name == "ca_cert";
                    if is_root || name == "cert_chain" {
                        value.items(&mut |value| {
                            let mut certificate = Certificate { is_root, ..Default::default() };
                            certificate.read(value);
                            context.push(certificate);
                        });
                    }
                });
            })
        });
        self.is_cut |= !matches!(read, Some(Ok(())));
        let is_mesh = context.iter().any(|found| !found.is_root && found.spiffe.is_some());
        for certificate in context {
            let certificate = Certificate { is_mesh, ..certificate };
            if self.certificates.contains(&certificate) {
                continue;
            }
            if self.certificates.len() < MOST_KEPT {
                self.certificates.push(certificate);
            } else {
                self.is_cut = true;
            }
        }
    }
}

impl Certificate {
    fn read(&mut self, value: json::Json<'_>) {
        value.fields(&mut |name, value| match name {
            "serial_number" => self.serial = value.text().unwrap_or_default(),
            "valid_from" => self.valid_from = value.text(),
            "expiration_time" => self.expires = value.text(),
            "subject_alt_names" => value.items(&mut |name| {
                name.at(&["uri"], &mut |uri| {
                    let uri = uri.text().filter(|uri| uri.starts_with("spiffe://"));
                    self.spiffe = self.spiffe.take().or(uri);
                });
            }),
            _ => {}
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    fn entry(serial: &str, uri: &str) -> String {
        format!(
            r#"{{"path":"<inline>","serial_number":"{serial}","subject_alt_names":[{{"dns":"x"}},
                {{"uri":"{uri}"}}],"days_until_expiration":"0","valid_from":"2026-11-24T15:52:53Z",
                "expiration_time":"2026-11-24T15:55:53Z"}}"#
        )
    }

    #[test]
    fn copies_are_passed_over() {
        let (leaf, root) = (entry("1", "spiffe://a/ns/b/sa/c"), entry("2", "https://x"));
        let one = format!(r#"{{"ca_cert":[{root}],"cert_chain":[{leaf}]}}"#);
        let certs = whole::<CertsPage>(format!(r#"{{"certificates":[{one},{one}]}}"#).as_bytes());
        let certs = certs.unwrap();
        assert_eq!(certs.certificates.len(), 2);
        let [root, leaf] = &certs.certificates[..] else { panic!("{certs:?}") };
        assert!(root.is_root && root.spiffe.is_none() && !certs.is_cut);
        assert_eq!(leaf.spiffe.as_deref(), Some("spiffe://a/ns/b/sa/c"));
        assert_eq!(leaf.expires.as_deref(), Some("2026-11-24T15:55:53Z"));
    }

    #[test]
    fn reading_ends_early_where_there_are_thousands() {
        let one = format!(r#"{{"cert_chain":[{}]}},"#, entry("1", "spiffe://a"));
        let mut page = CertsPage::begin();
        page.take(br#"{"certificates":["#).unwrap();
        while !page.has_enough() {
            page.take(one.as_bytes()).unwrap();
        }
        let certs = page.end().unwrap();
        assert!(certs.is_cut);
        assert_eq!(certs.certificates.len(), 1);
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        assert_eq!(whole::<CertsPage>(br#"{"certificates":[]}"#), Ok(Certs::default()));
        let strange = br#"{"certificates":[null,7,
            {"cert_chain":null,"ca_cert":[null,{"serial_number":7}]}]}"#;
        let certs = whole::<CertsPage>(strange).unwrap();
        assert!(certs.certificates.iter().all(|found| found.expires.is_none()), "{certs:?}");
        assert!(whole::<CertsPage>(b"nonsense").is_err());
    }
}
