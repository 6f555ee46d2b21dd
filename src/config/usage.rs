//! What clap says about a command line that it refuses, as one sentence, and what can be understood
//! of such a line all the same.
//!
//! Owns these sentences, and the words before clap reads them; must never advise a form that hands
//! an option to the application.

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
        [name, help, sub @ ..] if help == "help" => {
            let words = [name].into_iter().chain(sub.first().filter(|sub| *sub != "help")).cloned();
            words.chain(["--help".into()]).collect()
        }
        [name, version] if version == "version" => vec![name.clone(), "--version".into()],
        _ => args.to_vec(),
    }
}

/// What is wrong with a command line, as one sentence. clap says it in several paragraphs, and with
/// a tip to write `-- --option`, which would hand a misspelt option to the application.
pub(super) fn sentence(command: &Command, args: &[OsString], error: &clap::Error) -> String {
    let typed = args.get(1).and_then(|word| word.to_str());
    let sub = command.get_subcommands().map(Command::get_name).find(|name| typed == Some(*name));
    let name = sub.map_or_else(|| "meshim".to_owned(), |sub| format!("meshim {sub}"));
    let word = wrong_word(error).unwrap_or_default();
    // `--timeout <D>` is how help shows it.
    let option = word.split([' ', '[']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand if !word.starts_with('-') => {
            match (sub, flag_before(word, args)) {
                (_, Some(flag)) => format!("`{flag} {word}` is two words; write {flag}={word}"),
                (Some(sub), None) => too_much(sub, word),
                (None, None) => no_subcommand(command, word, args),
            }
        }
        ErrorKind::UnknownArgument => {
            if let Some((option, number)) = negative(word, args) {
                return format!("{option}: `{number}` must not be negative");
            }
            let meant = match (owners(command, word), error.get(ContextKind::SuggestedArg)) {
                (Some(owners), _) => format!(", {owners}; see"),
                (None, Some(ContextValue::String(meant))) => format!("; did you mean {meant}? See"),
                _ => "; see".to_owned(),
            };
            format!("`{name}` has no option {word}{meant} {name} --help")
        }
        ErrorKind::InvalidValue => format!("{option} needs a value; write {word}"),
        ErrorKind::ArgumentConflict => format!("{option} is given twice; give it once"),
        ErrorKind::MissingRequiredArgument if sub.is_none() => {
            format!("no command was given; {FORM}")
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = error.get(ContextKind::InvalidArg).map(ToString::to_string);
            let missing = missing.unwrap_or_default().replace(['<', '>'], "");
            format!("`{name}` needs a {missing}; see {name} --help")
        }
        _ => {
            let text = error.render().to_string();
            let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
            let said = lines.collect::<Vec<&str>>().join(" ");
            format!("{}; see {name} --help", said.strip_prefix("error: ").unwrap_or(&said))
        }
    }
}

/// The option before a word that switches something: `--drain false` would be one.
fn flag_before<'a>(word: &str, args: &'a [OsString]) -> Option<&'a str> {
    let switches = ["true", "false", "1", "0"].contains(&word);
    let at = args.iter().position(|arg| arg == word).filter(|_| switches)?;
    let before = args.get(at.checked_sub(1)?)?.to_str()?;
    before.strip_prefix("--").is_some_and(|name| !name.is_empty()).then_some(before)
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

/// The option and its value where clap takes a negative number for an option: `--timeout -1s`.
fn negative<'a>(word: &str, args: &'a [OsString]) -> Option<(&'a str, &'a str)> {
    word.strip_prefix('-')
        .filter(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))?;
    let at = args.iter().position(|arg| arg.to_str().is_some_and(|arg| arg.starts_with(word)))?;
    Some((args.get(at.checked_sub(1)?)?.to_str()?, args[at].to_str()?))
}

/// Which others have an option that this one has not: `` `meshim check` has``.
fn owners(command: &Command, option: &str) -> Option<String> {
    let mut command = command.clone();
    command.build();
    let has = |command: &&Command| {
        command
            .get_arguments()
            .any(|arg| arg.get_long().is_some() && arg.get_long() == option.strip_prefix("--"))
    };
    let run = has(&&command).then(|| "`meshim -- COMMAND`".to_owned());
    let subs =
        command.get_subcommands().filter(has).map(|sub| format!("`meshim {}`", sub.get_name()));
    let owners: Vec<String> = run.into_iter().chain(subs).collect();
    let verb = if owners.len() > 1 { "have" } else { "has" };
    // What nearly all have tells nothing.
    matches!(owners.len(), 1..=2).then(|| format!("{} {verb}", owners.join(" and ")))
}

