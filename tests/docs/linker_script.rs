//! What images/static.ld moves apart is there: a module that was renamed would be resident again.

use std::path::Path;

use super::page;

#[test]
fn the_modules_that_it_names_are_there() {
    let script = page::read("images/static.ld");
    let mut named = 0;
    for pattern in script.split(".text.*").skip(1).filter_map(|rest| rest.split('*').next()) {
        let layer = ["core", "cmd", "io", "config", "cli"]
            .into_iter()
            .find(|layer| pattern.starts_with(layer));
        // As the compiler writes a path: each name behind its length.
        let Some((layer, rest)) = layer.map(|layer| (layer, &pattern[layer.len()..])) else {
            continue;
        };
        // In the name of a trait's implementation, dots stand where the length would.
        let name = rest.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '.');
        let is_spelled = rest == format!("{}{name}", name.len()) || rest == format!("..{name}");
        assert!(is_spelled, "images/static.ld: {pattern}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(layer).join(name);
        let is_there = path.is_dir() || path.with_extension("rs").exists();
        assert!(is_there, "images/static.ld: there is no {layer}::{name}");
        named += 1;
    }
    assert!(named > 5, "images/static.ld: its patterns were not found");
}
