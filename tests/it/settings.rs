//! Settings as a user gives them: what is said about those that were not understood.

use std::os::unix::ffi::OsStringExt as _;

use super::support::directory::Directory;
use super::support::meshim::Meshim;

#[test]
fn a_misspelt_variable_is_a_warning_and_the_application_starts() {
    let ended = Meshim::starts(["echo", "started"])
        .env("MESHIM_MESH", "none")
        .env("MESHIM_TIMEOT", "60s")
        .env("MESHIM_WEB_SERVICE_HOST", "10.0.0.1")
        .env("MESHIM_PORT", "tcp://10.0.0.1:80")
        .run()
        .expect_code(0);
    assert_eq!(ended.stdout, "started\n");
    let (first, second) = ended.stderr.split_once('\n').expect("a line");
    let expected = "meshim: warning: MESHIM_TIMEOT is no variable that meshim knows; did you mean \
                    MESHIM_TIMEOUT?";
    assert_eq!(first, expected);
    assert!(second.starts_with("meshim: this process becomes the application pid="), "{second}");
}

#[test]
fn what_another_helper_has_left_over_is_told_with_its_new_name() {
    let ended = Meshim::starts(["true"])
        .env("MESHIM_MESH", "none")
        .env("ENVOY_ADMIN_API", "http://127.0.0.1:15000")
        .env("LINKERD_AWAIT_DISABLED", "a reason")
        .run()
        .expect_code(0);
    let expected = "meshim: ENVOY_ADMIN_API is a variable of scuttle and does nothing here: the \
                    proxy is found by itself; MESHIM_ADMIN_URL where its admin API is elsewhere";
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("variable")).collect();
    // The other one has got its place: MESHIM_MESH.
    assert_eq!(told, [expected]);
}

#[test]
fn every_subcommand_warns_of_a_misspelt_variable_and_hooks_leave_other_helpers_to_the_run() {
    let directory = Directory::new();
    let into = directory.path().display().to_string();
    let table: [(&str, &[&str], i32); 7] = [
        ("wait", &["--mesh=none"], 0),
        ("check", &["--mesh=none"], 0),
        ("doctor", &["--mesh=none"], 0),
        ("drain", &["--mesh=none", "--drain-min=0", "--drain-max=0"], 0),
        ("quit", &["--mesh=none"], 0),
        ("probe", &["tcp://127.0.0.1:1"], 1),
        ("install", &[&into], 0),
    ];
    for (subcommand, options, code) in table {
        let run = Meshim::does(subcommand).with(options.iter().copied());
        let run = run.env("MESHIM_TIMEOT", "1s").env("ISTIO_QUIT_API", "http://127.0.0.1:15020");
        let ended = run.run().expect_code(code).expect_stderr(&["did you mean MESHIM_TIMEOUT?"]);
        let is_read_along = ["wait", "check", "doctor"].contains(&subcommand);
        assert_eq!(ended.stderr.contains("scuttle"), is_read_along, "{ended:#?}");
    }
}

/// cargo hands what a build script sets to `cargo run`, too.
#[test]
fn the_build_sets_no_variable_that_looks_like_a_setting() {
    let build = include_str!("../../build.rs");
    assert!(build.contains("rustc-env=") && !build.contains("rustc-env=MESHIM_"));
}

#[test]
fn every_bad_setting_is_named_at_once_in_one_line_of_either_form() {
    let directory = Directory::new();
    let log = directory.file("termination-log", "");
    let run = |form: &str| {
        Meshim::starts(["true"])
            .with(["--log-format", form, "--grace=30", "--admin-url=unix:/a\nb:/c\u{1b}[2J"])
            .env("MESHIM_OK_EXIT", "143, x")
            .env("MESHIM_MESH", std::ffi::OsString::from_vec(b"isti\xff".to_vec()))
            .env("MESHIM_TERMINATION_LOG", &log)
            .run()
            .expect_code(125)
    };
    let text = run("text");
    let parts = [
        "4 settings are wrong",
        r"MESHIM_MESH (the variable of --mesh): `isti\xff` is not UTF-8",
        r"--admin-url: `unix:/a\nb:/c\u{1b}[2J` has a character in its path",
        "--grace: `30` has no unit; write 30s",
        "MESHIM_OK_EXIT (the variable of --ok-exit): `x` is no exit code",
    ];
    assert_eq!(text.stderr.lines().count(), 1, "{text:#?}");
    assert!(!text.stderr.trim_end().contains(char::is_control), "{text:#?}");
    let text = text.expect_stderr(&parts);
    let json: serde_json::Value = serde_json::from_str(&run("json").stderr).expect("one object");
    let sentence = json["msg"].as_str().expect("a sentence").to_owned();
    assert_eq!(text.stderr, format!("meshim: error: {sentence}\n"));
    assert_eq!((&json["event"], &json["exit_code"]), (&"failed".into(), &125.into()));
    assert_eq!(std::fs::read_to_string(log).expect("it is ours"), sentence);
}

#[test]
fn a_new_line_in_a_sockets_path_begins_no_line_of_the_log() {
    let options = ["--admin-url=unix:/a\nmeshim: error: b.sock", "--timeout=20ms", "--log=debug"];
    let ended = Meshim::starts(["true"]).with(options).run().expect_code(124);
    // On a busy machine the time may be over before the first look.
    assert!(ended.stderr.contains(r"/a\nmeshim: error: b.sock"), "{ended:#?}");
    assert!(!ended.stderr.contains("\nmeshim: error: b.sock"), "{ended:#?}");
}

#[test]
fn a_misspelt_subcommand_gets_the_likely_one_and_help_is_one_too() {
    Meshim::does("drian")
        .run()
        .expect_code(125)
        .expect_stderr(&["`drian` is no subcommand; did you mean `meshim drain`?"]);
    let wait = Meshim::does("wait").with(["--", "app"]).run().expect_code(125);
    wait.expect_stderr(&["leave `wait` out: meshim [OPTIONS] -- COMMAND"]);
    let help = Meshim::does("help").run().expect_code(0);
    for part in ["Usage: meshim", "\nWaiting:\n", "Examples:", "meshim --quit on-success"] {
        assert!(help.stdout.contains(part), "{help:#?}");
    }
    let version = Meshim::does("--version").run().expect_code(0).stdout;
    assert!(version.starts_with(concat!("meshim ", env!("CARGO_PKG_VERSION"))), "{version}");
}
