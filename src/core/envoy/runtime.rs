//! Envoy's `/runtime`: which of its values somebody has set by hand.
//!
//! Owns the reading of the `admin` layer, the only one that is set by hand; must never judge.
//! Values are not kept.

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

/// More values than these are set in no proxy.
const MOST_VALUES: usize = 2_000;

/// More names than these tell a reader nothing.
const MOST_NAMES: usize = 50;

/// What Envoy calls the layer of `runtime_modify`, where the bootstrap names none (Istio's:
/// `admin`).
const ADMIN: &str = "admin";

/// Reads `/runtime`: the names of what was set by `runtime_modify` and is still set.
#[derive(Debug)]
pub struct RuntimePage {
    picker: Picker,
    values: Values,
    is_cut: bool,
}

/// The page is a map: its layers may come before its entries or behind them.
#[derive(Debug, Default)]
struct Values {
    /// Where the admin layer stands among the layers.
    admin: Option<usize>,
    /// What is set, and in which layer.
    set: Vec<(usize, String)>,
}

impl Page for RuntimePage {
    type Content = Vec<String>;
    const QUERY: &'static str = "/runtime";
    const MOST_BYTES: usize = 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        let picker = Picker::new(WANTED, MOST_PART);
        Self { picker, values: Values::default(), is_cut: false }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let Self { picker, values, is_cut } = self;
        picker.feed(bytes, &mut |path, part| {
            let read = part.map(|part| match path {
                LAYERS => values.read_layers(part),
                _ => values.read_entries(part),
            });
            *is_cut |= !matches!(read, Some(Ok(())));
        })
    }

    fn end(self) -> Result<Vec<String>, Unread> {
        self.picker.finish()?;
        if self.is_cut {
            return Err(Unread::TooLarge(MOST_PART));
        }
        let Values { admin, set } = self.values;
        let by_hand = set.into_iter().filter(|(layer, _)| Some(*layer) == admin);
        Ok(by_hand.map(|(_, name)| name).take(MOST_NAMES).collect())
    }
}

impl Values {
    fn read_layers(&mut self, part: &[u8]) -> Result<(), Unread> {
        let mut at = 0;
        json::read(part, &mut |layers| {
            layers.items(&mut |layer| {
                layer.with_text(&mut |name| {
                    self.admin = self.admin.or((name == ADMIN).then_some(at));
                });
                at += 1;
            });
        })
    }

    /// A layer that does not set a value has an empty text for it.
    fn read_entries(&mut self, part: &[u8]) -> Result<(), Unread> {
        json::read(part, &mut |entries| {
            entries.fields(&mut |name, entry| {
                entry.at(&["layer_values"], &mut |values| {
                    let mut at = 0;
                    values.items(&mut |value| {
                        let is_set = value.text().is_some_and(|value| !value.is_empty());
                        if is_set && self.set.len() < MOST_VALUES {
                            self.set.push((at, json::clean(name)));
                        }
                        at += 1;
                    });
                });
            });
        })
    }
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
        let turned =
            br#"{"entries":{"a.b":{"layer_values":["","1"]},"c":{"layer_values":["1",""]}},
            "layers":["global config","admin"]}"#;
        assert_eq!(whole::<RuntimePage>(turned), Ok(vec!["a.b".to_owned()]));
        for empty in ["{}", r#"{"layers":[],"entries":{}}"#, r#"{"layers":null,"entries":[1]}"#] {
            assert_eq!(whole::<RuntimePage>(empty.as_bytes()), Ok(vec![]), "{empty}");
        }
    }
}
