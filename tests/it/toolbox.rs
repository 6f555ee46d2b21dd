//! `probe` and `install`: what an image without curl and cp needs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::directory::Directory;
use crate::support::meshim::Meshim;
use crate::support::namespace::inside;
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

fn probe(target: &str) -> Meshim {
    Meshim::does("probe").with([target])
}

#[test]
fn a_probe_judges_statuses_as_the_kubelet_does() {
    let server = StandIn::new();
    let url = format!("{}/healthz", server.url());
    for (status, code) in
        [(200, 0), (204, 0), (302, 0), (399, 0), (400, 1), (404, 1), (500, 1), (503, 1)]
    {
        server.says("/healthz", Reply::plain(status, ""));
        let ended = probe(&url).run().expect_code(code);
        assert_eq!(ended.stdout, "");
        let said = if code == 0 { String::new() } else { format!("{url}: status {status}") };
        assert!(
            ended.stderr.contains(&said) && ended.stderr.lines().count() <= 1,
            "{status}: {ended:?}"
        );
    }
}

#[test]
fn a_probe_says_in_one_line_why_not() {
    let (late, silent, garbage) = (StandIn::late(), StandIn::new(), StandIn::new());
    silent.says("/", Reply::Silence);
    garbage.says("/", Reply::Garbage);
    for (server, why) in [
        (&late, "nobody listens there"),
        (&silent, "no answer in time (300ms)"),
        (&garbage, "HTTP"),
    ] {
        let ended = probe(&server.url())
            .with(["--timeout=300ms"])
            .run()
            .expect_code(1)
            .expect_stderr(&[why]);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    probe("unix:/nowhere/a.sock:/healthz")
        .run()
        .expect_code(1)
        .expect_stderr(&["error: unix:/nowhere/a.sock:/healthz: the socket file does not exist\n"]);
    let tcp = |server: &StandIn| server.url().replace("http://", "tcp://");
    probe(&tcp(&late))
        .run()
        .expect_code(1)
        .expect_stderr(&["tcp://127.0.0.1:", "connection refused"]);
    probe(&tcp(&silent)).run().expect_code(0);
}

#[test]
fn a_failed_probe_leaves_the_termination_log_to_the_application() {
    let run = probe(&StandIn::late().url());
    let log = run.directory().join("termination-log");
    fs::write(&log, "").unwrap();
    let ended = run.with(["--termination-log".into(), log.clone().into_os_string()]).spawn();
    ended.wait_for_stderr("nobody listens there");
    assert_eq!(fs::read_to_string(&log).unwrap_or_default(), "");
    ended.wait().expect_code(1);
}

#[test]
fn an_older_copy_is_replaced_while_it_runs() {
    let volume = Directory::new();
    let copy = volume.join("meshim");
    Meshim::does("install")
        .with([volume.path()])
        .run()
        .expect_code(0)
        .expect_stderr(&["installed as"]);
    let first = fs::metadata(&copy).unwrap();
    assert_eq!(first.permissions().mode() & 0o7777, 0o755);

    let proxy = StandIn::late();
    let old =
        Meshim::starts(["true"]).behind_shell(&format!("shift; exec {} \"$@\"", copy.display()));
    let old = old.with(["--admin-url", &proxy.url()]).spawn();
    old.wait_for_stderr("waiting for the proxy");
    Meshim::does("install")
        .behind_shell("umask 077; exec \"$@\"")
        .with([volume.path()])
        .run()
        .expect_code(0);
    assert!(!old.has_ended());
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_dir(volume.path()).unwrap().count(), 1);
    assert_eq!(fs::read(&copy).unwrap(), fs::read(env!("CARGO_BIN_EXE_meshim")).unwrap());
}

#[test]
fn a_volume_that_is_full_or_read_only_is_named_with_what_to_do() {
    inside(|| {
        let volume = Directory::new();
        let path = volume.path().display();
        for (options, why) in
            [("size=64k", "is full; give the volume"), ("ro", "is read-only; mount the volume")]
        {
            let script = format!(
                "mount -t tmpfs -o {options} none {path} && \"$@\"; echo \"$? $(ls -A {path})\""
            );
            let run = Meshim::does("install").behind_shell(&script).with([volume.path()]);
            let ended =
                run.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").run().expect_stderr(&[why]);
            assert_eq!(ended.stdout, "125 \n", "{ended:?}");
        }
    });
}
