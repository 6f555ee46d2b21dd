//! `docs/findings.md` has a section for each code, and none besides.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use meshim::core::findings::codes::Code;

use super::page;

const PAGE: &str = "docs/findings.md";

/// What each section says, in this order.
const PARTS: [&str; 4] = ["Seen", "Why", "Remedy", "Source"];

#[test]
fn every_code_has_its_section_and_every_section_its_code() {
    let page = page::read(PAGE);
    let sections = page.lines().filter_map(|line| line.strip_prefix("### `"));
    let sections: Vec<&str> = sections.map(|line| line.trim_end_matches('`')).collect();
    let explained: BTreeSet<&str> = sections.iter().copied().collect();
    assert_eq!(explained.len(), sections.len(), "{PAGE} explains a code twice: {sections:?}");
    let codes: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(codes.len(), Code::ALL.len(), "two codes have the same name");
    let missing: Vec<_> = codes.difference(&explained).collect();
    let unknown: Vec<_> = explained.difference(&codes).collect();
    assert!(missing.is_empty(), "{PAGE} does not explain {missing:?}");
    assert!(unknown.is_empty(), "core/findings/codes.rs does not know {unknown:?} of {PAGE}");
}

#[test]
fn every_section_says_how_bad_what_why_and_what_to_do() {
    let page = page::read(PAGE);
    for code in Code::ALL {
        let section = page::section(&page, &format!("### `{code}`"));
        let severities: Vec<&str> = code.severities().iter().map(|one| one.name()).collect();
        let severities = format!("Severity: {}", severities.join(", "));
        let first = section.trim().lines().next().unwrap_or_default();
        assert!(
            first.starts_with(&severities) && !first[severities.len()..].starts_with([',', ' ']),
            "{code}: {PAGE} says `{first}`, the code `{severities}`"
        );
        let mut rest = section;
        for part in PARTS {
            let start = rest.find(&format!("\n- {part}: "));
            let start = start.unwrap_or_else(|| panic!("{code}: {PAGE} lacks `- {part}: ` there"));
            rest = &rest[start + 1..];
        }
    }
}

#[test]
fn every_code_is_found_by_some_judge() {
    let mut text = String::new();
    read_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    for code in Code::ALL {
        let name = format!("Code::{code:?}");
        let used = text.match_indices(&name).any(|(at, _)| {
            !text[at + name.len()..].starts_with(|next: char| next.is_alphanumeric())
        });
        assert!(used, "{code}: no judge finds it; drop its row in core/findings/codes.rs");
    }
}

/// All sources without their unit tests.
fn read_below(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            read_below(&path, text);
        } else if !path.ends_with("tests.rs") {
            let source = fs::read_to_string(&path).expect("a source is text");
            text.push_str(source.split("#[cfg(test)]\nmod tests").next().unwrap_or_default());
        }
    }
}
