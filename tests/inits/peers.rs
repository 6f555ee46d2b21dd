//! The cases of the inits' own suites around meshim, written anew; which there are is in `cases`.

use std::process::Command;
use std::time::Duration;

use crate::support::listener;
use crate::support::process::Process;
use crate::support::reply::Reply;
use crate::support::standin::StandIn;

use super::{MESHIM, init_of, send};

pub(crate) fn meshim(options: &[&str], command: &[&str]) -> Process {
    let (program, own) = (MESHIM.line[0], ["--mesh=none", "--supervise"]);
    Process::spawn(Command::new(program).args(own).args(options).arg("--").args(command))
}

#[test]
fn each_exit_code_alone_counts_as_zero() {
    for code in (0..=255).step_by(15) {
        let script = format!("exit {code}");
        let (same, other) =
            (format!("--ok-exit={code}"), format!("--ok-exit={}", (code + 1) % 256));
        assert_eq!(meshim(&[&same], &["sh", "-c", &script]).wait().code, Some(0), "{code}");
        assert_eq!(meshim(&[&other], &["sh", "-c", &script]).wait().code, Some(code), "{code}");
    }
}

#[test]
fn a_signal_ends_what_has_no_handler() {
    for number in [15, 10, 12] {
        let process = meshim(&[], &["sh", "-c", "echo ready; exec sleep 1000"]);
        process.wait_for_stdout("ready");
        send(number, process.pid());
        assert_eq!(process.wait().code, Some(128 + number));
    }
}

#[test]
fn a_group_whose_leader_ignores_the_signal_ends_with_the_rest() {
    // The leader ignores USR1, its child does not, and the leader waits for it.
    let script = "
import os, signal, sys
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    print('ready', flush=True)
    while True: signal.pause()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != -signal.SIGUSR1)
";
    let process = meshim(&["--signal-group"], &["python3", "-c", script]);
    process.wait_for_stdout("ready");
    send(10, process.pid());
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn without_a_group_the_child_alone_gets_the_signal() {
    let script = "
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
pid = os.fork()
print('ready', flush=True) if pid else None
got = signal.sigwait({signal.SIGUSR1, signal.SIGTERM})
if pid == 0: os._exit(got)
# What the leader got would have been the child's, too: TERM, sent to it alone, is its first one.
os.kill(pid, signal.SIGTERM)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";
    let process = meshim(&[], &["python3", "-c", script]);
    process.wait_for_stdout("ready");
    send(10, process.pid());
    assert_eq!(process.wait().code, Some(15));
}

#[test]
fn mask_and_ignored_signals_are_the_original_ones() {
    // tini's sets: TTOU, SEGV and INT ignored; TTIN, ILL and TERM blocked.
    let script = "
import os, signal, sys
for number in (signal.SIGTTOU, signal.SIGSEGV, signal.SIGINT): signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTTIN, signal.SIGILL, signal.SIGTERM})
os.execv(sys.argv[1], sys.argv[1:])
";
    let status = ["--mesh=none", "--supervise", "--", "cat", "/proc/self/status"];
    let line = ["-c", script, MESHIM.line[0]];
    let ended = Process::spawn(Command::new("python3").args(line).args(status)).wait();
    let bits = |name: &str| {
        let line = ended.stdout.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.expect("the kernel says it").trim(), 16).expect("it is a number")
    };
    let has = |set: u64, numbers: [u32; 3]| numbers.iter().all(|n| set & (1 << (n - 1)) != 0);
    assert!(has(bits("SigIgn:"), [22, 11, 2]), "{}", ended.stdout);
    assert!(has(bits("SigBlk:"), [21, 4, 15]), "{}", ended.stdout);
}

