//! As good as the inits: the same script around tini, dumb-init, catatonit and meshim, and a table
//! of what each did. `.ci/run inits` installs them and runs this.

#[expect(dead_code, reason = "shared with the other integration tests, which use the rest")]
#[path = "../it/support/mod.rs"]
mod support;

mod cases;
mod peers;

use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::listener;
use crate::support::process::Process;
use crate::support::shared::poll;

/// A program that stands before a command.
#[derive(Clone, Copy, Debug)]
struct Init {
    name: &'static str,
    line: &'static [&'static str],
}

const MESHIM: Init = Init {
    name: "meshim",
    line: &[env!("CARGO_BIN_EXE_meshim"), "--mesh=none", "--supervise", "--signal-group", "--"],
};

/// All with the options that make them adopt orphans and signal the group.
const OTHERS: [Init; 3] = [
    Init { name: "tini", line: &["/usr/bin/tini", "-s", "-g", "--"] },
    Init { name: "dumb-init", line: &["/usr/bin/dumb-init"] },
    Init { name: "catatonit", line: &["/usr/bin/catatonit", "--"] },
];

impl Init {
    fn all() -> Vec<Self> {
        let missing: Vec<&str> = OTHERS
            .iter()
            .filter(|init| !Path::new(init.line[0]).exists())
            .map(|init| init.name)
            .collect();
        assert!(
            missing.is_empty(),
            "{} not installed: .ci/run inits, or apt-get install tini dumb-init catatonit",
            missing.join(", ")
        );
        OTHERS.into_iter().chain([MESHIM]).collect()
    }

    /// As PID 1 of a PID namespace of its own.
    fn runs(self, command: &[&str]) -> Process {
        crate::support::namespace::must_be_permitted();
        let mut line = Command::new("unshare");
        line.args(["-Urpf", "--kill-child", "--mount-proc"]).args(self.line).args(command);
        Process::spawn(&mut line)
    }
}

/// The init itself, the only child of `unshare -f`.
fn init_of(process: &Process) -> Pid {
    let path = format!("/proc/{0}/task/{0}/children", process.pid());
    let child =
        poll(|| std::fs::read_to_string(&path).ok()?.split_whitespace().next()?.parse().ok());
    Pid::from_raw(child.expect("unshare has started it"))
}

fn send(number: i32, pid: Pid) {
    let sent =
        Process::spawn(Command::new("sh").args(["-c", &format!("kill -{number} {pid}")])).wait();
    assert_eq!(sent.code, Some(0));
}

#[test]
fn exit_codes_are_passed_on_as_by_the_others() {
    println!("{:12} exit codes 0-255 passed on, and deaths by signal", "");
    for init in Init::all() {
        let codes = (0..=255).step_by(5).filter(|code| {
            init.runs(&["sh", "-c", &format!("exit {code}")]).wait().code == Some(*code)
        });
        let signals = [1, 2, 3, 6, 9, 11, 15, 34, 64].into_iter().filter(|number| {
            let script = format!("import os; os.kill(os.getpid(), {number})");
            init.runs(&["python3", "-c", &script]).wait().code == Some(128 + number)
        });
        let (codes, signals) = (codes.count(), signals.count());
        println!("{:12} {codes} of 52, {signals} of 9", init.name);
        assert!(init.name != MESHIM.name || (codes, signals) == (52, 9));
    }
}

#[test]
fn every_signal_that_any_of_the_others_forwards_is_forwarded() {
    let mut table: Vec<(&str, Vec<i32>)> = Vec::new();
    for init in Init::all() {
        let process = init.runs(&listener::command());
        process.wait_for_stdout("ready");
        let pid = init_of(&process);
        // KILL and STOP are the kernel's; 64 ends the listener. What an init does not forward may
        // end or stop it.
        for number in (1..64).filter(|number| ![9, 19, 32, 33, 64].contains(number)) {
            send(number, pid);
            if number == 18 {
                // A stop signal takes a CONT that still waits out of the queue, in the kernel: 20
                // would. All of them forward it.
                process.wait_for_stdout("got 18");
            }
            if init.name == "dumb-init" && [20, 21, 22].contains(&number) {
                // It makes a STOP of them.
                send(18, pid);
            }
        }
        send(64, pid);
        let ended = poll(|| process.has_ended().then_some(()));
        assert!(ended.is_some(), "{}: {}", init.name, process.stdout());
        let out = process.wait().stdout;
        let got = out.lines().filter_map(|line| line.strip_prefix("got ")?.parse().ok());
        let mut got: Vec<i32> = got.collect();
        got.sort_unstable();
        got.dedup();
        table.push((init.name, got));
    }
    println!("signals 1-63 forwarded:");
    for (name, got) in &table {
        let not: Vec<i32> = (1..64).filter(|number| !got.contains(number)).collect();
        println!("{name:12} {:2} forwarded, not {not:?}", got.len());
    }
    let (_, ours) = table.last().expect("meshim is in it");
    // The faults (4, 7, 8, 11) and CHLD (17) are not for the application: some of the others send
    // them on.
    let not_for_it = [4, 7, 8, 11, 17];
    for (name, got) in &table {
        let missing: Vec<&i32> =
            got.iter().filter(|n| !ours.contains(n) && !not_for_it.contains(*n)).collect();
        assert!(missing.is_empty(), "{name} forwards {missing:?}, meshim does not");
    }
    assert_eq!(ours.len(), 54);
}

#[test]
fn orphans_are_reaped_and_groups_are_signalled_as_by_the_others() {
    let orphans = "
import os, sys, time
for n in range(100):
    if os.fork() == 0:
        if os.fork() == 0: os._exit(0)
        os._exit(0)
    os.wait()
def others():
    pids = [int(name) for name in os.listdir('/proc') if name.isdigit()]
    return [pid for pid in pids if pid not in (1, os.getpid())]
until = time.time() + 10
while others() and time.time() < until: time.sleep(0.01)
sys.exit(len(others()))
";
    let group = "trap 'wait; echo child; exit 3' TERM; \
        sh -c 'trap \"echo grandchild; exit\" TERM; echo ready; while :; do sleep 0.02; done' & \
        while :; do sleep 0.02; done";
    println!("{:12} orphans left of 100, exit code and whole group on TERM", "");
    for init in Init::all() {
        let left = init.runs(&["python3", "-c", orphans]).wait().code;
        let process = init.runs(&["sh", "-c", group]);
        process.wait_for_stdout("ready");
        kill(init_of(&process), Signal::SIGTERM).unwrap();
        // An init that signals the leader alone leaves it waiting for ever: the group's other half
        // is let go.
        let whole = poll_shortly(|| process.has_ended());
        let code = if whole { process.wait().code } else { None };
        println!("{:12} {left:?}, {code:?}, {whole}", init.name);
        assert!(init.name != MESHIM.name || (left, code, whole) == (Some(0), Some(3), true));
    }
}

/// Does it come true within two seconds? A peer that does not do it is no failure of ours.
#[expect(
    clippy::disallowed_methods,
    reason = "another process's state has to be asked again and again"
)]
fn poll_shortly(fact: impl Fn() -> bool) -> bool {
    (0..200).any(|_| {
        let is_so = fact();
        if !is_so {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        is_so
    })
}
