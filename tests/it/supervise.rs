//! Being the application's parent: signals, exit codes, process groups, and applications that
//! behave oddly.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::listener::{self, supervised};
use crate::support::meshim::{Meshim, Running};
use crate::support::process::Process;
use crate::support::reply::Reply;
use crate::support::seccomp::refusing;
use crate::support::shared::poll;
use crate::support::standin::StandIn;

fn supervising<const N: usize>(command: [&str; N]) -> Meshim {
    Meshim::starts(command).with(["--mesh=none", "--supervise"])
}

/// The application's process id: meshim's only child.
fn application_of(run: &Running) -> Pid {
    let path = format!("/proc/{0}/task/{0}/children", run.pid());
    let child =
        poll(|| std::fs::read_to_string(&path).ok()?.split_whitespace().next()?.parse().ok());
    Pid::from_raw(child.expect("it has started the application"))
}

/// A signal by number, also a real-time one, for which nix has no name.
fn send(number: i32, pid: Pid) {
    let ended =
        Process::spawn(Command::new("/bin/sh").args(["-c", &format!("kill -{number} {pid}")]))
            .wait();
    assert_eq!(ended.code, Some(0), "{number}: {ended:?}");
}

#[test]
fn exit_codes_are_passed_on_also_as_pid_one() {
    for code in [0, 1, 2, 42, 124, 125, 126, 127, 128, 143, 255] {
        supervising(["sh", "-c", &format!("exit {code}")]).run().expect_code(code);
    }
    supervising(["sh", "-c", "exit 42"]).being_pid_one().run().expect_code(42);
}

#[test]
fn a_death_by_signal_is_128_and_its_number_also_by_a_real_time_one() {
    for number in [1, 2, 3, 6, 9, 11, 15, 34, 40, 64] {
        supervising(["python3", "-c", &format!("import os; os.kill(os.getpid(), {number})")])
            .run()
            .expect_code(128 + number);
    }
}

#[test]
fn an_exit_code_that_counts_as_success_is_0() {
    let command = ["sh", "-c", "kill $$; sleep 9"];
    supervising(command).with(["--ok-exit=1,143"]).run().expect_code(0);
    supervising(command).env("MESHIM_OK_EXIT", "143,1").run().expect_code(0);
    supervising(command).with(["--ok-exit=1"]).run().expect_code(143);
}

#[test]
fn every_signal_that_can_be_forwarded_is() {
    let run = supervised(&["--grace=2h"]);
    let forwarded = (1..64).filter(|number| ![4, 7, 8, 9, 11, 17, 19, 32, 33].contains(number));
    for number in forwarded {
        // musl keeps 34 for itself; the tests' binary is glibc's.
        send(number, run.pid());
        run.wait_for_stdout(&format!("got {number}"));
    }
    send(64, run.pid());
    let ended = run.wait().expect_code(0);
    assert_eq!(ended.stdout.lines().count(), 56, "{ended:#?}");
}

#[test]
fn ten_thousand_signals_end_nothing_and_not_one_real_time_signal_is_lost() {
    let run = supervised(&[]);
    let script = "import os, sys\nfor n in range(2500):\n  for s in (1, 10, 28, 40): \
                  os.kill(int(sys.argv[1]), s)\n";
    let pid = run.pid().to_string();
    let storm = Process::spawn(Command::new("python3").args(["-c", script, &pid]));
    assert_eq!(storm.wait().code, Some(0));
    send(64, run.pid());
    let ended = run.wait().expect_code(0);
    assert!(ended.stdout.contains("(40, 2500)"), "{:?}", ended.stdout.lines().last());
    assert!(ended.stdout.contains("(1, ") && ended.stdout.contains("(28, "));
}

#[test]
fn without_a_terminal_the_application_leads_a_group_and_the_group_is_signalled() {
    let script = "trap 'echo child; wait; exit 3' TERM
        sh -c 'trap \"echo grandchild; exit 0\" TERM; echo ready; while :; do sleep 0.05; done' &
        while :; do sleep 0.05; done";
    // `setsid` takes away the terminal that the tests themselves may have been started on.
    let run = supervising(["sh", "-c", script]).with(["--signal-group"]).behind(["setsid"]);
    let run = run.spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    let ended = run.wait().expect_code(3);
    assert!(ended.stdout.contains("grandchild") && ended.stdout.contains("child"), "{ended:#?}");
}

