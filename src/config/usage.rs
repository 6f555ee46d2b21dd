//! The words of a command line before clap reads them, what clap says about a line that it refuses,
//! as one sentence, and what can be understood of it all the same.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use super::unknown::nearest;

/// How a command is given.
const FORM: &str = "the command goes behind two dashes: meshim [OPTIONS] -- COMMAND [ARG]...";

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

/// `meshim help` is `meshim --help`, `meshim help drain` is `meshim drain --help`. clap's own
/// subcommand for that would be built at each start.
pub(super) fn spelt_out(args: &[OsString]) -> Vec<OsString> {
    match args {
        [name, help, sub @ ..] if help == "help" && sub.len() <= 1 => {
            let words = [name].into_iter().chain(sub).cloned();
            words.chain(["--help".into()]).collect()
        }
        _ => args.to_vec(),
    }
}

/// clap's message of several paragraphs as one sentence.
pub(super) fn sentence(command: &Command, args: &[OsString], error: &clap::Error) -> String {
    let word = wrong_word(error).filter(|word| !word.starts_with('-'));
    let missing = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    if error.kind() == ErrorKind::MissingRequiredArgument && missing.contains("COMMAND") {
        return format!("no command was given; {FORM}");
    }
    let names = || command.get_subcommands().map(Command::get_name);
    let typed = args.get(1).and_then(|word| word.to_str());
    match (word, names().find(|name| typed == Some(*name))) {
        (Some(word), Some(sub)) => return too_much(sub, word),
        (Some(word), None) => return no_subcommand(word, nearest(word, names())),
        _ => {}
    }
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    // The tip to write `-- --option` would hand it to the application.
    let said: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("tip: to pass")).collect();
    let said = said.join("; ").replace(":; ", ": ");
    format!("{}; see meshim --help", said.strip_prefix("error: ").unwrap_or(&said))
}

/// A subcommand with a word that it has no use for.
fn too_much(sub: &str, word: &str) -> String {
    let advice = match sub {
        "wait" => "to start one after the wait, leave `wait` out: meshim [OPTIONS] -- COMMAND",
        "probe" => "it looks at one target",
        "install" => "it copies into one directory",
        _ => "it stands alone",
    };
    format!("`meshim {sub}` has no use for `{word}`: {advice}; see meshim {sub} --help")
}

/// A word where an option or a subcommand was expected.
fn no_subcommand(word: &str, meant: Option<&str>) -> String {
    let meant = meant.map_or_else(String::new, |meant| format!("did you mean `meshim {meant}`? "));
    format!(
        "`{word}` is no subcommand; {meant}{}{FORM}",
        if meant.is_empty() { "" } else { "else " }
    )
}

#[cfg(test)]
mod tests {
    use super::super::Job;
    use super::super::tests::{loaded, refused};

    #[test]
    fn a_misspelt_subcommand_is_told_with_the_likely_one() {
        for (typed, meant) in
            [("drian", "drain"), ("wiat", "wait"), ("chek", "check"), ("instal", "install")]
        {
            let error = refused(&[typed], &[]);
            let expected = format!("`{typed}` is no subcommand; did you mean `meshim {meant}`?");
            assert!(error.starts_with(&expected), "{error}");
        }
        let error = refused(&["/app", "--port=1"], &[]);
        assert_eq!(
            error,
            "`/app` is no subcommand; the command goes behind two dashes: meshim [OPTIONS] -- \
             COMMAND [ARG]..."
        );
    }

    #[test]
    fn a_subcommand_says_what_it_has_no_use_for() {
        let error = refused(&["wait", "--", "app", "-x"], &[]);
        assert!(error.contains("`meshim wait` has no use for `app`"), "{error}");
        assert!(error.contains("leave `wait` out: meshim [OPTIONS] -- COMMAND"), "{error}");
        let error = refused(&["drain", "now"], &[]);
        assert!(error.contains("`meshim drain` has no use for `now`"), "{error}");
        assert!(error.ends_with("see meshim drain --help"), "{error}");
    }

    #[test]
    fn help_is_a_subcommand_too() {
        let help = |args: &[&str]| match loaded(args, &[]) {
            Ok(Job::Print(help)) => help,
            other => panic!("{args:?}: {other:?}"),
        };
        assert_eq!(help(&["help"]), help(&["--help"]));
        assert_eq!(help(&["help", "drain"]), help(&["drain", "--help"]));
        assert!(refused(&["help", "drian"], &[]).contains("did you mean `meshim drain`?"));
        assert!(matches!(loaded(&["--", "help"], &[]), Ok(Job::Run(_))));
    }
}
