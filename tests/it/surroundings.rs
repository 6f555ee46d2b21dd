//! Odd surroundings: no /proc, closed standard streams, termination logs of every kind.

use nix::sys::stat::Mode;

use crate::support::directory::Directory;
use crate::support::meshim::Meshim;
use crate::support::namespace::must_be_permitted;
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

fn ready_proxy() -> StandIn {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live());
    proxy
}

/// With an empty file system where /proc was.
fn without_proc(meshim: Meshim) -> Meshim {
    must_be_permitted();
    meshim.behind(["unshare", "-Urm"]).behind_shell(r#"mount -t tmpfs none /proc && exec "$@""#)
}

#[test]
fn without_proc_a_proxy_whose_address_is_given_is_waited_for() {
    let proxy = ready_proxy();
    let ended =
        without_proc(Meshim::starts(["echo", "started"])).with(["--admin-url", &proxy.url()]).run();
    assert_eq!(ended.expect_code(0).stdout, "started\n");
}

#[test]
fn without_proc_auto_asks_the_kernel_for_the_sockets_that_listen() {
    let ended =
        without_proc(Meshim::starts(["true"])).with(["--timeout=100ms"]).run().expect_code(124);
    ended.expect_stderr(&["no mesh's proxy listens in this pod"]);
}

#[test]
fn closed_standard_streams_change_nothing() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let proxy = ready_proxy();
        let directory = Directory::new();
        let proof = directory.join("proof");
        let touch = ["touch".as_ref(), proof.as_os_str()];
        let shell = format!(r#"exec "$@" {closed}"#);
        Meshim::starts(touch)
            .behind_shell(&shell)
            .with(["--admin-url", &proxy.url()])
            .run()
            .expect_code(0);
        assert!(proof.exists(), "{closed}");
        Meshim::starts(["no-such-command"]).behind_shell(&shell).run().expect_code(127);
        proxy.says("/ready", Reply::not_ready("INITIALIZING"));
        let options = ["--admin-url", &proxy.url(), "--timeout=50ms"];
        Meshim::starts(touch).behind_shell(&shell).with(options).run().expect_code(124);
    }
}

#[test]
fn the_termination_log_gets_the_sentence_of_the_failure() {
    let directory = Directory::new();
    let log = directory.file(
        "termination-log",
        "left over from the last start, and far longer than what comes now",
    );
    let proxy = StandIn::late();
    let options = ["--admin-url", &proxy.url(), "--timeout=50ms"];
    let ended = Meshim::starts(["true"])
        .env("MESHIM_TERMINATION_LOG", &log)
        .with(options)
        .run()
        .expect_code(124);
    let sentence = std::fs::read_to_string(&log).unwrap();
    assert_eq!(ended.stderr.lines().last(), Some(format!("meshim: error: {sentence}").as_str()));
}

#[test]
fn the_termination_log_gets_at_most_4096_bytes_cut_at_a_character() {
    let directory = Directory::new();
    let log = directory.file("termination-log", "");
    let mesh = format!("--mesh=x{}", "é".repeat(5000));
    let ended = Meshim::starts(["true"])
        .env("MESHIM_TERMINATION_LOG", &log)
        .with([mesh])
        .run()
        .expect_code(125);
    let kept = std::fs::read_to_string(&log).expect("it is whole characters");
    assert!((4095..=4096).contains(&kept.len()), "{}", kept.len());
    assert!(ended.stderr.contains(&kept));
}

#[test]
fn a_missing_termination_log_is_never_created() {
    let directory = Directory::new();
    let log = directory.join("termination-log");
    let ended = Meshim::starts(["no-such-command"])
        .env("MESHIM_TERMINATION_LOG", &log)
        .run()
        .expect_code(127);
    assert!(!log.exists() && !ended.stderr.contains("warning"), "{ended:#?}");
}

#[test]
fn a_termination_log_that_cannot_be_written_is_a_warning() {
    must_be_permitted();
    let directory = Directory::new();
    let fifo = directory.join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::from_bits_truncate(0o600)).unwrap();
    let read_only = directory.file("read-only", "");
    std::fs::set_permissions(&read_only, std::os::unix::fs::PermissionsExt::from_mode(0o444))
        .unwrap();
    for log in [fifo, read_only, directory.path().to_owned()] {
        // A user without root's power over files, whoever runs the tests.
        let ordinary = ["unshare", "-U", "--map-user=1000", "--map-group=1000"];
        let ended = Meshim::starts(["no-such-command"])
            .behind(ordinary)
            .env("MESHIM_TERMINATION_LOG", &log)
            .run();
        let path = log.display().to_string();
        let warning =
            format!("warning: the reason could not be written to the termination log {path}: ");
        ended
            .expect_code(127)
            .expect_stderr(&["error: the command no-such-command was not found", &warning]);
    }
}
