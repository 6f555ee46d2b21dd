//! docs/logs.md lists the events that the code logs, and every line of info or above is one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::page;

/// Every source below `folder`, without its tests.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).expect("a folder of ours");
    let mut sources = Vec::new();
    for path in entries.map(|entry| entry.expect("readable").path()) {
        if path.is_dir() {
            sources.extend(self::sources(&path));
        } else {
            let text = fs::read_to_string(&path).expect("a source is text");
            let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
            sources.push((path, text[..end].to_owned()));
        }
    }
    sources
}

/// What stands in `event = "…"` behind each macro of info, warn and error; the failures that `main`
/// tells name theirs in `core/exit`.
fn logged() -> BTreeSet<String> {
    let mut logged = BTreeSet::from(["lines_lost".to_owned()]);
    for (path, text) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        for level in ["info!(", "warn!(", "error!("] {
            for (_, call) in text.match_indices(level).map(|(at, _)| text.split_at(at)) {
                let call = call[level.len()..].trim_start();
                let event = call.strip_prefix("event = ").unwrap_or_else(|| {
                    let line = call.lines().next().unwrap_or_default();
                    panic!("{}: begin it with event = \"…\": {level}{line}", path.display())
                });
                if let Some(name) = event.strip_prefix('"') {
                    logged.insert(name.split('"').next().unwrap_or_default().to_owned());
                }
            }
        }
        if path.ends_with("core/exit.rs") {
            let failures = &text[text.find("let event = match exit").expect("it names them")..];
            let failures = failures.split('}').next().unwrap_or_default();
            logged.extend(failures.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    logged
}

#[test]
fn the_page_lists_the_events_of_the_code() {
    let page = page::read("docs/logs.md");
    let table = page::table(page::section(&page, "## Events"));
    let listed: Vec<String> =
        table.iter().flat_map(|cells| page::code(&cells[0])).map(str::to_owned).collect();
    let unique: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), unique.len(), "docs/logs.md lists an event twice: {listed:?}");
    assert_eq!(unique, logged(), "docs/logs.md, Events");
}

#[test]
fn a_field_with_a_unit_is_in_milliseconds() {
    for (path, text) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cmd")) {
        for unit in ["_secs =", "_seconds =", "_us =", "_s ="] {
            assert!(!text.contains(unit), "{}: log `{unit}` as _ms", path.display());
        }
    }
}
