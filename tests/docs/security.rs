//! Each line of SECURITY.md's threat model names the tests that hold it.

use std::path::Path;

use super::page;

const PAGE: &str = "SECURITY.md";

#[test]
fn every_threat_names_tests_that_are_there() {
    let text = page::read(PAGE);
    let rows = page::table(page::section(&text, "## Threat model"));
    assert!(rows.len() > 10, "{PAGE} has lost its table");
    for row in rows {
        let [threat, _, held_by] = &row[..] else { panic!("{PAGE}: {row:?} has three cells") };
        let tests = page::code(held_by);
        assert!(!tests.is_empty(), "{PAGE}: nothing holds `{threat}`");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or((test, ""));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            assert!(path.is_file(), "{PAGE}: no {file}");
            let is_there = name.is_empty() || page::read(file).contains(&format!("fn {name}()"));
            assert!(is_there, "{PAGE}: no test {name} in {file}");
        }
    }
}
