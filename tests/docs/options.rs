//! README's table of settings has a row for each option, with the default that its help tells and
//! the variable that `config` reads.

use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use meshim::cli::{Cli, VARIABLES};

use super::page;

/// Its variable is another one than that of the wait, which the same container may set.
const OTHER_VARIABLE: [(&str, &str); 1] = [("probe", "timeout")];

/// `(command, option)` of everything that may be typed.
fn options() -> Vec<(String, Arg)> {
    let mut command = Cli::command();
    command.build();
    let of = |command: &Command| {
        let name = command.get_name().to_owned();
        let arguments = command.get_arguments().filter(|arg| is_ours(arg)).cloned();
        arguments.map(move |arg| (name.clone(), arg)).collect::<Vec<_>>()
    };
    let subcommands = command.get_subcommands().flat_map(of);
    of(&command).into_iter().chain(subcommands).collect()
}

fn is_ours(arg: &Arg) -> bool {
    let name = arg.get_long().unwrap_or("help");
    !arg.is_hide_set() && name != "help" && name != "version"
}

fn long(arg: &Arg) -> &str {
    arg.get_long().expect("only options with a name are read")
}

/// As README writes it; it stands at the end of the help: `[default: off]`.
fn default_of(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let told = help.split_once("[default: ").map(|(_, rest)| rest.trim_end_matches(']').to_owned());
    let default = told.unwrap_or_else(|| "none".to_owned());
    let repeatable = matches!(arg.get_action(), ArgAction::Append);
    if repeatable { format!("{default}, repeatable") } else { default }
}

/// `--drain-min D`, `--drain-max D` stand in one row, with one default each.
fn listed() -> BTreeMap<String, String> {
    let readme = page::read("README.md");
    let mut listed = BTreeMap::new();
    for cells in page::table(page::section(&readme, "## Settings")) {
        let names: Vec<&str> = page::code(&cells[0]);
        let defaults: Vec<String> = if names.len() > 1 {
            cells[1].split(", ").map(|text| text.replace('`', "")).collect()
        } else {
            vec![cells[1].replace('`', "")]
        };
        assert_eq!(names.len(), defaults.len(), "README.md: one default for each of {names:?}");
        for (name, default) in names.into_iter().zip(defaults) {
            let name = name.split(' ').next().unwrap_or_default().trim_start_matches('-');
            let before = listed.insert(name.to_owned(), default);
            assert!(before.is_none(), "README.md lists --{name} twice");
        }
    }
    listed
}

#[test]
fn readme_lists_every_option_with_its_default() {
    let mut wanted = BTreeMap::new();
    for (_, arg) in options() {
        // The same option means the same in each command; the first is the run's.
        wanted.entry(long(&arg).to_owned()).or_insert_with(|| default_of(&arg));
    }
    let listed = listed();
    for (name, default) in &wanted {
        let told = listed.get(name);
        assert!(told.is_some(), "README.md, Settings: --{name} (default {default}) is missing");
        assert_eq!(told, Some(default), "README.md, Settings: the default of --{name}");
    }
    let unknown: Vec<_> = listed.keys().filter(|name| !wanted.contains_key(*name)).collect();
    assert!(unknown.is_empty(), "README.md, Settings: meshim has no {unknown:?}");
}

#[test]
fn every_option_has_the_variable_that_its_name_says() {
    for (command, arg) in options() {
        let name = long(&arg);
        let rule = format!("MESHIM_{}", name.to_uppercase().replace('-', "_"));
        let id = arg.get_id().as_str().to_uppercase();
        assert!(VARIABLES.contains(&id.as_str()), "{command} --{name} has no variable");
        let variable = format!("MESHIM_{id}");
        let excepted = OTHER_VARIABLE.contains(&(command.as_str(), name));
        assert_eq!(variable == rule, !excepted, "{command} --{name}: {variable}");
        if excepted {
            let readme = page::read("README.md");
            let settings = page::section(&readme, "## Settings");
            assert!(settings.contains(&format!("`{variable}`")), "README.md: {variable}");
        }
    }
}

#[test]
fn an_option_means_the_same_in_every_command() {
    let mut first: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (command, arg) in options() {
        let name = long(&arg).to_owned();
        if OTHER_VARIABLE.contains(&(command.as_str(), name.as_str())) {
            continue;
        }
        let default = default_of(&arg);
        let (earlier, known) =
            first.entry(name.clone()).or_insert_with(|| (command.clone(), default.clone())).clone();
        assert_eq!(default, known, "--{name} of {command} and of {earlier}");
    }
}
