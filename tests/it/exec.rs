//! Exec leaves no trace: what the application gets is what it gets without meshim, after a real
//! wait.
//!
//! Each test runs one witness twice behind the same wrapper, bare and under meshim, and compares
//! what it says.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::meshim::Meshim;
use crate::support::namespace::must_be_permitted;
use crate::support::process::{Ended, Process};
use crate::support::reply::Reply;
use crate::support::seccomp::refusing;
use crate::support::standin::StandIn;

/// What every run gets, bare or not.
const ENVIRONMENT: [(&str, &[u8]); 3] = [
    ("PATH", b"/usr/local/bin:/usr/bin:/bin"),
    ("MESHIM_LOG", b"error"),
    ("NOT_UTF8", b"\xff\xfe=\x80"),
];

/// `witness` behind `wrapper`, once bare and once under meshim.
fn twice(wrapper: &[&str], witness: &[&OsStr]) -> (Ended, Ended) {
    let proxy = StandIn::new();
    proxy.script("/ready", [Reply::not_ready("INITIALIZING"), Reply::live()]);
    let options = ["--admin-url".to_owned(), proxy.url()];
    let meshim = Meshim::starts(witness).behind(wrapper).with(options);
    let line: Vec<&OsStr> = wrapper.iter().map(OsStr::new).chain(witness.iter().copied()).collect();
    let mut bare = Command::new(line[0]);
    bare.args(&line[1..]).env_clear().current_dir(meshim.directory());
    let mut through = meshim;
    for (name, value) in ENVIRONMENT {
        bare.env(name, OsStr::from_bytes(value));
        through = through.env(name, OsStr::from_bytes(value));
    }
    let bare = Process::spawn(&mut bare).wait();
    assert_eq!(bare.code, Some(0), "the witness works without meshim: {bare:?}");
    let through = through.run().expect_code(0);
    (bare, through)
}

#[track_caller]
fn is_the_same(wrapper: &[&str], witness: &[&str]) -> String {
    let witness: Vec<&OsStr> = witness.iter().map(OsStr::new).collect();
    let (bare, through) = twice(wrapper, &witness);
    assert_eq!(through.stdout, bare.stdout, "bare on the right");
    assert!(!bare.stdout.is_empty());
    through.stdout
}

#[test]
fn signal_mask_and_dispositions_are_the_same() {
    let mask = [
        "env",
        "--block-signal=USR2",
        "--block-signal=TERM",
        "--ignore-signal=HUP",
        "--ignore-signal=RTMIN+3",
    ];
    let said =
        is_the_same(&mask, &["grep", "-E", "^(Sig|Shd)(Blk|Ign|Cgt|Pnd):", "/proc/self/status"]);
    // USR2 is 12, TERM 15: bits 11 and 14. HUP is bit 0.
    assert!(said.contains("SigBlk:\t0000000000004800"), "{said}");
    assert!(said.lines().any(|line| line.starts_with("SigIgn:") && line.ends_with('1')), "{said}");
    is_the_same(&["env"], &["grep", "-E", "^(Sig|Shd)(Blk|Ign|Cgt|Pnd):", "/proc/self/status"]);
}

#[test]
fn limits_and_umask_are_the_same() {
    let wrapper = ["sh", "-c", "ulimit -n 77; ulimit -c 0; umask 027; exec \"$@\"", "sh"];
    let said = is_the_same(&wrapper, &["grep", "-E", "open files|core file", "/proc/self/limits"]);
    assert!(said.contains("77"), "{said}");
    assert_eq!(is_the_same(&wrapper, &["grep", "^Umask:", "/proc/self/status"]), "Umask:\t0027\n");
}

#[test]
fn open_descriptors_are_the_same() {
    let wrapper = ["sh", "-c", "exec 7</dev/null 9>/dev/null; exec \"$@\"", "sh"];
    // Numbers and flags of the shell that was started, seen by its only child.
    let said = is_the_same(&wrapper, &["sh", "-c", "cd /proc/$$; grep -r ^flags fdinfo; :"]);
    assert!(said.contains("fdinfo/7:flags") && said.contains("fdinfo/9:flags"), "{said}");
}

#[test]
fn environment_arguments_and_working_directory_are_the_same_byte_for_byte() {
    is_the_same(&["env"], &["env"]);
    is_the_same(&["env"], &["sh", "-c", "env | od -c"]);
    let not_utf8 = OsString::from_vec(b"a\xff b\n\x80".to_vec());
    let script = OsStr::new("od -c /proc/$$/cmdline; readlink /proc/$$/cwd");
    let witness = ["sh", "-c", "", "sh", "", "--help"].map(OsStr::new);
    let witness = [witness[0], witness[1], script, witness[3], &not_utf8, witness[4], witness[5]];
    let (bare, through) = twice(&["env"], &witness);
    assert_eq!(through.stdout, bare.stdout);
    assert!(through.stdout.contains("377"), "{}", through.stdout);
}

