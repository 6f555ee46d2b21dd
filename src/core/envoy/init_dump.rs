//! Envoy's `/init_dump`: what its listeners still wait for.
//!
//! Owns the reading of the page; must never ask for it.

use std::time::Duration;

use crate::core::answer::printable;
use crate::core::envoy::page::{self, Page};
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::unread::Unread;

const WANTED: &[Path] = &[&["unready_targets_dumps", EACH, "target_names", EACH]];

/// A target's name in a log line.
const MOST_NAME: usize = 120;

/// More names than these tell a reader nothing.
const MOST_NAMES: usize = 50;

/// Reads `/init_dump`: the names of what Envoy's listeners still wait for. There are none while
/// Envoy waits for the listeners or clusters themselves (envoy: `init_dump_handler.cc` asks
/// listeners only).
#[derive(Debug)]
pub struct InitDump {
    picker: Picker,
    names: Vec<String>,
}

impl Page for InitDump {
    type Content = Vec<String>;
    const QUERY: &'static str = "/init_dump";
    const MOST_BYTES: usize = 4 * 1024 * 1024;
    const WITHIN: Duration = Duration::from_millis(500);

    fn begin() -> Self {
        Self { picker: Picker::new(WANTED, 1024), names: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let names = &mut self.names;
        self.picker.feed(bytes, &mut |_, part| {
            if let Some(name) = page::value::<String>(part).filter(|_| names.len() < MOST_NAMES) {
                names.push(printable(name.as_bytes(), MOST_NAME));
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
    fn init_dumps_targets_are_named() {
        let body = br#"{"unready_targets_dumps":[{"name":"init manager Server",
            "target_names":["LDS",null,"CDS"]},
            {},null,{"target_names":null}]}"#;
        assert_eq!(whole::<InitDump>(body), Ok(vec!["LDS".to_owned(), "CDS".to_owned()]));
        assert!(whole::<InitDump>(b"nonsense").is_err());
    }
}
