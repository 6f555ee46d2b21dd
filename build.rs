//! Writes down which commit this binary is built from, for `meshim --version`.
//!
//! `MESHIM_COMMIT` says it where there is no git (a source archive, a container); else git does, for
//! release builds only, since a debug build would be made anew after each commit. Without both, the
//! version stands alone. The same commit gives the same text, so builds stay reproducible.

use std::env;
use std::process::Command;

/// As many digits as `git log` needs for a long time.
const DIGITS: &str = "--short=12";

fn main() {
    println!("cargo::rerun-if-env-changed=MESHIM_COMMIT");
    let given = env::var("MESHIM_COMMIT").ok().filter(|commit| !commit.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given.or_else(|| if is_release { commit_of_git() } else { None });
    let package = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let version = commit.map_or(package.clone(), |commit| format!("{package} ({commit})"));
    println!("cargo::rustc-env=VERSION_AND_COMMIT={version}");
}

/// The commit that is checked out here, and not in a repository around this one.
fn commit_of_git() -> Option<String> {
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if top != folder {
        return None;
    }
    // Changes with each checkout and each commit.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", DIGITS, "HEAD"])
}

#[expect(clippy::disallowed_methods, reason = "the rule is about children of meshim itself")]
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|it| it.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
