//! What clap says about a command line that it refuses, as one sentence, and what can be understood
//! of it all the same.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

/// What can be understood of a command line that clap refuses: without the words that it takes for
/// wrong, as far as it names them.
pub(super) fn partly(mut command: Command, mut args: Vec<OsString>) -> Option<ArgMatches> {
    loop {
        let error = match command.try_get_matches_from_mut(&args) {
            Ok(matches) => return Some(matches),
            Err(error) => error,
        };
        let ours = args.iter().position(|arg| arg == "--").unwrap_or(args.len());
        let is_wrong = |arg: &OsString| wrong_word(&error).is_some_and(|word| is_word(arg, word));
        // The first one is our own name.
        match (1..ours).find(|at| is_wrong(&args[*at])) {
            Some(at) => drop(args.remove(at)),
            None => break,
        }
    }
    let command = command.ignore_errors(true).mut_subcommands(|sub| sub.ignore_errors(true));
    command.try_get_matches_from(args).ok()
}

fn wrong_word(error: &clap::Error) -> Option<&str> {
    let kinds = [ContextKind::InvalidArg, ContextKind::InvalidSubcommand];
    kinds.into_iter().find_map(|kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    })
}

/// `--tymeout=3s` is the word `--tymeout`.
fn is_word(arg: &OsStr, word: &str) -> bool {
    arg.to_str()
        .and_then(|arg| arg.strip_prefix(word))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
}

/// clap's message of several paragraphs as one sentence.
pub(super) fn sentence(error: &clap::Error) -> String {
    const FORM: &str = "the command goes behind two dashes: meshim [OPTIONS] -- COMMAND [ARG]...";
    let missing = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    if error.kind() == ErrorKind::MissingRequiredArgument && missing.contains("COMMAND") {
        return format!("no command was given; {FORM}");
    }
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    // The tip to write `-- --option` would hand it to the application.
    let said: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("tip: to pass")).collect();
    let said = said.join("; ").replace(":; ", ": ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if !word.starts_with('-') => format!("{said}; {FORM}"),
        _ => format!("{said}; see meshim --help"),
    }
}
