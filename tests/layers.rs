//! The layers of `ARCHITECTURE.md`, held: which part of the crate may use which, and what pure code
//! may not name.

use std::fs;
use std::path::{Path, PathBuf};

/// A part of the crate, and the parts it may use beside itself.
const ALLOWED: [(&str, &[&str]); 6] = [
    ("main", &["cmd"]),
    ("cmd", &["config", "io", "core"]),
    ("config", &["cli", "core"]),
    ("io", &["core"]),
    ("cli", &[]),
    ("core", &[]),
];

/// What a pure module would need for a side effect, and where it may be named all the same.
const EFFECTS: [(&str, &[&str]); 13] = [
    ("std::env", &["io/command.rs", "config/mod.rs", "main.rs"]),
    ("std::fs", &["io/"]),
    ("std::process", &["io/process.rs", "main.rs"]),
    ("std::io", &["io/", "cmd/"]),
    ("std::thread", &[]),
    ("SystemTime", &["io/"]),
    ("Instant", &["io/", "cmd/"]),
    ("tokio", &["io/", "cmd/"]),
    ("hyper", &["io/http/client.rs"]),
    ("httparse", &["io/http/response.rs"]),
    ("nix", &["io/"]),
    ("signal_hook", &["io/signals.rs"]),
    ("clap", &["cli.rs", "config/"]),
];

/// Every source file: its path below `src`, and its lines outside of tests and comments.
fn sources() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries: Vec<PathBuf> = fs::read_dir(folder)
            .expect("a folder of ours")
            .map(|entry| entry.expect("readable").path())
            .collect();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source is text");
            let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
            let code = code
                .filter(|line| !line.trim_start().starts_with("//"))
                .map(str::to_owned)
                .collect();
            let name = path.strip_prefix(&root).expect("below src");
            sources.push((name.display().to_string(), code));
        }
    }
    assert!(sources.len() > 20, "the sources were not found");
    sources
}

fn part_of(file: &str) -> &str {
    file.split(['/', '.']).next().expect("split gives one part at least")
}

/// Does the line name this path, as a word of its own?
fn names(line: &str, path: &str) -> bool {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    line.match_indices(path).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + path.len()..]);
        !before.ends_with(word)
            && (after.starts_with("::") || after.starts_with(';') || after.starts_with(' '))
    })
}

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for (file, code) in sources().iter().filter(|(file, _)| file != "lib.rs") {
        let part = part_of(file);
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == part)
            .unwrap_or_else(|| panic!("{file}: no layer"));
        for line in code {
            for path in line.split("crate::").skip(1).chain(line.split("meshim::").skip(1)) {
                let used = path
                    .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
                    .next()
                    .unwrap_or_default();
                let is_part = ALLOWED.iter().any(|(name, _)| *name == used);
                if !is_part || (used != part && !allowed.contains(&used)) {
                    wrong.push(format!("{file}: {}", line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_edges_touch_the_world() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (effect, places) in EFFECTS {
            if let Some(line) = code.iter().find(|line| names(line, effect))
                && !places.iter().any(|place| file.starts_with(place))
            {
                wrong.push(format!("{file}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "effects where none belong:\n{}", wrong.join("\n"));
}