#[test]
fn by_default_the_application_alone_is_signalled() {
    // Its children are its own business, as those of nginx and PostgreSQL.
    let script = "trap 'kill -USR1 $!; wait; exit 3' TERM
        sh -c 'trap \"echo TERM\" TERM; trap \"over=1\" USR1; echo ready
            while [ -z \"$over\" ]; do sleep 0.05; done; echo USR1' &
        while :; do sleep 0.05; done";
    let run = supervising(["sh", "-c", script]).behind(["setsid"]).spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    assert_eq!(run.wait().expect_code(3).stdout, "ready\nUSR1\n");
}

/// Joins its parent's process group, leaves a child behind in its own, and ends 7 by TERM.
const LEAVES_ITS_GROUP: &str = "import os, signal, sys
if os.fork() == 0:
    os.closerange(0, 3)
    os.execvp('sleep', ['sleep', '3'])
os.setpgid(0, os.getpgid(os.getppid()))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print('ready', flush=True)
while True: signal.pause()";

#[test]
fn an_application_that_has_left_its_group_is_signalled_and_killed_all_the_same() {
    for options in [&["--grace=1h"][..], &["--grace=1h", "--signal-group"]] {
        let run = supervising(["python3", "-c", LEAVES_ITS_GROUP]).with(options.to_vec());
        let run = run.behind(["setsid"]).spawn();
        run.wait_for_stdout("ready");
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(7);
    }
    let deaf = LEAVES_ITS_GROUP.replace("lambda *_: sys.exit(7)", "signal.SIG_IGN");
    let run = supervising(["python3", "-c", &deaf]).with(["--grace=200ms", "--signal-group"]);
    let run = run.behind(["setsid"]).spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(137);
}

#[test]
fn what_an_images_stop_signal_is_stops_before_the_start_and_after_it() {
    for (signal, name) in [(Signal::SIGUSR1, "USR1"), (Signal::SIGWINCH, "WINCH")] {
        let option = format!("--stop-signal={name}");
        let late = StandIn::late();
        let waiting = Meshim::starts(["true"]).being_pid_one().with([&option]);
        let waiting = waiting.with(["--admin-url", &late.url()]).spawn();
        waiting.wait_for_stderr("waiting for the proxy");
        waiting.signal(signal);
        waiting.wait().expect_code(128 + signal as i32);
        // It drains: the application gets it only after the shortest time.
        let proxy = StandIn::new();
        proxy.says("/ready", Reply::live());
        let options = ["--admin-url", &proxy.url(), "--drain", "--drain-min=300ms", &option];
        let run = Meshim::starts(listener::command()).with(options).with(["--drain-max=2s"]);
        let run = run.spawn();
        run.wait_for_stdout("ready");
        let began = std::time::Instant::now();
        run.signal(signal);
        run.wait_for_stdout(&format!("got {}", signal as i32));
        assert!(began.elapsed() >= std::time::Duration::from_millis(300), "{signal}");
        send(64, run.pid());
        run.wait().expect_code(0);
    }
}

#[test]
fn without_grace_the_application_takes_as_long_as_it_needs() {
    let slow = "trap 'echo stopping' TERM; echo ready; while :; do sleep 0.05; done";
    let run = supervising(["sh", "-c", slow]).with(["--log=debug"]).spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("stopping");
    // It sleeps in epoll_wait, whose fourth argument is the time until the next deadline: none.
    let asleep = poll(|| {
        let call = std::fs::read_to_string(format!("/proc/{}/syscall", run.pid())).ok()?;
        let timeout = call.split_whitespace().nth(4)?.strip_prefix("0x")?;
        let timeout = u64::from_str_radix(timeout, 16).ok()?;
        (timeout & 0xffff_ffff == 0xffff_ffff).then_some(())
    });
    assert!(asleep.is_some(), "it waits for something else than signals");
    send(9, application_of(&run));
    let ended = run.wait().expect_code(137);
    assert!(!ended.stderr.contains("--grace"), "{ended:#?}");
}

#[test]
fn a_flood_of_real_time_signals_delays_neither_drain_nor_kill() {
    let deaf = "trap '' TERM RTMIN+5; echo ready; while :; do sleep 1; done";
    let flood = "
import os, signal, sys
while True:
    try: os.kill(int(sys.argv[1]), signal.SIGRTMIN + 5)
    except BlockingIOError: pass
";
    let drain = ["--drain", "--drain-min=500ms", "--drain-max=500ms"];
    for (command, options, code) in
        [(deaf, &["--grace=500ms"][..], 137), ("echo ready; exec sleep 1000", &drain, 143)]
    {
        let run = supervising(["sh", "-c", command]).with(["--map-signal=RTMIN+5:0"]);
        let run = run.with(options.to_vec()).spawn();
        run.wait_for_stdout("ready");
        let pid = run.pid().to_string();
        let start = |_| Process::spawn(Command::new("python3").args(["-c", flood, &pid]));
        let floods: Vec<Process> = (0..2).map(start).collect();
        poll(|| pending_real_time(&run).then_some(())).expect("the flood has begun");
        let began = std::time::Instant::now();
        run.signal(Signal::SIGTERM);
        run.wait().expect_code(code);
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(3), "{took:?}");
        drop(floods);
    }
}

