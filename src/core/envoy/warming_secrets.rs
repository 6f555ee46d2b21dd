//! Secrets that Envoy has asked for and not got (`config_dump`, `dynamic_warming_secrets`).
//!
//! Owns the reading of their names, never of a secret; must never judge.

use std::time::Duration;

use crate::core::envoy::json::clean;
use crate::core::envoy::page::{self, Page};
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::unread::Unread;

const WANTED: &[Path] = &[&["configs", EACH, "name"]];

/// A secret's name: `default`, `ROOTCA`, or a path.
const MOST_NAME: usize = 1024;

/// More names than these tell a reader nothing.
const MOST_NAMES: usize = 50;

/// Reads their names. They are asked for only where the proxy is not LIVE or has no certificate.
#[derive(Debug)]
pub struct WarmingSecretsPage {
    picker: Picker,
    names: Vec<String>,
}

impl Page for WarmingSecretsPage {
    type Content = Vec<String>;
    const QUERY: &'static str = "/config_dump?resource=dynamic_warming_secrets&mask=name";
    const MOST_BYTES: usize = 256 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self { picker: Picker::new(WANTED, MOST_NAME), names: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let names = &mut self.names;
        self.picker.feed(bytes, &mut |_, part| {
            if let Some(name) = page::value::<String>(part).filter(|_| names.len() < MOST_NAMES) {
                names.push(clean(&name));
            }
        })
    }

    fn end(self) -> Result<Vec<String>, Unread> {
        self.picker.finish().map(|()| self.names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    #[test]
    fn secrets_are_named_and_nothing_else() {
        let body = br#"{"configs":[{"@type":"x","name":"default","version_info":"uninitialized",
            "secret":{"name":"default","tls_certificate":{"private_key":"hush"}}},{"name":null}]}"#;
        assert_eq!(whole::<WarmingSecretsPage>(body), Ok(vec!["default".to_owned()]));
        assert_eq!(whole::<WarmingSecretsPage>(b"{}"), Ok(vec![]));
    }
}
