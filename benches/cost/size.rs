//! What each contender adds to an image.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Plan;
use super::figures::{Goal, Row};
use super::peers::{Peers, root};

pub(crate) fn rows(peers: &Peers, _: &Plan) -> Vec<Row> {
    let own = bytes(&peers.meshim);
    let row = Row::new("size", "bytes in an image, libraries included", "")
        .goal(Goal::median(1_000_000.0))
        .with("meshim", vec![own])
        .with("sh + curl", vec![with_libraries(&["sh", "curl"])]);
    let peers = ["tini", "dumb-init", "catatonit"];
    let row = peers.iter().fold(row, |row, name| row.with(name, vec![with_libraries(&[name])]));
    // The other architecture's binary, where it has been built.
    let other = if std::env::consts::ARCH == "x86_64" { "aarch64" } else { "x86_64" };
    let built = root().join(format!("target/{other}-unknown-linux-musl/release/meshim"));
    let elsewhere = built.exists().then(|| {
        Row::new("size_elsewhere", format!("the same for {other}"), "")
            .goal(Goal::median(1_000_000.0))
            .with("meshim", vec![bytes(&built)])
    });
    std::iter::once(row).chain(elsewhere).collect()
}

fn bytes(file: &Path) -> f64 {
    let length = fs::metadata(file).map_or(0, |file| file.len());
    f64::from(u32::try_from(length).expect("programs are below 4 GB"))
}

/// These commands and every shared library that `ldd` names for them, each file once.
fn with_libraries(commands: &[&str]) -> f64 {
    let mut files = BTreeSet::new();
    for command in commands {
        let program = in_path(command);
        files.extend(libraries(&program));
        files.insert(program);
    }
    files.iter().map(|file| bytes(file)).sum()
}

fn in_path(command: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(command)).find(|file| file.exists());
    found.and_then(|file| file.canonicalize().ok()).expect("it has told its version before")
}

#[expect(clippy::disallowed_methods, reason = "that rule is for meshim")]
fn libraries(program: &Path) -> Vec<PathBuf> {
    let said =
        Command::new("ldd").arg(program).output().map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let words = said.split_whitespace().filter(|word| word.starts_with('/'));
    words.filter_map(|word| Path::new(word).canonicalize().ok()).collect()
}