/// Are real-time signals queued for it (`SigQ` counts them)?
fn pending_real_time(run: &Running) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.pid())).expect("it runs");
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let mask = pending.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> 33 != 0)
}

#[test]
fn how_long_a_stop_may_take_is_said_at_the_start_beside_what_the_pod_allows() {
    let said = |options: &[&str], pod_grace: &str| {
        let run = supervising(["true"]).with(options.to_vec()).env("MESHIM_POD_GRACE", pod_grace);
        run.env("PATH", "/usr/bin:/bin").run().expect_code(0).stderr
    };
    let drain = ["--drain"];
    let advice = "up to 15s of draining, then the application's own stop; the pod's \
                  terminationGracePeriodSeconds must be above 15";
    assert!(said(&drain, "").contains(advice), "{}", said(&drain, ""));
    let fits = said(&drain, "30");
    assert!(fits.contains("killed 30s after") && !fits.contains("warning"), "{fits}");
    let short = said(&drain, "8s");
    assert!(short.contains("warning: a stop takes") && short.contains("above 15"), "{short}");
    // Time for ending the proxy is told where there is one to ask.
    let asks = ["--quit=always", "--quit-url=http://127.0.0.1:1/"];
    assert!(said(&asks, "").contains("for ending the proxy"), "{}", said(&asks, ""));
    assert!(!said(&["--quit=always"], "").contains("a stop takes"));
    // It is only judged by: an application may take as long as the pod lets it.
    assert!(!said(&[], "").contains("a stop takes"));
}

#[test]
fn the_way_of_a_stop_can_be_read_from_the_info_lines() {
    let run = supervised(&["--map-signal=TERM:USR1"]);
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("got 10");
    send(64, run.pid());
    let ended = run.wait().expect_code(0);
    let events = ["has started", "a stop signal has come", "sent to the application", "has ended"];
    let found: Vec<Option<usize>> = events.iter().map(|event| ended.stderr.find(event)).collect();
    assert!(found.is_sorted() && found[0].is_some(), "{ended:#?}");
    // What does not stop it is said at debug only.
    assert_eq!(ended.stderr.matches("sent to the application").count(), 1, "{ended:#?}");
}

#[test]
fn a_mapped_signal_arrives_as_another_or_not_at_all() {
    let run = supervised(&["--map-signal=TERM:USR1,HUP:0", "--grace=1h"]);
    run.signal(Signal::SIGHUP);
    run.signal(Signal::SIGTERM);
    run.wait_for_stdout("got 10");
    send(64, run.pid());
    assert!(!run.wait().expect_code(0).stdout.contains("got 1\n"));
}

