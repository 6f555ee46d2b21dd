//! README's table of exit codes has a row for each way to end.

use meshim::core::exit::Exit;
use meshim::core::signal::Signal;

use super::page;

/// What the table calls this end. A new one does not compile until it has a row.
fn row(exit: Exit) -> String {
    match exit {
        Exit::App(_) => "the application's own".to_owned(),
        Exit::Signal(_) => "128+n".to_owned(),
        Exit::Yes | Exit::No => "0, 1".to_owned(),
        Exit::CannotExecute | Exit::NotFound => "126, 127".to_owned(),
        Exit::NotReady | Exit::Failed => exit.code().to_string(),
    }
}

#[test]
fn readme_lists_the_exit_codes_of_the_code() {
    let term: Signal = "TERM".parse().expect("a signal");
    let ends = [
        Exit::App(7),
        Exit::Signal(term),
        Exit::NotReady,
        Exit::Failed,
        Exit::CannotExecute,
        Exit::NotFound,
        Exit::Yes,
        Exit::No,
    ];
    assert_eq!(ends.map(Exit::code), [7, 128 + 15, 124, 125, 126, 127, 0, 1]);
    let readme = page::read("README.md");
    let table = page::table(page::section(&readme, "## Exit codes"));
    let listed: Vec<&str> = table.iter().map(|cells| cells[0].as_str()).collect();
    let mut wanted: Vec<String> = ends.into_iter().map(row).collect();
    wanted.dedup();
    assert_eq!(listed, wanted, "README.md, Exit codes");
}
