//! What a hostile neighbour, a planted file or a narrow sandbox may not do: the rows of SECURITY.md
//! that have no test elsewhere.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::directory::Directory;
use crate::support::meshim::Meshim;
use crate::support::namespace::{inside, must_be_permitted};
use crate::support::reply::Reply;
use crate::support::seccomp::{of_a_container, without_netlink};
use crate::support::standin::StandIn;

const PATH: &str = "/usr/bin:/bin";

/// What is ever asked of a proxy, by any mesh.
const PAGES: [&str; 9] = [
    "/ready",
    "/healthz/ready",
    "/server_info",
    "/stats",
    "/clusters",
    "/config_dump",
    "/quitquitquit",
    "/drain_listeners",
    "/shutdown",
];

fn answering_everything(server: &StandIn, reply: impl Fn() -> Reply) {
    for page in PAGES {
        server.says(page, reply());
    }
}

#[test]
fn a_redirect_is_an_answer_and_is_never_followed() {
    inside(|| {
        let (proxy, elsewhere) = (StandIn::new(), StandIn::new());
        answering_everything(&elsewhere, Reply::live);
        let target = format!("{}/ready", elsewhere.url());
        answering_everything(&proxy, || Reply::envoy(302, "").header("location", &target));
        let ready = format!("--ready-url={}/ready", proxy.url());
        let admin = format!("--admin-url={}", proxy.url());
        Meshim::starts(["true"]).with([&ready, "--timeout=300ms"]).run().expect_code(124);
        for subcommand in ["check", "doctor"] {
            Meshim::does(subcommand).with(["--mesh=envoy", &admin]).run();
        }
        Meshim::does("quit").with(["--mesh=envoy", &admin]).run().expect_code(1);
        let brief = ["--mesh=envoy", &admin, "--drain-min=0", "--drain-max=200ms"];
        Meshim::does("drain").with(brief).run().expect_code(0);
        // The kubelet takes it for a yes, too.
        Meshim::does("probe").with([format!("{}/ready", proxy.url())]).run().expect_code(0);
        assert!(proxy.connections() > 4);
        assert_eq!(elsewhere.connections(), 0);
    });
}

#[test]
fn a_url_that_leads_out_of_the_pod_is_refused_for_every_subcommand() {
    let out = "http://192.0.2.1:15000";
    let lines: [&[&str]; 7] = [
        &["wait", "--admin-url", out],
        &["wait", "--ready-url", out],
        &["check", "--admin-url", out],
        &["doctor", "--admin-url", out],
        &["drain", "--admin-url", out],
        &["quit", "--quit-url", out],
        &["probe", out],
    ];
    for line in lines {
        let ended = Meshim::does(line[0]).with(line[1..].iter().copied()).run().expect_code(125);
        ended.expect_stderr(&["--allow-remote"]);
    }
}

/// A neighbour in the same pod that says yes to everything, on every port that a mesh may have.
#[test]
fn a_neighbour_on_any_port_is_neither_taken_for_the_proxy_nor_asked_to_end() {
    inside(|| {
        for port in [4143, 4191, 9901, 9902, 15000, 15020, 15021, 19000, 20000, 20600] {
            let neighbour = StandIn::on_port(port);
            answering_everything(&neighbour, || Reply::plain(200, "yes"));
            let options = ["--timeout=400ms", "--quit=always"];
            let ended = Meshim::starts(["echo", "started"]).with(options).run().expect_code(124);
            assert_eq!(ended.stdout, "", "{port}");
            for page in ["/quitquitquit", "/shutdown", "/drain_listeners"] {
                assert_eq!(neighbour.count(page), 0, "{port}{page}");
            }
        }
    });
}

#[test]
fn a_symbolic_link_in_the_place_of_the_termination_log_is_not_followed() {
    let directory = Directory::new();
    let precious = directory.file("precious", "kept");
    let planted = directory.join("termination-log");
    symlink(&precious, &planted).expect("the directory is ours");
    let run = Meshim::starts(["no-such-command"]).env("MESHIM_TERMINATION_LOG", &planted);
    let ended = run.run().expect_code(127);
    ended.expect_stderr(&["could not be written to the termination log", "symbolic link"]);
    assert_eq!(fs::read_to_string(precious).expect("it is there"), "kept");
}

#[test]
fn links_that_were_planted_where_install_writes_are_replaced_and_not_followed() {
    let (volume, elsewhere) = (Directory::new(), Directory::new());
    let precious = elsewhere.file("precious", "kept");
    symlink(&precious, volume.join("meshim")).expect("the directory is ours");
    // The name that it writes first is known, too: that of PID 1, mostly.
    let planting = format!(
        "ln -s {} {}/.meshim.$$ && exec \"$@\"",
        precious.display(),
        volume.path().display()
    );
    let run = Meshim::does("install").behind_shell(&planting).env("PATH", PATH);
    run.with([volume.path()]).run().expect_code(0);
    assert_eq!(fs::read_to_string(precious).expect("it is there"), "kept");
    let copy = volume.join("meshim");
    assert!(fs::symlink_metadata(&copy).expect("it is there").is_file());
    assert_eq!(fs::read_dir(volume.path()).expect("it is there").count(), 1);
}

#[test]
fn a_fifo_where_install_writes_is_replaced_and_blocks_nothing() {
    let volume = Directory::new();
    let mode = nix::sys::stat::Mode::S_IRWXU;
    nix::unistd::mkfifo(&volume.join("meshim"), mode).expect("the directory is ours");
    Meshim::does("install").with([volume.path()]).run().expect_code(0);
    assert!(fs::symlink_metadata(volume.join("meshim")).expect("it is there").is_file());
}