#[test]
fn an_application_that_ignores_its_stop_signal_is_killed_when_grace_is_over() {
    let run = supervising(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
    let run = run.with(["--grace=300ms"]).spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    run.wait()
        .expect_code(137)
        .expect_stderr(&["had not ended within 300ms of the stop signal (--grace): killed it"]);
}

#[test]
fn no_grace_at_all_is_warned_of_at_the_start() {
    let run = supervising(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
    let run = run.with(["--grace=0"]).spawn();
    run.wait_for_stderr("warning: --grace 0 kills the application at the first stop signal");
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(137);
}

#[test]
fn a_stopped_application_is_let_run_to_get_its_stop_signal() {
    let run = supervising(["sh", "-c", "echo ready; exec sleep 1000"]).spawn();
    run.wait_for_stdout("ready");
    kill(application_of(&run), Signal::SIGSTOP).unwrap();
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
}

#[test]
fn an_application_that_forks_and_dies_is_over() {
    // The grandchild would hold the output open: it closes it.
    supervising(["sh", "-c", "(exec sleep 1000 >&- 2>&-) & exit 9"])
        .being_pid_one()
        .run()
        .expect_code(9);
}

#[test]
fn an_application_that_closes_its_streams_goes_on() {
    let run = supervising(["sh", "-c", "echo ready; exec sleep 1000 <&- >&- 2>&-"]).spawn();
    run.wait_for_stdout("ready");
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
}

#[test]
fn a_closed_stderr_of_ours_is_not_the_applications_broken_pipe() {
    // Every log line raises a SIGPIPE in meshim, which the application must not get: it would die
    // of it.
    let broken = "import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
r, w = os.pipe(); os.close(r); os.dup2(w, 2); os.execvp(sys.argv[1], sys.argv[1:])";
    let run = supervising(["sh", "-c", "echo ready; exec sleep 1000"]).with(["--log=debug"]);
    let run = run.behind(["python3", "-c", broken]).spawn();
    run.wait_for_stdout("ready");
    for _ in 0..20 {
        run.signal(Signal::SIGWINCH);
    }
    run.signal(Signal::SIGTERM);
    run.wait().expect_code(143);
}

#[test]
fn a_stop_signal_that_comes_with_the_start_is_not_lost() {
    // Sent as soon as meshim exists: in the wait, in the fork, or right behind it.
    for delay in 0..40 {
        let run = supervising(["sleep", "1000"]).with(["--log=error"]).spawn();
        for _ in 0..delay * 2_000 {
            std::hint::spin_loop();
        }
        // Before its handlers exist a signal ends it as it ends every program.
        run.signal(Signal::SIGTERM);
        let ended = run.wait();
        assert!(ended.code == Some(143) || ended.signal == Some(15), "{ended:#?}");
    }
}

#[test]
fn a_thousand_orphans_are_reaped_and_the_applications_code_is_kept() {
    // Each double-forks: the middle process ends, the orphan comes to meshim and ends, too.
    let script = "
import os, sys, time
for n in range(1000):
    if os.fork() == 0:
        if os.fork() == 0: os._exit(0)
        os._exit(0)
    os.wait()
def orphans():
    me, found = str(os.getppid()), 0
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try: stat = open(f'/proc/{pid}/stat').read().rsplit(') ', 1)[1].split()
        except OSError: continue
        found += stat[1] == me and int(pid) != os.getpid()
    return found
while orphans(): time.sleep(0.01)
print('reaped', flush=True)
sys.exit(7)
";
    for meshim in [
        supervising(["python3", "-c", script]),
        supervising(["python3", "-c", script]).being_pid_one(),
    ] {
        let ended = meshim.run().expect_code(7);
        assert_eq!(ended.stdout, "reaped\n");
    }
}

#[test]
fn a_fork_that_fails_is_a_sentence_with_a_remedy() {
    // As somebody who may have no process more than there are; root has no such limit.
    let limited = "[ $(id -u) != 0 ] || set -- setpriv --reuid=65534 --regid=65534 --clear-groups \
                   prlimit --nproc=1:1 \"$@\"; exec prlimit --nproc=1:1 \"$@\"";
    let copy = std::env::temp_dir().join(format!("meshim-eagain-{}", std::process::id()));
    std::fs::copy(env!("CARGO_BIN_EXE_meshim"), &copy).unwrap();
    let line = [
        "sh",
        "-c",
        limited,
        "sh",
        copy.to_str().unwrap(),
        "--mesh=none",
        "--supervise",
        "--",
        "/bin/true",
    ];
    let mut command = Command::new(line[0]);
    let ended = Process::spawn(command.args(&line[1..])).wait();
    std::fs::remove_file(&copy).unwrap();
    ended.expect_code(125).expect_stderr(&["the limit of processes is reached", "RLIMIT_NPROC"]);
}

#[test]
fn what_the_kernel_refuses_is_told_before_the_application_starts() {
    for number in [nix::libc::SYS_signalfd4, nix::libc::SYS_epoll_create1] {
        let run = supervising(["sh", "-c", "echo started; exec sleep 1000"]);
        let run = run.behind(refusing(number)).env("PATH", "/usr/bin:/bin");
        let ended = run.run().expect_code(125).expect_stderr(&["the kernel refuses"]);
        assert_eq!(ended.stdout, "");
    }
    // Too few descriptors for each step in its turn: either nothing has started, or all went well.
    let mut refused = Vec::new();
    for limit in 4..=16 {
        let run = supervising(["/bin/echo", "started"]);
        let ended = run.behind_shell(&format!("ulimit -n {limit}; exec \"$@\"")).run();
        if ended.code == Some(0) {
            assert_eq!(ended.stdout, "started\n");
        } else {
            let ended = ended.expect_code(125);
            assert_eq!(ended.stdout, "");
            refused.push(ended.stderr);
        }
    }
    // The first signalfd fits into four: this is the supervisor's own, the last thing to fail.
    assert!(refused.iter().any(|said| said.contains("refuses signalfd")), "{refused:#?}");
    assert!(refused.len() < 13, "{refused:#?}");
}

#[test]
fn nothing_wakes_it_up_and_it_is_one_thread() {
    let run = supervised(&["--quit=on-success", "--quit-url=http://127.0.0.1:9/"]);
    let field = |name: &str| {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", run.pid())).expect("it runs");
        let value =
            status.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        value.unwrap_or_else(|| panic!("{name} in:\n{status}"))
    };
    // A round trip shows that the start is over; from then on it sleeps until the next signal.
    send(10, run.pid());
    run.wait_for_stdout("got 10");
    let asleep = poll(|| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", run.pid())).ok()?;
        stat.rsplit_once(") ")?.1.starts_with('S').then_some(())
    });
    asleep.expect("it sleeps");
    let before = field("voluntary_ctxt_switches:");
    // Something else that takes its time: another supervised run, whole.
    supervising(["sh", "-c", "sleep 1; exit 5"]).run().expect_code(5);
    assert_eq!(field("voluntary_ctxt_switches:"), before);
    assert_eq!(field("Threads:"), 1);
    send(9, application_of(&run));
    run.wait().expect_code(137);
}

#[test]
fn what_cannot_be_started_is_told_as_without_supervising() {
    supervising(["/no/such/program"]).run().expect_code(127);
    supervising(["/etc/passwd"]).run().expect_code(126);
}

#[test]
fn the_application_gets_the_mask_and_the_dispositions_that_meshim_got() {
    let masks = ["grep", "-E", "Sig(Blk|Ign|Cgt)", "/proc/self/status"];
    let blocked = "exec env --block-signal=TERM --block-signal=RTMIN+3 \"$@\"";
    for shell in ["exec \"$@\"", "trap '' HUP USR1 INT; exec \"$@\"", blocked] {
        let bare = supervising(masks).behind_shell(shell).run().expect_code(0);
        let mut direct = Command::new("/bin/sh");
        direct.env_clear().args(["-c", shell, "sh"]).args(masks);
        let direct = Process::spawn(&mut direct).wait();
        assert_eq!(bare.stdout, direct.stdout, "{shell}");
    }
}
