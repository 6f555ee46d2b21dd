//! What holds for every setting; and the functions that each file's tests call.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use clap::CommandFactory as _;

use super::*;
use crate::cli::VARIABLES;

/// The job of `meshim ARG…` in this environment, or the sentence that refuses it.
pub(super) fn loaded(args: &[&str], variables: &[(&str, &str)]) -> Result<Job, String> {
    load(&Input::of(args, variables)).job.map_err(|failure| failure.sentence)
}

/// The sentence that refuses it.
#[track_caller]
pub(super) fn refused(args: &[&str], variables: &[(&str, &str)]) -> String {
    match loaded(args, variables) {
        Err(sentence) => sentence,
        Ok(job) => panic!("{args:?}: {job:?}"),
    }
}

/// `meshim ARG… -- app`
#[track_caller]
pub(super) fn run_with(args: &[&str], variables: &[(&str, &str)]) -> RunSettings {
    match loaded(&[args, &["--", "app"]].concat(), variables) {
        Ok(Job::Run(run)) => *run,
        other => panic!("{args:?}: {other:?}"),
    }
}

/// The same without any variable.
#[track_caller]
pub(super) fn run(args: &[&str]) -> RunSettings {
    run_with(args, &[])
}

#[test]
fn each_subcommands_help_begins_as_the_list_tells_it() {
    let list = Cli::command();
    for listed in list.get_subcommands() {
        let Ok(Job::Print(help)) = loaded(&[listed.get_name(), "--help"], &[]) else {
            panic!("{}", listed.get_name())
        };
        assert!(help.starts_with(&listed.get_about().unwrap().to_string()), "{help}");
    }
}

#[test]
fn every_option_of_every_subcommand_has_its_variable_in_the_list() {
    let mut command = Cli::command();
    command.build();
    let mut expected: Vec<String> = std::iter::once(&command)
        .chain(command.get_subcommands())
        .flat_map(clap::Command::get_arguments)
        .filter(|arg| arg.get_long().is_some_and(|long| !["help", "version"].contains(&long)))
        .map(|arg| arg.get_id().as_str().to_ascii_uppercase())
        .chain(["INJECTED", "POD_GRACE"].map(str::to_owned))
        .collect();
    expected.sort();
    expected.dedup();
    let mut listed = VARIABLES.to_vec();
    listed.sort_unstable();
    assert_eq!(listed, expected);
}

#[test]
fn a_variable_is_its_option_and_an_empty_or_blank_one_is_unset() {
    let read = |value| run_with(&[], &[("MESHIM_TIMEOUT", value)]).wait.limits.timeout;
    let seconds = |seconds| Some(std::time::Duration::from_secs(seconds));
    assert_eq!(read("7s"), seconds(7));
    assert_eq!(read(" 7s\n"), seconds(7));
    assert_eq!((read(""), read(" \n")), (seconds(120), seconds(120)));
    let typed = run_with(&["--timeout=3s"], &[("MESHIM_TIMEOUT", "x")]);
    assert_eq!(typed.wait.limits.timeout, seconds(3), "what is typed wins, unread");
}

/// An empty variable is how manifests unset a setting; nobody types an empty argument on purpose.
#[test]
fn an_argument_that_is_empty_or_blank_is_a_mistake() {
    let options = [
        "admin-url",
        "listen",
        "map-signal",
        "mesh",
        "ok-exit",
        "quit-url",
        "stop-signal",
        "timeout",
        "termination-log",
        "wait-for",
    ];
    for option in options {
        for value in ["", " ", "\n", ","] {
            if (option, value) == ("termination-log", ",") {
                continue;
            }
            let typed = format!("--{option}={value}");
            let error = refused(&[&typed, "--quit=always", "--", "app"], &[]);
            assert!(error.starts_with(&format!("--{option}: ")), "{typed:?}: {error}");
        }
        let name = format!("MESHIM_{}", option.to_uppercase().replace('-', "_"));
        run_with(&[], &[(&name, " ")]);
    }
    for directory in ["", " "] {
        let error = refused(&["install", directory], &[]);
        assert!(error.starts_with("DIR: "), "{error}");
    }
}

#[test]
fn a_bad_variable_is_named_with_its_option() {
    let error = refused(&["--", "app"], &[("MESHIM_GRACE", "30"), ("MESHIM_SUPERVISE", "1")]);
    assert!(
        error.starts_with("MESHIM_GRACE (the variable of --grace): `30` has no unit"),
        "{error}"
    );
    let error = refused(
        &["probe", "tcp://127.0.0.1:1"],
        &[("MESHIM_PROBE_TIMEOUT", "0"), ("MESHIM_TIMEOUT", "x")],
    );
    assert!(
        error.starts_with("MESHIM_PROBE_TIMEOUT (the variable of --timeout): a look needs"),
        "{error}"
    );
}

#[test]
fn a_value_that_is_not_utf8_is_named() {
    let mut input = Input::of(&["--", "app"], &[]);
    input.variables = vec![("MESHIM_MESH".into(), OsString::from_vec(b"\xffistio".to_vec()))];
    let error = load(&input).job.unwrap_err().sentence;
    let expected = r"MESHIM_MESH (the variable of --mesh): `\xffistio` is not UTF-8";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn control_characters_of_a_value_stay_in_the_line() {
    let error = refused(&["--admin-url=unix:/a\nb:/c\u{1b}[2J", "--", "app"], &[]);
    assert!(error.contains(r"unix:/a\nb:/c\u{1b}[2J"), "{error}");
    assert!(!error.contains(char::is_control), "{error}");
}

#[test]
fn what_follows_the_two_dashes_is_the_applications() {
    let Ok(Job::Run(run)) = loaded(&["--", "app", "--timeout", "x", "--", "-h"], &[]) else {
        panic!()
    };
    assert_eq!(run.command, ["app", "--timeout", "x", "--", "-h"]);
    let error = refused(&["app"], &[]);
    assert!(error.contains("the command goes behind two dashes"), "{error}");
    assert!(refused(&[], &[]).contains("no command was given"));
}

#[test]
fn every_bad_value_is_reported_at_once_with_its_remedy() {
    let args = ["--timeout", "30", "--mesh=isto", "--log=x", "--", "a"];
    let error = refused(&args, &[("MESHIM_ADMIN_URL", "http://10.1.2.3:15000")]);
    for part in [
        "4 settings are wrong",
        "write 30s",
        "`isto` is no mesh",
        "MESHIM_ADMIN_URL (the variable of --admin-url)",
        "--allow-remote",
        "--log: `x` is not one of error",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for args in [&["--help"][..], &["-V"], &["wait", "-h"]] {
        assert!(matches!(loaded(args, &[]), Ok(Job::Print(_))), "{args:?}");
    }
}

#[test]
fn a_failure_is_told_in_the_form_that_could_be_read() {
    let loaded = load(&Input::of(&["--tiemout=5s", "--", "a"], &[("MESHIM_LOG_FORMAT", "json")]));
    assert_eq!(loaded.report.form, OutputFormat::Json);
    let loaded = load(&Input::of(&["--log-format=json", "--timeout=x", "--", "a"], &[]));
    assert_eq!((loaded.report.form, loaded.report.level), (OutputFormat::Json, LogLevel::Info));
}