#[test]
fn signals_are_rewritten_as_by_dumb_init() {
    // Rewrites, what is sent, what arrives; the last table ignores INT and WINCH.
    let table: [(&[&str], &[i32], &[i32]); 5] = [
        (&[], &[15, 3, 18, 2], &[15, 3, 18, 2]),
        (&["TERM:INT"], &[15, 3, 18, 2], &[2, 3, 18, 2]),
        (&["TERM:INT", "INT:TERM", "QUIT:QUIT"], &[15, 3, 18, 2], &[2, 3, 18, 15]),
        (&["1:31", "31:1"], &[1, 31], &[31, 1]),
        (&["TERM:QUIT", "INT:0", "WINCH:0"], &[15, 2, 28, 1], &[3, 1]),
    ];
    for (rewrites, sent, expected) in table {
        let options: Vec<String> =
            rewrites.iter().map(|map| format!("--map-signal={map}")).collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let process = meshim(&options, &listener::command());
        process.wait_for_stdout("ready");
        for number in sent {
            send(*number, process.pid());
        }
        send(64, process.pid());
        let ended = process.wait();
        let got = ended.stdout.lines().filter_map(|line| line.strip_prefix("got ")?.parse().ok());
        let got: Vec<i32> = got.collect();
        // The kernel hands over the lowest number first where several wait.
        let sorted = |list: &[i32]| {
            let mut list = list.to_vec();
            list.sort_unstable();
            list
        };
        let mut expected = sorted(expected);
        expected.dedup();
        let mut got = sorted(&got);
        got.dedup();
        assert_eq!(got, expected, "{rewrites:?}");
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_named() {
    let ended = meshim(&[], &["/doesnotexist"]).wait();
    assert_eq!(ended.code, Some(127));
    assert!(ended.stderr.contains("/doesnotexist"), "{}", ended.stderr);
}

#[test]
fn the_working_directory_stays() {
    let line = ["--mesh=none", "--supervise", "--", "pwd"];
    let ended = Process::spawn(Command::new(MESHIM.line[0]).args(line).current_dir("/usr")).wait();
    assert_eq!(ended.stdout.trim(), "/usr");
}

#[test]
fn the_childs_end_is_not_lost_among_others() {
    // Orphans that end in the same millisecond as the child: one SIGCHLD may stand for all.
    let script = "for n in 1 2 3 4 5 6 7 8; do sh -c 'sleep 0.01 & kill -9 $$'; done 2>/dev/null; \
                  sleep 0.009; exit 7";
    for _ in 0..100 {
        let ended = meshim(&[], &["sh", "-c", script]).wait_within(Duration::from_secs(10));
        assert_eq!(ended.code, Some(7), "{}", ended.stderr);
    }
}

#[test]
fn a_child_that_a_shell_kills_ends_the_run_as_pid_1_too() {
    let script = "sh -c 'sleep 0.01 & kill -9 $$'; exit 5";
    for _ in 0..5 {
        assert_eq!(MESHIM.runs(&["sh", "-c", script]).wait().code, Some(5));
    }
    let process = MESHIM.runs(&listener::command());
    process.wait_for_stdout("ready");
    send(64, init_of(&process));
    assert_eq!(process.wait().code, Some(0));
}

#[test]
fn exit_code_127_is_an_end_like_others() {
    // catatonit took it for a child that goes on.
    for code in [126, 127, 128] {
        let ended = meshim(&[], &["sh", "-c", &format!("exit {code}")]);
        assert_eq!(ended.wait_within(Duration::from_secs(10)).code, Some(code));
    }
}

#[test]
fn who_outlives_the_application_gets_no_signal() {
    // Says which signal comes first: HUP, which is sent after meshim's own end.
    let script = "
import os, signal, sys
wanted = {signal.SIGHUP, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
if os.fork():
    sys.exit(0)
print('left', os.getpid(), flush=True)
print('got', signal.sigwait(wanted), flush=True)
";
    let process = meshim(&[], &["python3", "-c", script]);
    let line = process.wait_for_stdout("left");
    let left: i32 = line.split(' ').next_back().and_then(|pid| pid.parse().ok()).expect("its id");
    crate::support::shared::poll(|| process.has_ended().then_some(())).expect("meshim ends");
    send(1, nix::unistd::Pid::from_raw(left));
    let ended = process.wait();
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("got 1\n"), "{}", ended.stdout);
}

/// What the handler answers to whom: 200 to a POST from loopback of either family, 405 to another
/// method, 403 to another address.
#[test]
fn istios_quit_handler_gets_what_it_demands() {
    let quit = |agent: &StandIn, status: u16| {
        agent.says("/quitquitquit", Reply::plain(status, ""));
        let url = format!("--quit-url={}/quitquitquit", agent.url());
        Process::spawn(Command::new(MESHIM.line[0]).args(["quit", "--mesh=istio", &url])).wait()
    };
    for agent in [StandIn::new(), StandIn::late_v6().opened()] {
        assert_eq!(quit(&agent, 200).code, Some(0));
        assert!(agent.requests("/quitquitquit").iter().all(|request| request.method == "POST"));
    }
    let agent = StandIn::new();
    for status in [405, 403] {
        let ended = quit(&agent, status);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains(&status.to_string()), "{}", ended.stderr);
    }
}
