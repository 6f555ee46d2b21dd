//! Holds the layers and rooms of `ARCHITECTURE.md`: who may use whom, which crate belongs where, no
//! circle anywhere, no name of a type with two meanings. `fixtures/` has one small tree for each
//! refusal.

mod fixtures;
mod house;
mod rules;
mod tree;
mod uses;

use std::fs;
use std::path::Path;

use self::house::HOUSE;
use self::rules::Read;

fn ours() -> Read<'static> {
    let read = Read::new(&HOUSE, Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(read.files() > 60, "the sources were not found");
    read
}

#[track_caller]
fn holds(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{} {what}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_file_stands_in_a_room() {
    holds("files without a room (tests/layers/house.rs)", &ours().without_a_room());
}

#[test]
fn arrows_point_down() {
    holds("arrows that point up", &ours().arrows_up());
    holds("rooms out of order in tests/layers/house.rs", &ours().rooms_out_of_order());
}

#[test]
fn there_are_0_circles() {
    let circles = ours().circles();
    println!("{} circles between {} files", circles.len(), ours().files());
    holds("circles", &circles);
}

/// The name says whose it is (`DrainPlan`, `WaitPlan`), or is Envoy's own name for the message.
#[test]
fn a_name_of_a_type_means_one_thing() {
    holds("names of types that are defined twice", &ours().types_defined_twice());
}

#[test]
fn every_crate_is_known_and_stays_in_its_place() {
    holds("crates out of place", &ours().crates());
}

#[test]
fn only_the_edges_touch_the_world() {
    holds("effects where none belong", &ours().effects());
}

/// Whoever opens a file sees in its first lines whether it is the right one.
#[test]
fn every_file_begins_with_what_it_owns_and_must_never_do() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for path in tree::files(&root.join("src")) {
        let text = fs::read_to_string(&path).expect("a source is text");
        let path = path.strip_prefix(root).expect("below the root");
        // What only lists modules or holds tests owns nothing.
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let is_list = ["lib", "main", "mod"].contains(&name);
        let is_test = name.ends_with("tests")
            || name == "fixtures"
            || path.iter().any(|part| part == "tests");
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
        let head = head.concat();
        let says = head.contains(" Owns ") && head.contains("ust never ");
        if !is_list && !is_test && !says {
            wrong.push(path.display().to_string());
        }
    }
    holds("files that do not begin with what they own and must never do", &wrong);
}

/// Is it a program of ours? By its name, or by the line that says what runs it.
fn is_program(path: &Path) -> bool {
    ["rs", "py", "sh", "go", "Dockerfile"].iter().any(|kind| tree::has_extension(kind)(path))
        || fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"#!"))
}

/// Rust's formatter leaves comments, texts and macros as they are; scripts have none.
#[test]
fn lines_have_at_most_100_columns() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for folder in [".ci", "benches", "docs", "examples", "images", "src", "tests"] {
        for path in tree::files_that(&root.join(folder), &is_program) {
            let text = fs::read_to_string(&path).expect("a source is text");
            let long = |(_, line): &(usize, &str)| line.chars().count() > 100;
            let path = path.strip_prefix(root).expect("below the root").display();
            let lines = text.lines().enumerate().filter(long);
            wrong.extend(lines.map(|(at, _)| format!("{path}:{}", at + 1)));
        }
    }
    holds("lines of more than 100 columns", &wrong);
}