#[test]
fn an_installed_copy_is_never_setuid() {
    let (from, to) = (Directory::new(), Directory::new());
    let own = from.join("meshim");
    fs::copy(env!("CARGO_BIN_EXE_meshim"), &own).expect("the directory is ours");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o6755)).expect("it is ours");
    // The shell's first argument is the built binary.
    let script = format!("shift; exec {} \"$@\"", own.display());
    Meshim::does("install").behind_shell(&script).with([to.path()]).run().expect_code(0);
    let mode = fs::metadata(to.join("meshim")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
}

/// Found before the wait, started after it: what somebody puts into PATH meanwhile is not started.
#[test]
fn a_command_planted_in_path_during_the_wait_is_not_started() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::not_ready("INITIALIZING"));
    let meshim = Meshim::starts(["tool"]).with(["--admin-url", &proxy.url()]);
    let place = |name: &str| {
        let folder = meshim.directory().join(name);
        fs::create_dir_all(&folder).expect("the directory is ours");
        folder.join("tool")
    };
    let write = |file: &std::path::Path, says: &str| {
        fs::write(file, format!("#!/bin/sh\necho {says}\n")).expect("the directory is ours");
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("and the file");
    };
    let (planted, own) = (place("first"), place("second"));
    write(&own, "own");
    let path = [&planted, &own].map(|file| file.parent().expect("a folder").display().to_string());
    let run = meshim.env("PATH", path.join(":")).spawn();
    proxy.wait_for_requests("/ready", 2);
    write(&planted, "planted");
    proxy.says("/ready", Reply::live());
    assert_eq!(run.wait().expect_code(0).stdout, "own\n");
}

/// Neither taken away nor given: whatever the container's securityContext says holds for the
/// application.
#[test]
fn no_new_privileges_is_as_it_was_for_us_and_for_the_application() {
    must_be_permitted();
    for (wrapper, bit) in [(&["setpriv", "--no-new-privs"][..], "1"), (&["env"], "0")] {
        for options in [&["--mesh=none"][..], &["--mesh=none", "--supervise"]] {
            let run = Meshim::starts(["grep", "NoNewPrivs", "/proc/self/status"]);
            let run = run.behind(wrapper.iter().copied()).with(options.iter().copied());
            let ended = run.env("PATH", PATH).run().expect_code(0);
            // Where the tests themselves run with it, nobody can be without.
            let own = fs::read_to_string("/proc/self/status").expect("/proc is there");
            let bit = if own.contains("NoNewPrivs:\t1") { "1" } else { bit };
            assert_eq!(ended.stdout, format!("NoNewPrivs:\t{bit}\n"), "{wrapper:?}");
        }
    }
}

#[test]
fn nothing_is_missed_under_the_default_seccomp_profile_of_docker_and_containerd() {
    inside(|| {
        let proxy = StandIn::new();
        proxy.says("/ready", Reply::live());
        proxy.says("/server_info", Reply::envoy(200, r#"{"state":"LIVE"}"#));
        proxy.says("/quitquitquit", Reply::envoy(200, ""));
        let options = ["--mesh=envoy", "--admin-url", &proxy.url(), "--quit=always"];
        let run = Meshim::starts(["sh", "-c", "(true &); exit 7"]).behind(of_a_container());
        let ended = run.with(options).env("PATH", PATH).run().expect_code(7);
        assert!(!ended.stderr.contains("refuse"), "{}", ended.stderr);
        assert_eq!(proxy.count("/quitquitquit"), 1);
        let run = Meshim::starts(["echo", "started"]).behind(of_a_container());
        let run = run.with(["--admin-url", &proxy.url()]).env("PATH", PATH);
        assert_eq!(run.run().expect_code(0).stdout, "started\n");
    });
}

/// As gVisor without its own: neither /proc nor `sock_diag` tells who listens.
#[test]
fn without_proc_and_netlink_what_was_named_works_and_nobody_is_called_absent() {
    inside(|| {
        let blind = |meshim: Meshim| {
            let meshim = meshim.behind(["unshare", "-Urm"]).behind(without_netlink());
            let script = r#"mount -t tmpfs none /proc && exec "$@""#;
            meshim.behind_shell(script).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        };
        let proxy = StandIn::new();
        proxy.says("/ready", Reply::live());
        proxy.says("/server_info", Reply::envoy(200, r#"{"state":"LIVE"}"#));
        proxy.says("/quitquitquit", Reply::envoy(200, ""));
        let options = ["--mesh=envoy", "--admin-url", &proxy.url(), "--quit=always"];
        let run = blind(Meshim::starts(["sh", "-c", "echo started; exit 7"])).with(options);
        assert_eq!(run.run().expect_code(7).stdout, "started\n");
        assert_eq!(proxy.count("/quitquitquit"), 1);
        let options = ["--absent-after=100ms", "--timeout=400ms"];
        let ended = blind(Meshim::starts(["echo", "started"])).with(options).run();
        let ended = ended.expect_code(125).expect_stderr(&["name the mesh with --mesh"]);
        assert_eq!(ended.stdout, "");
        let ended = blind(Meshim::does("quit")).run();
        ended.expect_code(125).expect_stderr(&["name the mesh with --mesh"]);
    });
}