#[test]
fn the_process_id_is_the_same_and_nobody_is_left() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live());
    let ended = Meshim::starts(["sh", "-c", "echo $$; cat /proc/$$/task/$$/children"])
        .behind_shell("echo $$; exec \"$@\"")
        .with(["--admin-url", &proxy.url()])
        .env("PATH", "/usr/bin:/bin")
        .run()
        .expect_code(0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], lines[1]);
    // The only child is the cat itself.
    assert_eq!(
        lines.get(2).map_or(0, |children| children.split_whitespace().count()),
        1,
        "{ended:?}"
    );
}

#[test]
fn exit_codes_and_deaths_are_the_applications_own() {
    for code in [0, 1, 124, 125, 255] {
        Meshim::starts(["sh", "-c", &format!("exit {code}")])
            .with(["--mesh=none"])
            .run()
            .expect_code(code);
    }
    let ended = Meshim::starts(["sh", "-c", "kill -9 $$"]).with(["--mesh=none"]).run();
    assert_eq!(ended.signal, Some(9));
}

#[test]
fn standard_output_is_the_applications_alone() {
    let proxy = StandIn::new();
    proxy.says("/ready", Reply::live());
    let ended = Meshim::starts(["true"])
        .with(["--admin-url", &proxy.url(), "--log=debug"])
        .run()
        .expect_code(0);
    assert_eq!(ended.stdout, "");
    assert!(!ended.stderr.is_empty());
}

#[test]
fn a_command_that_is_not_there_is_known_before_the_wait() {
    // Nobody listens and the wait is for ever: only an early look-up ends this.
    let forever = || ["--mesh=istio", "--timeout=0"];
    let missing = Meshim::starts(["no-such-command"]).with(forever()).env("PATH", "/usr/bin").run();
    missing.expect_code(127).expect_stderr(&["no-such-command was not found in PATH (/usr/bin)"]);
    Meshim::starts(["/no/such/file"])
        .with(forever())
        .run()
        .expect_code(127)
        .expect_stderr(&["/no/such/file was not"]);
    Meshim::starts(["/tmp"])
        .with(forever())
        .run()
        .expect_code(126)
        .expect_stderr(&["it is a directory"]);
    Meshim::starts(["/etc/passwd"])
        .with(forever())
        .run()
        .expect_code(126)
        .expect_stderr(&["chmod +x"]);
}

#[test]
fn a_command_that_is_no_regular_file_is_refused_and_never_opened() {
    let meshim = Meshim::starts(["./fifo"]).with(["--mesh=istio", "--timeout=0"]);
    nix::unistd::mkfifo(&meshim.directory().join("fifo"), nix::sys::stat::Mode::S_IRWXU)
        .expect("the directory is ours");
    // Opening a FIFO without a writer would block for ever.
    meshim
        .run()
        .expect_code(126)
        .expect_stderr(&["./fifo cannot be executed: it is not a regular"]);
    // What stands in a pipe is somebody's input.
    let piped = Meshim::starts(["/proc/self/fd/0"]).with(["--mesh=istio", "--timeout=0"]);
    let piped = piped.behind_shell("echo kept | { \"$@\"; echo \"$? $(cat)\"; }");
    assert_eq!(piped.env("PATH", "/usr/bin:/bin").run().stdout, "126 kept\n");
}

#[test]
fn a_system_call_that_is_refused_does_not_make_a_command_not_executable() {
    // As seccomp profiles older than faccessat2 do it; exec itself is asked then.
    let refusing = refusing(nix::libc::SYS_faccessat2);
    let run = Meshim::starts(["echo", "started"]).with(["--mesh=none"]).behind(refusing);
    assert_eq!(run.env("PATH", "/usr/bin:/bin").run().expect_code(0).stdout, "started\n");
}

#[test]
fn a_command_whose_interpreter_is_missing_is_told_by_that_name() {
    let meshim = Meshim::starts(["./script"]).with(["--mesh=istio", "--timeout=0"]);
    let script = meshim.directory().join("script");
    std::fs::write(&script, "#!/opt/no/such/python3 -u\n").expect("the directory is ours");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
        .expect("and the file");
    meshim
        .run()
        .expect_code(126)
        .expect_stderr(&["it needs /opt/no/such/python3, which is not in this image"]);
}

