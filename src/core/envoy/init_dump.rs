//! Envoy's `/init_dump`: what its listeners still wait for.
//!
//! Owns the reading of the page; must never ask for it.

use serde::Deserialize;

use crate::core::answer::printable;

/// Names of what Envoy's listeners still wait for, from `/init_dump`; empty where the body is
/// something else, and while Envoy waits for the listeners or clusters themselves (envoy:
/// `init_dump_handler.cc` asks listeners only).
#[must_use]
pub fn unready_targets(body: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct InitDump {
        #[serde(default)]
        unready_targets_dumps: Vec<Dump>,
    }
    #[derive(Deserialize)]
    struct Dump {
        #[serde(default)]
        target_names: Vec<String>,
    }
    let dumps = serde_json::from_slice(body)
        .map_or_else(|_| Vec::new(), |dump: InitDump| dump.unready_targets_dumps);
    dumps
        .into_iter()
        .flat_map(|dump| dump.target_names)
        .map(|name| printable(name.as_bytes(), 120))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_dumps_targets_are_named() {
        let body = br#"{"unready_targets_dumps":[{"name":"init manager Server","target_names":["LDS","CDS"]},{}]}"#;
        assert_eq!(unready_targets(body), ["LDS", "CDS"]);
        assert!(unready_targets(b"nonsense").is_empty());
    }
}
