//! Envoy's `/runtime`: which of its switches somebody has moved by hand.
//!
//! Owns the reading of the `admin` layer, the only one that a hand moves; must never judge. Values
//! are not kept.

use std::time::Duration;

use crate::core::envoy::json;
use crate::core::envoy::page::Page;
use crate::core::envoy::picker::{Path, Picker};
use crate::core::envoy::unread::Unread;

const LAYERS: Path = &["layers"];
const ENTRIES: Path = &["entries"];
const WANTED: &[Path] = &[LAYERS, ENTRIES];

/// The page takes 0.3 KB with Istio.
const MOST_PART: usize = 256 * 1024;

/// More names than these tell a reader nothing.
const MOST_NAMES: usize = 50;

/// What Envoy calls the layer of `runtime_modify`, where the bootstrap names none (Istio's:
/// `admin`).
const ADMIN: &str = "admin";

/// Reads `/runtime`: the names of what was set by `runtime_modify` and is still set.
#[derive(Debug)]
pub struct RuntimePage {
    picker: Picker,
    /// Where the admin layer stands among the layers.
    admin: Option<usize>,
    names: Vec<String>,
    is_cut: bool,
}

impl Page for RuntimePage {
    type Content = Vec<String>;
    const QUERY: &'static str = "/runtime";
    const MOST_BYTES: usize = 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        let picker = Picker::new(WANTED, MOST_PART);
        Self { picker, admin: None, names: Vec::new(), is_cut: false }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let Self { picker, admin, names, is_cut } = self;
        picker.feed(bytes, &mut |path, part| {
            let Some(part) = part else {
                *is_cut = true;
                return;
            };
            let read = if path == LAYERS { read_layers(part, admin) } else { Ok(()) };
            let read = if path == ENTRIES { read_entries(part, *admin, names) } else { read };
            *is_cut |= read.is_err();
        })
    }

    fn end(self) -> Result<Vec<String>, Unread> {
        self.picker.finish()?;
        if self.is_cut { Err(Unread::TooLarge(MOST_PART)) } else { Ok(self.names) }
    }
}

fn read_layers(part: &[u8], admin: &mut Option<usize>) -> Result<(), Unread> {
    let mut at = 0;
    json::read(part, &mut |layers| {
        layers.items(&mut |layer| {
            layer.with_text(&mut |name| *admin = admin.or((name == ADMIN).then_some(at)));
            at += 1;
        });
    })
}

/// A layer that does not set a value has an empty text for it.
fn read_entries(part: &[u8], admin: Option<usize>, names: &mut Vec<String>) -> Result<(), Unread> {
    json::read(part, &mut |entries| {
        entries.fields(&mut |name, entry| {
            entry.at(&["layer_values"], &mut |values| {
                let mut at = 0;
                values.items(&mut |value| {
                    let is_set = value.text().is_some_and(|value| !value.is_empty());
                    if Some(at) == admin && is_set && names.len() < MOST_NAMES {
                        names.push(json::clean(name));
                    }
                    at += 1;
                });
            });
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    #[test]
    fn only_what_a_hand_moved_is_named() {
        let body = br#"{"layers":["global config","admin"],"entries":{
            "re2.max_program_size.error_level":{"layer_values":["32768",""],"final_value":"32768"},
            "fault.http.abort.abort_percent":{"layer_values":["","100"],"final_value":"100"},
            "strange":{"layer_values":null},"stranger":7}}"#;
        assert_eq!(
            whole::<RuntimePage>(body),
            Ok(vec!["fault.http.abort.abort_percent".to_owned()])
        );
        for empty in ["{}", r#"{"layers":[],"entries":{}}"#, r#"{"layers":null,"entries":[1]}"#] {
            assert_eq!(whole::<RuntimePage>(empty.as_bytes()), Ok(vec![]), "{empty}");
        }
    }
}
