//! Every case of the inits' own suites by its name there: the same around meshim, or why not.
//!
//! dumb-init 1.2.5: the functions of `tests/*_test.py`. tini 0.19: what `test/run_inner_tests.py`
//! and `run_outer_tests.py` say that they run. catatonit has no suite: its issues 4 and 5. Istio:
//! the cases of `TestHandleQuit` (`pilot/cmd/pilot-agent/status/server_test.go`).

use std::path::Path;
use std::process::Command;

use crate::MESHIM;
use crate::support::process::Process;

/// What meshim does about a case of the originals.
enum Here {
    /// The same, held by this test: of this program, or in another file.
    Same(&'static str),
    /// Something else, for this reason.
    Differs(&'static str),
}
use Here::{Differs, Same};

const FORWARDED: &str = "every_signal_that_any_of_the_others_forwards_is_forwarded";
const REAPED: &str = "orphans_are_reaped_and_groups_are_signalled_as_by_the_others";
const EXITS: &str = "exit_codes_are_passed_on_as_by_the_others";
const GROUP: &str = "a_group_whose_leader_ignores_the_signal_ends_with_the_rest";
const QUIT: &str = "istios_quit_handler_gets_what_it_demands";
const JOB: &str =
    "tests/it/terminal.rs::a_shell_outside_stops_and_continues_the_one_job_it_has_started";
const PARENT: &str =
    "tests/it/parent_death.rs::the_death_of_the_parent_reaches_the_application_also_as_a_kill";
const TERMINAL: &str =
    "tests/it/terminal.rs::an_interactive_shell_has_its_keys_its_jobs_and_its_exit_code";
const NOT_STOPPED: &str = "the three are forwarded like others, as to a program without an init; \
                           meshim stops only with its application, and under a shell";
const SUBREAPER: &str = "no option: meshim is always a subreaper where it is not PID 1";
const NO_POST: &str = "no command runs behind the application: --quit is for proxies";

/// dumb-init's cases, by file and function.
const DUMB_INIT: &[(&str, Here)] = &[
    ("child_processes: test_setsid_signals_entire_group", Same(GROUP)),
    (
        "child_processes: test_no_setsid_doesnt_signal_entire_group",
        Same("without_a_group_the_child_alone_gets_the_signal"),
    ),
    (
        "child_processes: test_all_processes_receive_term_on_exit_if_setsid",
        Differs("who outlives the application is ended by the container's end"),
    ),
    (
        "child_processes: test_processes_dont_receive_term_on_exit_if_no_setsid",
        Same("who_outlives_the_application_gets_no_signal"),
    ),
    (
        "child_processes: test_fails_nonzero_with_bad_exec",
        Same("a_command_that_is_not_there_is_127_and_named"),
    ),
    ("cli: test_no_arguments_prints_usage", Same("a_wrong_command_line_starts_nothing")),
    ("cli: test_exits_invalid_with_invalid_args", Same("a_wrong_command_line_starts_nothing")),
    ("cli: test_help_message", Same("help_and_version_are_printed_and_are_no_failure")),
    ("cli: test_version_message", Same("help_and_version_are_printed_and_are_no_failure")),
    ("cli: test_verbose", Differs("--log debug, in its own words; orphans are no news")),
    ("cli: test_verbose_and_single_child", Differs("the same, and a single child is the default")),
    ("cli: test_rewrite_errors", Same("a_wrong_rewrite_starts_nothing")),
    (
        "cwd: test_working_directories",
        Differs(
            "the application's is kept (the_working_directory_stays), and meshim's own is not \
             changed to /: a container's is not unmounted while it runs",
        ),
    ),
    (
        "execs_observers: test_execs_observers (in no release)",
        Differs("no command runs beside the application"),
    ),
    ("exit_status: test_exit_status_regular_exit", Same(EXITS)),
    ("exit_status: test_exit_status_terminated_by_signal", Same(EXITS)),
    ("proxies_signals: test_proxies_signals", Same(FORWARDED)),
    (
        "proxies_signals: test_proxies_signals_with_rewrite",
        Same("signals_are_rewritten_as_by_dumb_init"),
    ),
    (
        "proxies_signals: test_default_rewrites_can_be_overriden_with_setsid_enabled",
        Differs(NOT_STOPPED),
    ),
    (
        "proxies_signals: test_ignored_signals_are_not_proxied",
        Same("signals_are_rewritten_as_by_dumb_init"),
    ),
    ("shell_background: test_shell_background_support_setsid", Differs(NOT_STOPPED)),
    ("shell_background: test_prints_signals", Differs(NOT_STOPPED)),
    ("shell_background: a shell in front of it stops and continues it", Same(JOB)),
    ("tty: test_tty", Same(TERMINAL)),
    ("tty: test_child_gets_controlling_tty_if_we_had_one", Same(TERMINAL)),
    (
        "tty: test_sighup_sigcont_ignored_if_was_session_leader",
        Differs(
            "no new session is made, so that the kernel sends neither; a hang-up is forwarded \
             (tests/it/terminal.rs)",
        ),
    ),
];

/// tini's, by what its scripts print and do.
const TINI: &[(&str, Here)] = &[
    ("inner: exit code test, inclusive", Same("each_exit_code_alone_counts_as_zero")),
    ("inner: exit code test, exclusive", Same("each_exit_code_alone_counts_as_zero")),
    ("inner: post command test (in no release)", Differs(NO_POST)),
    ("inner: post command chain test (in no release)", Differs(NO_POST)),
    ("inner: reaping test, under another subreaper", Same(REAPED)),
    ("inner: reaping test, -s", Differs(SUBREAPER)),
    ("inner: reaping test, TINI_SUBREAPER", Differs(SUBREAPER)),
    ("inner: reaping display test, -w", Differs("reaping says nothing: it is not news")),
    ("inner: signal test, TERM, USR1, USR2", Same("a_signal_ends_what_has_no_handler")),
    ("inner: process group test (arguments)", Same(GROUP)),
    (
        "inner: process group test (environment variable)",
        Differs("the variable is MESHIM_SIGNAL_GROUP, not TINI_KILL_PROCESS_GROUP"),
    ),
    ("inner: zombie reaping failure test (Tini should warn)", Differs(SUBREAPER)),
    ("inner: signal configuration test", Same("mask_and_ignored_signals_are_the_original_ones")),
    ("inner: parent death signal test", Same(PARENT)),
    ("outer: reaping test, as PID 1", Same(REAPED)),
    ("outer: signals test, as PID 1: INT, TERM", Same(FORWARDED)),
    ("outer: exit code test, -z: no such option", Same("a_wrong_command_line_starts_nothing")),
    (
        "outer: exit code test, zzzz: no such command",
        Differs("127, as from a shell, not 1 (a_command_that_is_not_there_is_127_and_named)"),
    ),
    ("outer: exit code test, -h", Same("help_and_version_are_printed_and_are_no_failure")),
    (
        "outer: valgrind: no leak around ls",
        Differs("no unsafe code, and memory that stays flat for an hour: tests/soak"),
    ),
    ("outer: packages (deb, rpm)", Differs("there are none: images, and `meshim install`")),
];

const OTHERS: &[(&str, Here)] = &[
    ("catatonit #4: two deaths, one SIGCHLD", Same("the_childs_end_is_not_lost_among_others")),
    ("catatonit #5: an exit code of 127", Same("exit_code_127_is_an_end_like_others")),
    ("istio TestHandleQuit: by POST", Same(QUIT)),
    ("istio TestHandleQuit: by POST over IPv6", Same(QUIT)),
    ("istio TestHandleQuit: needs POST", Same(QUIT)),
    ("istio TestHandleQuit: needs localhost", Same(QUIT)),
];

/// Is there such a test?
fn exists(test: &str) -> bool {
    let own = [include_str!("main.rs"), include_str!("peers.rs"), include_str!("cases.rs")];
    let (text, name) = match test.split_once("::") {
        Some((file, name)) => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            (std::fs::read_to_string(path).unwrap_or_default(), name)
        }
        None => (own.concat(), test),
    };
    text.contains(&format!("\nfn {name}()"))
}

#[test]
fn every_case_of_the_originals_has_a_test_or_a_reason() {
    for (suite, cases) in [("dumb-init", DUMB_INIT), ("tini", TINI), ("others", OTHERS)] {
        for (case, here) in cases {
            match here {
                Same(test) => {
                    assert!(exists(test), "{suite}: {case}: no test {test}");
                    println!("{suite}: {case}: same ({test})");
                }
                Differs(why) => println!("{suite}: {case}: differs: {why}"),
            }
        }
    }
}

fn run(line: &[&str]) -> crate::support::process::Ended {
    Process::spawn(Command::new(MESHIM.line[0]).args(line)).wait()
}

#[test]
fn a_wrong_command_line_starts_nothing() {
    for (line, named) in [
        (&[][..], "meshim [OPTIONS] -- COMMAND"),
        (&["--yolo", "--", "echo", "started"], "--yolo"),
        (&["-z", "--", "echo", "started"], "-z"),
    ] {
        let ended = run(line);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{line:?}: {ended:?}");
        assert!(ended.stderr.contains(named), "{line:?}: {}", ended.stderr);
    }
}

#[test]
fn help_and_version_are_printed_and_are_no_failure() {
    for (option, part) in [
        ("-h", "Usage: meshim"),
        ("--help", "Usage: meshim"),
        ("-V", concat!("meshim ", env!("CARGO_PKG_VERSION"))),
        ("--version", concat!("meshim ", env!("CARGO_PKG_VERSION"))),
    ] {
        let ended = run(&[option]);
        assert!(ended.code == Some(0) && ended.stdout.contains(part), "{option}: {ended:?}");
    }
}

#[test]
fn a_wrong_rewrite_starts_nothing() {
    // dumb-init's list, without its option that has no value at the end.
    let wrong: [&[&str]; 8] = [
        &["", "1:2"],
        &["herp"],
        &["herp:derp"],
        &["15"],
        &["15::12"],
        &["15:derp"],
        &["15:12", "0"],
        &["15:12", "1:32"],
    ];
    for maps in wrong {
        let options = maps.iter().map(|map| format!("--map-signal={map}"));
        let options: Vec<String> = options.chain(["--mesh=none".to_owned()]).collect();
        let line: Vec<&str> = options.iter().map(String::as_str).collect();
        let ended = run(&[&line[..], &["--", "echo", "started"]].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(125), ""), "{maps:?}: {ended:?}");
    }
}