#[test]
fn a_script_with_windows_line_ends_is_told_so_before_the_wait() {
    let meshim = Meshim::starts(["./script"]).with(["--mesh=istio", "--timeout=0"]);
    let script = meshim.directory().join("script");
    std::fs::write(&script, "#!/bin/sh\r\necho\r\n").expect("the directory is ours");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
        .expect("and the file");
    meshim.run().expect_code(126).expect_stderr(&["./script cannot be executed", "LF, not CRLF"]);
}

/// `./file` with these bytes, to be started beside a mesh that never comes.
fn starting_file(bytes: &[u8]) -> Meshim {
    let meshim = Meshim::starts(["./file"]);
    let file = meshim.directory().join("file");
    std::fs::write(&file, bytes).expect("the directory is ours");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("and the file");
    meshim
}

/// Files that this kernel does not run, with what is to be said of each.
fn foreign_files() -> [(Vec<u8>, &'static str); 3] {
    let mut other = std::fs::read(env!("CARGO_BIN_EXE_meshim")).expect("it is there");
    other.truncate(4096);
    let (machine, said): (u16, _) = if cfg!(target_arch = "x86_64") {
        (183, "built for aarch64 (arm64), and this is x86_64 (amd64)")
    } else {
        (62, "built for x86_64 (amd64), and this is aarch64 (arm64)")
    };
    other[18..20].copy_from_slice(&machine.to_le_bytes());
    [
        (other, said),
        (b"echo started\n".to_vec(), "does not begin with #!; begin a script with #!/bin/sh"),
        (Vec::new(), "it is empty"),
    ]
}

#[test]
fn what_this_kernel_does_not_run_is_told_before_the_wait() {
    must_be_permitted();
    for (bytes, why) in foreign_files() {
        // Where binfmt_misc is in the kernel, what it was taught is not seen in a container: then
        // only exec tells, and a warning comes first.
        let hidden = "mount -t tmpfs none /proc/sys/fs && mkdir /proc/sys/fs/binfmt_misc";
        let file = starting_file(&bytes).with(["--mesh=istio", "--timeout=50ms"]);
        let file = file.behind(["unshare", "-Urpf", "--kill-child", "--mount-proc"]);
        let file = file.behind_shell(&format!("{hidden} && exec \"$@\""));
        let ended = file.env("PATH", "/usr/bin:/bin").run().expect_code(124);
        let warning = ended.stderr.lines().next().unwrap_or_default();
        assert!(warning.starts_with("meshim: warning: ") && warning.contains(why), "{ended:#?}");
        // Where it is not, it is certain.
        let file = starting_file(&bytes).with(["--mesh=istio", "--timeout=0"]);
        let file = file.behind(["unshare", "-Urpf", "--kill-child", "--mount-proc"]);
        let file = file.behind_shell("mount -t tmpfs none /proc/sys/fs && exec \"$@\"");
        let ended = file.env("PATH", "/usr/bin:/bin").run().expect_code(126);
        ended.expect_stderr(&["./file cannot be executed: it ", why]);
    }
}

#[test]
fn what_the_kernel_refuses_in_the_end_is_told_with_the_same_advice() {
    // Without a parent it is glibc's execvp that starts it, which hands to /bin/sh what the kernel
    // refuses; musl's, in the static binary, does not (images/check-static.sh).
    for (bytes, why) in foreign_files() {
        let run = starting_file(&bytes).with(["--mesh=none", "--supervise"]);
        let ended = run.run().expect_code(126);
        let last = ended.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("meshim: error: the command ./file cannot be"), "{ended:#?}");
        assert!(last.contains(why), "{ended:#?}");
    }
}

#[test]
fn the_first_of_path_that_can_be_executed_is_taken() {
    let meshim = Meshim::starts(["tool"]).with(["--mesh=none"]);
    let folder = |name: &str| meshim.directory().join(name);
    for (name, mode) in [("a", 0o644), ("b", 0o755), ("c", 0o755)] {
        std::fs::create_dir(folder(name)).expect("the directory is ours");
        let file = folder(name).join("tool");
        std::fs::write(&file, format!("#!/bin/sh\necho {name}\n")).expect("the directory is ours");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode))
            .expect("and the file");
    }
    let path = ["a", "b", "c"].map(|name| folder(name).display().to_string()).join(":");
    assert_eq!(meshim.env("PATH", path).run().expect_code(0).stdout, "b\n");
}
