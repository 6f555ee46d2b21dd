//! docs/migrating.md explains every variable of another helper that meshim names at its start.

use meshim::config::LEFTOVERS;

use super::page;

#[test]
fn the_page_explains_every_leftover() {
    let text = page::read("docs/migrating.md");
    let explained = page::code(&text);
    for leftover in LEFTOVERS {
        let begins = |code: &&str| {
            code.strip_prefix(leftover.name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        };
        assert!(explained.iter().any(begins), "docs/migrating.md: {leftover:?}");
    }
}