/// A word where an option or a subcommand was expected.
fn no_subcommand(command: &Command, word: &str, args: &[OsString]) -> String {
    if command.get_subcommands().any(|sub| sub.get_name() == word) {
        let others =
            args.iter().skip(1).filter(|arg| *arg != word).map(|arg| arg.to_string_lossy());
        let others = others.collect::<Vec<_>>().join(" ");
        return format!("the subcommand comes first: meshim {word} {others}");
    }
    match nearest(word, command.get_subcommands().map(Command::get_name)) {
        Some(meant) => {
            format!("`{word}` is no subcommand; did you mean `meshim {meant}`? Else {FORM}")
        }
        None => format!("`{word}` is no subcommand; {FORM}"),
    }
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
    fn a_subcommand_behind_its_options_is_told_where_it_goes() {
        let error = refused(&["--mesh", "none", "wait"], &[]);
        assert_eq!(error, "the subcommand comes first: meshim wait --mesh none");
        let error = refused(&["--allow-remote", "probe", "tcp://127.0.0.1:1"], &[]);
        let expected = "the subcommand comes first: meshim probe --allow-remote tcp://127.0.0.1:1";
        assert_eq!(error, expected);
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
    fn an_option_that_is_not_understood_is_named_with_what_would_be_right() {
        let table: [(&[&str], &str); 17] = [
            (&["--tiemout=5s", "--", "a"], "did you mean --timeout? See meshim --help"),
            (&["-t", "5s", "--", "a"], "`meshim` has no option -t; see meshim --help"),
            (&["wait", "--drian"], "`meshim wait` has no option --drian; see meshim wait --help"),
            (
                &["wait", "--drain"],
                "`meshim wait` has no option --drain, `meshim -- COMMAND` has; see meshim wait",
            ),
            (
                &["--output", "json", "--", "a"],
                "`meshim` has no option --output, `meshim check` and `meshim doctor` have; see",
            ),
            (&["check", "--timeout=1s"], "`meshim check` has no option --timeout; "),
            (&["quit", "--drain-min=1s"], "`meshim -- COMMAND` and `meshim drain` have; see"),
            (&["--timeout", "-1s", "--", "a"], "--timeout: `-1s` must not be negative"),
            (&["--timeout=-1s", "--", "a"], "--timeout: `-1s` must not be negative"),
            (&["drain", "--drain-min", "-1"], "--drain-min: `-1` must not be negative"),
            (&["--ok-exit", "-15", "--", "a"], "--ok-exit: `-15` must not be negative"),
            (&["--drain", "false", "--", "a"], "write --drain=false"),
            (&["--timeout", "--", "a"], "--timeout needs a value; write --timeout <D>"),
            (&["--quit=never", "--quit=always", "--", "a"], "--quit is given twice; give it once"),
            (&["--drain", "--drain", "--", "a"], "--drain is given twice; give it once"),
            (&["probe"], "`meshim probe` needs a TARGET; see meshim probe --help"),
            (&["install"], "`meshim install` needs a DIR; see meshim install --help"),
        ];
        for (args, part) in table {
            let error = refused(args, &[]);
            assert!(error.contains(part) && !error.contains('\n'), "{args:?}: {error}");
        }
    }

    #[test]
    fn help_is_a_subcommand_too() {
        let help = |args: &[&str]| match loaded(args, &[]) {
            Ok(Job::Print(help)) => help,
            other => panic!("{args:?}: {other:?}"),
        };
        assert_eq!(help(&["help"]), help(&["--help"]));
        assert_eq!(help(&["help", "help"]), help(&["--help"]));
        assert_eq!(help(&["version"]), help(&["--version"]));
        assert_eq!(help(&["help", "drain"]), help(&["drain", "--help"]));
        assert_eq!(help(&["help", "drain", "now"]), help(&["drain", "--help"]));
        assert!(refused(&["help", "drian"], &[]).contains("did you mean `meshim drain`?"));
        assert!(matches!(loaded(&["--", "help"], &[]), Ok(Job::Run(_))));
    }
}
