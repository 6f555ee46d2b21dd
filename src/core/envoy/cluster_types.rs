//! The types of some clusters (`config_dump`, `dynamic_active_clusters`), masked to name and type.
//!
//! Owns the one question: which of them have no endpoints by nature; must never judge.

use std::time::Duration;

use crate::core::envoy::page::{self, Page};
use crate::core::envoy::picker::{EACH, Path, Picker};
use crate::core::envoy::unread::Unread;
use crate::core::sorted::SortedSet;

const KIND: Path = &["configs", EACH, "@type"];
const NAME: Path = &["configs", EACH, "cluster", "name"];
const TYPE: Path = &["configs", EACH, "cluster", "type"];
const WANTED: &[Path] = &[KIND, NAME, TYPE];

/// More clusters than are ever asked for at once.
const MOST_CLUSTERS: usize = 2_000;

/// Reads the names of those that send each request to where its client wanted it (`ORIGINAL_DST`:
/// headless Services, `resolution: NONE`).
#[derive(Debug)]
pub struct OriginalDestinationsPage {
    picker: Picker,
    name: Option<String>,
    found: SortedSet<String>,
}

impl Page for OriginalDestinationsPage {
    type Content = SortedSet<String>;
    /// The names come behind it, as [`names`](crate::core::envoy::endpoints::names) writes them.
    const QUERY: &'static str = "/config_dump?resource=dynamic_active_clusters\
                                 &mask=cluster.name,cluster.type&name_regex=";
    const MOST_BYTES: usize = 1024 * 1024;
    const WITHIN: Duration = Duration::from_secs(5);

    fn begin() -> Self {
        Self { picker: Picker::new(WANTED, 1024), name: None, found: SortedSet::new() }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Unread> {
        let Self { picker, name, found } = self;
        picker.feed(bytes, &mut |path, part| match path {
            KIND => *name = None,
            NAME => *name = page::value(part),
            _ => {
                let is_one = page::value::<String>(part).is_some_and(|kind| kind == "ORIGINAL_DST");
                found.extend(name.take().filter(|_| is_one && found.len() < MOST_CLUSTERS));
            }
        })
    }

    fn end(self) -> Result<SortedSet<String>, Unread> {
        self.picker.finish().map(|()| self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::page::whole;

    #[test]
    fn those_without_endpoints_by_nature_are_named() {
        let body = br#"{"configs":[{"@type":"x","cluster":{"name":"a","type":"ORIGINAL_DST"}},
            {"@type":"x","cluster":{"name":"b","type":"EDS"}},{"@type":"x","cluster":{"name":"c"}},
            {"@type":"x","cluster":{"type":"ORIGINAL_DST"}},{"@type":"x","cluster":null}]}"#;
        let found = whole::<OriginalDestinationsPage>(body).unwrap();
        assert_eq!(found.into_iter().collect::<Vec<String>>(), ["a"]);
    }
}
