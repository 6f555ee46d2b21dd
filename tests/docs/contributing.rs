//! What CONTRIBUTING.md shows and names is there.

use std::path::Path;

use super::page;

const PAGE: &str = "CONTRIBUTING.md";

#[test]
fn the_test_that_it_shows_is_one_of_ours() {
    let page = page::read(PAGE);
    let shown = page.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next());
    let shown = shown.expect("it shows a test");
    assert!(page::read("tests/it/waiting.rs").contains(shown), "{PAGE}: no such test:\n{shown}");
}

#[test]
fn the_files_that_the_pages_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in [PAGE, "ARCHITECTURE.md", "docs/decisions.md"] {
        let page = page::read(name);
        let folders = ["src/", "tests/", "docs/", "images/", "deploy/", "benches/", "examples/"];
        for file in page::code(&page.replace("```", "")) {
            let is_path = folders.iter().any(|folder| file.starts_with(folder));
            let is_plain = !file.contains([' ', '*', '{', '<', ':']);
            let path = file.trim_end_matches('/');
            assert!(!is_path || !is_plain || root.join(path).exists(), "{name}: no {file}");
        }
    }
}

#[test]
fn the_steps_that_it_names_are_steps() {
    let page = page::read(PAGE);
    let steps = page::read(".ci/run");
    for line in page.lines().filter(|line| line.starts_with(".ci/run ")) {
        let words = line.split('#').next().unwrap_or_default().split_whitespace().skip(1);
        for step in words.filter(|word| !word.starts_with('-')) {
            assert!(steps.contains(&format!("\n#: {step} · ")), "{PAGE}: no step {step}");
        }
    }
}

#[test]
fn the_steps_whose_time_it_tells_are_steps() {
    let page = page::read(PAGE);
    let steps = page::read(".ci/run");
    let start = page.find("| step | seconds |").expect("it tells what each step takes");
    let table = page::table(&page[start..]);
    let told = table.iter().flat_map(|row| page::code(&row[0]));
    let unknown: Vec<&str> =
        told.filter(|step| !steps.contains(&format!("\n#: {step} · "))).collect();
    assert_eq!(unknown, Vec::<&str>::new(), "{PAGE}");
    let told: Vec<&str> = table.iter().flat_map(|row| page::code(&row[0])).collect();
    let names = steps.lines().filter_map(|line| line.strip_prefix("#: ")?.split(' ').next());
    let untold: Vec<&str> =
        names.filter(|step| *step != "cluster-all" && !told.contains(step)).collect();
    assert_eq!(untold, Vec::<&str>::new(), "{PAGE} does not tell what they take");
    // What it tells is a whole run: nothing of it is left to be asked for.
    assert!(steps.contains("\nON_DEMAND='^cluster-all$'\n"), "{PAGE}: another step is on demand");
}

#[test]
fn architecture_stays_a_map() {
    let words = page::read("ARCHITECTURE.md").split_whitespace().count();
    assert!(words <= 1_500, "ARCHITECTURE.md has {words} words; reasons go to docs/decisions.md");
}
