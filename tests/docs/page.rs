//! Owns the reading of a page of Markdown; must never know what it is about.

use std::fs;
use std::path::Path;

/// The text of a file of this repository.
pub(crate) fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between this heading and the next one of its level or above.
pub(crate) fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("the page has no `{heading}`"));
    let body = &page[start + heading.len() + 2..];
    let level = heading.chars().take_while(|letter| *letter == '#').count();
    let ends = (1..=level).filter_map(|level| body.find(&format!("\n{} ", "#".repeat(level))));
    &body[..ends.min().unwrap_or(body.len())]
}

/// The rows of the first table below its head, each as its cells.
pub(crate) fn table(text: &str) -> Vec<Vec<String>> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with('|'));
    let rows = lines.by_ref().take_while(|line| line.starts_with('|')).skip(2);
    rows.map(cells).collect()
}

/// `\|` is a bar inside of a cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.trim().trim_start_matches('|').replace("\\|", "\u{1}");
    let row = row.strip_suffix('|').unwrap_or(&row);
    row.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect()
}

/// What stands between backticks.
pub(crate) fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
