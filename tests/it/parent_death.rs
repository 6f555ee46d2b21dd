//! `--parent-death-signal`: meshim's parent dies, or meshim does, and the application hears of it.

use std::iter::repeat_n;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::process::Process;
use crate::support::shared::poll;

/// meshim as the child of a shell, which stays, and so can die.
fn under_a_shell<'a>(option: &str, command: impl IntoIterator<Item = &'a str>) -> Process {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "\"$@\" & wait", "sh", env!("CARGO_BIN_EXE_meshim"), "--mesh=none"]);
    Process::spawn(shell.args(["--supervise", option, "--"]).args(command))
}

fn child_of(parent: Pid) -> Pid {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let child =
        poll(|| std::fs::read_to_string(&path).ok()?.split_whitespace().next()?.parse().ok());
    Pid::from_raw(child.expect("it has a child"))
}

/// Waits for the end of all three: while one lives it holds the output.
fn all_end_when_the_parent_is_killed(shell: Process) -> String {
    shell.signal(Signal::SIGKILL);
    shell.wait().stdout
}

#[test]
fn the_death_of_the_parent_reaches_the_application_also_as_a_kill() {
    for option in ["--parent-death-signal=KILL", "--parent-death-signal=TERM"] {
        let shell = under_a_shell(option, ["sh", "-c", "echo ready; exec sleep 1000"]);
        shell.wait_for_stdout("ready");
        assert_eq!(all_end_when_the_parent_is_killed(shell), "ready\n", "{option}");
    }
}

#[test]
fn an_application_whose_meshim_is_killed_gets_the_signal() {
    let script = "trap 'echo got it; exit' TERM; echo ready; while :; do sleep 0.05; done";
    let shell = under_a_shell("--parent-death-signal=TERM", ["sh", "-c", script]);
    shell.wait_for_stdout("ready");
    kill(child_of(shell.pid()), Signal::SIGKILL).unwrap();
    assert_eq!(shell.wait().stdout, "ready\ngot it\n");
}

#[test]
fn a_parent_that_dies_before_the_kernel_could_be_asked_is_noticed() {
    // A command line that takes its time.
    let command = ["sh", "-c", "echo started; exec sleep 1000"].into_iter();
    let command = command.chain(repeat_n("a", 60_000));
    let shell = under_a_shell("--parent-death-signal=KILL", command);
    let meshim = child_of(shell.pid());
    // The signals are blocked first thing, and the parent is remembered beside.
    poll(|| {
        let status = std::fs::read_to_string(format!("/proc/{meshim}/status")).ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?.trim();
        (u64::from_str_radix(mask, 16).ok()? & 1 << 14 != 0).then_some(())
    })
    .expect("it blocks TERM");
    kill(shell.pid(), Signal::SIGKILL).unwrap();
    let ended = shell.wait();
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("the parent of meshim has died"), "{ended:#?}");
}

#[test]
fn nothing_of_the_way_is_left_in_the_application() {
    let witness = "tr '\\0' ' ' < /proc/self/cmdline; readlink /proc/$$/exe; env;
        grep -E '^(Sig|Shd|PPid)' /proc/$$/status | grep -v PPid; ls /proc/$$/fd";
    let run = |options: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshim"));
        command.args(["--mesh=none", "--supervise"]).args(options);
        command.env_clear().env("PATH", "/usr/bin:/bin");
        Process::spawn(command.args(["--", "sh", "-c", witness, "a name", "--x"])).wait()
    };
    let (with, without) = (run(&["--parent-death-signal=TERM"]), run(&[]));
    assert_eq!(with.stdout, without.stdout);
    assert!(with.stdout.contains("SigBlk"), "{with:#?}");
}

#[test]
fn what_cannot_be_executed_is_told_by_its_own_name() {
    let file = std::env::temp_dir().join(format!("meshim-no-program-{}", std::process::id()));
    std::fs::write(&file, "#!/etc/passwd\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let shown = file.display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshim"));
    command.args(["--mesh=none", "--supervise", "--parent-death-signal=TERM", "--", &shown]);
    let ended = Process::spawn(&mut command).wait();
    std::fs::remove_file(&file).unwrap();
    ended.expect_code(126).expect_stderr(&[&format!("the command {shown} cannot be executed")]);
}
