//! On a terminal: an interactive shell under meshim behaves as without it. Python's `pty` plays the
//! terminal and the person at it; each test runs the same session bare and supervised.

use std::process::Command;

use crate::support::process::Process;

/// Runs `sys.argv[2:]` on a terminal of its own and plays `sys.argv[1]`: lines of `expect TEXT`,
/// `type TEXT`, `end CODE`.
const PERSON: &str = r"
import os, pty, select, sys, time
pid, tty = pty.fork()
if pid == 0:
    os.environ['PS1'] = 'prompt> '
    os.environ.pop('ENV', None)
    os.execvp(sys.argv[2], sys.argv[2:])
seen, begin = '', 0
def read():
    global seen
    if select.select([tty], [], [], 0.05)[0]:
        try: data = os.read(tty, 4096)
        except OSError: return False
        seen += data.decode(errors='replace')
        return bool(data)
    return True
for line in sys.argv[1].strip().splitlines():
    verb, text = line.strip().split(' ', 1)
    text = text.encode().decode('unicode_escape')
    if verb == 'type':
        os.write(tty, text.encode())
    elif verb == 'expect':
        until = time.time() + 20
        while text not in seen[begin:]:
            alive = read()
            if time.time() > until or not alive and text not in seen[begin:]:
                sys.exit(f'never saw {text!r} in:\n{seen}')
        begin = seen.index(text, begin) + len(text)
    elif verb == 'end':
        until = time.time() + 20
        while True:
            read()
            done, status = os.waitpid(pid, os.WNOHANG)
            if done: break
            if time.time() > until: sys.exit(f'did not end:\n{seen}')
        code = os.waitstatus_to_exitcode(status)
        if code != int(text): sys.exit(f'ended with {code}:\n{seen}')
print('played')
";

/// Plays `session` with `command`, bare and supervised by meshim.
fn plays(session: &str, command: &[&str]) {
    let meshim = env!("CARGO_BIN_EXE_meshim");
    for wrapper in [&[][..], &[meshim, "--mesh=none", "--supervise", "--"][..]] {
        let mut person = Command::new("python3");
        person.args(["-c", PERSON, session]).args(wrapper).args(command);
        let ended = Process::spawn(&mut person).wait();
        assert!(ended.stdout.contains("played"), "{wrapper:?}: {ended:#?}");
    }
}

#[test]
fn an_interactive_shell_has_its_keys_its_jobs_and_its_exit_code() {
    plays(
        r"
        expect prompt>
        type cat\n
        type one\n
        expect one
        expect one
        type \x03
        expect prompt>
        type cat\n
        type two\n
        expect two
        expect two
        type \x1a
        expect Stopped
        expect prompt>
        type fg\n
        expect \ncat
        type three\n
        expect three
        expect three
        type \x03
        expect prompt>
        type sleep 1000 &\n
        expect prompt>
        type jobs\n
        expect Running
        expect prompt>
        type kill -9 $!; wait $!; echo waited=$?\n
        expect waited=137
        expect prompt>
        type echo still=here\n
        expect still=here
        type exit 7\n
        end 7
        ",
        &["sh", "-i"],
    );
}

#[test]
fn control_c_ends_a_program_as_without_meshim() {
    plays(
        "expect ready\ntype \\x03\nexpect got it\nend 9",
        &["sh", "-c", "trap 'echo got it; exit 9' INT; echo ready; while :; do sleep 0.05; done"],
    );
}

#[test]
fn control_c_goes_to_the_application_and_nothing_drains() {
    let meshim = env!("CARGO_BIN_EXE_meshim");
    let drain = ["--mesh=none", "--drain", "--drain-min=1h", "--drain-max=1h", "--"];
    let trap = "trap 'echo got it; exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let session = "expect ready\ntype \\x03\nexpect got it\nend 9";
    let mut person = Command::new("python3");
    person.args(["-c", PERSON, session, meshim]).args(drain).args(["sh", "-c", trap]);
    let ended = Process::spawn(&mut person).wait();
    assert!(ended.stdout.contains("played"), "{ended:#?}");
}

#[test]
fn a_key_reaches_the_application_once() {
    let count = "import signal, sys, time
count = [0]
def got(*_): count[0] += 1
signal.signal(signal.SIGINT, got)
signal.signal(signal.SIGQUIT, lambda *_: (print('count', count[0], flush=True), sys.exit(0)))
print('ready', flush=True)
while True: time.sleep(0.2); print('tick', flush=True)";
    plays(
        "expect ready\ntype \\x03\nexpect tick\nexpect tick\ntype \\x1c\nexpect count 1\nend 0",
        &["python3", "-c", count],
    );
}

#[test]
fn a_shell_outside_stops_and_continues_the_one_job_it_has_started() {
    let meshim = env!("CARGO_BIN_EXE_meshim");
    for job in ["cat".to_owned(), format!("{meshim} --mesh=none --supervise -- cat")] {
        let session = format!(
            r"
            expect prompt>
            type {job}\n
            expect \r\n
            type one\n
            expect one
            expect one
            type \x1a
            expect Stopped
            expect prompt>
            type echo in=between\n
            expect in=between
            expect in=between
            type fg\n
            expect cat
            type two\n
            expect two
            expect two
            type \x04
            expect prompt>
            type exit 3\n
            end 3
            "
        );
        let mut person = Command::new("python3");
        let ended = Process::spawn(person.args(["-c", PERSON, &session, "sh", "-i"])).wait();
        assert!(ended.stdout.contains("played"), "{job}: {ended:#?}");
    }
}

#[test]
fn a_hang_up_ends_the_shell_and_meshim_with_it() {
    let script = r"
import os, pty, sys, time, signal
pid, tty = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
seen = b''
while b'ready' not in seen: seen += os.read(tty, 4096)
os.close(tty)
until = time.time() + 20
while time.time() < until:
    done, status = os.waitpid(pid, os.WNOHANG)
    if done: print('ended', os.waitstatus_to_exitcode(status)); sys.exit(0)
    time.sleep(0.01)
os.kill(pid, signal.SIGKILL)
";
    let mut person = Command::new("python3");
    person.args(["-c", script, env!("CARGO_BIN_EXE_meshim"), "--mesh=none", "--supervise", "--"]);
    let ended = Process::spawn(person.args(["sh", "-c", "echo ready; exec sleep 1000"])).wait();
    assert_eq!(ended.stdout, "ended 129\n", "{ended:#?}");
}
