//! One version, above the last one that was released, in Cargo.toml, the changelog, the pages and
//! the manifests.

use std::fs;
use std::path::{Path, PathBuf};

use super::page;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `1.10.2` is above `1.9.3`.
fn parts(version: &str) -> [u32; 3] {
    let parts = version.splitn(3, '.').map(|part| part.parse().unwrap_or_default());
    parts
        .collect::<Vec<u32>>()
        .try_into()
        .unwrap_or_else(|_| panic!("{version} has no three parts"))
}

/// The versions of the changelog, in its order: `## 0.2.0 (unreleased)`, `## 0.1.0 (2026-01-31)`.
fn versions(changelog: &str) -> Vec<&str> {
    let headings = changelog.lines().filter_map(|line| line.strip_prefix("## "));
    headings.map(|heading| heading.split(' ').next().unwrap_or_default()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).expect("a folder of ours").map(|entry| entry.expect("readable"));
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files(&path),
            path => vec![path],
        })
        .collect()
}

#[test]
fn the_changelog_begins_with_this_version_and_each_is_above_the_next() {
    let changelog = page::read("CHANGELOG.md");
    let versions = versions(&changelog);
    assert_eq!(versions.first(), Some(&VERSION), "CHANGELOG.md and Cargo.toml");
    assert!(versions.len() > 1, "CHANGELOG.md has lost the versions before");
    assert!(
        versions.is_sorted_by(|newer, older| parts(newer) > parts(older)),
        "CHANGELOG.md: {versions:?}"
    );
}

#[test]
fn both_lock_files_have_this_version() {
    for path in ["Cargo.lock", "tests/fuzz/Cargo.lock"] {
        let wanted = format!("name = \"meshim\"\nversion = \"{VERSION}\"\n");
        assert!(page::read(path).contains(&wanted), "{path}");
    }
}

/// Images by their tags, and the binaries of a release.
#[test]
fn whatever_names_a_released_file_names_this_version() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders =
        ["deploy", "docs", "images", "examples", "tests/manifests/fixtures", "tests/cluster"];
    let mut paths: Vec<PathBuf> =
        folders.iter().flat_map(|folder| files(&root.join(folder))).collect();
    paths.push(root.join("README.md"));
    let mut named = 0;
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for before in ["/meshim:", "/meshim-base:", "oci:image:", "dist/meshim-"] {
            for (at, _) in text.match_indices(before) {
                let rest = &text[at + before.len()..];
                if rest.starts_with(|letter: char| letter.is_ascii_digit()) {
                    let line = rest.lines().next().unwrap_or_default();
                    assert!(rest.starts_with(VERSION), "{}: {before}{line}", path.display());
                    named += 1;
                }
            }
        }
    }
    assert!(named > 20, "{named} places");
}
