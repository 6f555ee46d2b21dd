//! The fuzzer's targets: no page of a proxy is forgotten.

use std::fs;
use std::path::Path;

use super::page;

/// The names of the types in the sources of this folder that are pages.
fn pages(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            pages(&path, found);
        } else {
            let text = fs::read_to_string(&path).expect("a source");
            let names = text.lines().filter_map(|line| line.strip_prefix("impl Page for "));
            found.extend(names.map(|name| name.trim_end_matches(" {").to_owned()));
        }
    }
}

#[test]
fn each_page_of_a_proxy_is_tried_by_the_fuzzer_and_by_a_property_test() {
    let mut all = Vec::new();
    pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.len() > 15, "the pages were not found: {all:?}");
    for (file, call) in
        [("tests/fuzz/src/targets.rs", "is_read::<"), ("tests/properties/envoy.rs", "holds_for::<")]
    {
        let text = page::read(file);
        for name in &all {
            let tried = text
                .lines()
                .any(|line| line.contains(call) && line.contains(&format!("::{name}>")));
            assert!(tried, "{file}: nothing tries {name}");
        }
    }
}
