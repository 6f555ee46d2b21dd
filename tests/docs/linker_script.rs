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
        let path: Vec<&str> = match rest.strip_prefix("..") {
            Some(name) => vec![name],
            None => spelled(rest).unwrap_or_else(|| panic!("images/static.ld: {pattern}")),
        };
        let is_there = holds(&Path::new("src").join(layer), &path);
        assert!(is_there, "images/static.ld: there is no {layer}::{}", path.join("::"));
        named += 1;
    }
    assert!(named > 5, "images/static.ld: its patterns were not found");
}

/// The names of a path as the compiler writes it: each behind its length.
fn spelled(mut rest: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (length, behind) = rest.split_at(digits);
        let (name, after) = behind.split_at_checked(length.parse().ok()?)?;
        names.push(name);
        rest = after;
    }
    Some(names)
}

/// Is there a module of these names, or a function of the last one in the module before it?
fn holds(module: &Path, names: &[&str]) -> bool {
    let [first, rest @ ..] = names else { return true };
    let inner = module.join(first);
    if Path::new(env!("CARGO_MANIFEST_DIR")).join(&inner).is_dir()
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(&inner).with_extension("rs").exists()
    {
        return holds(&inner, rest);
    }
    let file = module.with_extension("rs");
    file.is_file() && page::read(&file.to_string_lossy()).contains(&format!("fn {first}("))
}
