//! A child process of a test: its output as it comes, its end with a deadline; killed and reaped
//! when dropped.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; a test may have threads and ends what it started"
)]

use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::shared::{DEADLINE, Shared};

/// A running process with captured output.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: Output,
    stderr: Output,
    /// Set when the process has ended; it is still a zombie then, so its id belongs to nobody else.
    ended: Shared<bool>,
    watcher: Option<JoinHandle<()>>,
}

/// How a process ended, and all it said.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts `command`. Its stdin is empty unless the command says otherwise.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let spawned =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let stdout = Output::of(child.stdout.take().expect("it is piped"));
        let stderr = Output::of(child.stderr.take().expect("it is piped"));
        let ended = Shared::new(false);
        let (pid, tell) = (pid_of(&child), ended.clone());
        let watcher = std::thread::spawn(move || {
            let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            tell.change(|ended| *ended = true);
        });
        Self { name, child, stdout, stderr, ended, watcher: Some(watcher) }
    }

    pub(crate) fn pid(&self) -> Pid {
        pid_of(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is our child and not reaped yet");
    }

    /// What it has said on stdout so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits for a line on stdout that contains `part`, and returns it.
    pub(crate) fn wait_for_stdout(&self, part: &str) -> String {
        self.line(&self.stdout, "stdout", part)
    }

    /// Waits for a line on stderr that contains `part`, and returns it.
    pub(crate) fn wait_for_stderr(&self, part: &str) -> String {
        self.line(&self.stderr, "stderr", part)
    }

    fn line(&self, output: &Output, name: &str, part: &str) -> String {
        output.line(part).unwrap_or_else(|| {
            let (process, stdout, stderr) = (&self.name, self.stdout(), self.stderr());
            panic!("{process} never said `{part}` on {name}; stdout:\n{stdout}\nstderr:\n{stderr}")
        })
    }

    /// Has it ended, and not been waited for?
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.look(|ended| *ended)
    }

    /// Waits for its end and for the end of its output.
    pub(crate) fn wait(self) -> Ended {
        self.wait_within(DEADLINE)
    }

    /// The same with another deadline.
    pub(crate) fn wait_within(mut self, deadline: Duration) -> Ended {
        if self.ended.wait_for(deadline, |ended| ended.then_some(())).is_none() {
            let (name, stdout, stderr) = (&self.name, self.stdout(), self.stderr());
            panic!("{name} did not end within {deadline:?}; stdout:\n{stdout}\nstderr:\n{stderr}");
        }
        let status = self.reap();
        Ended {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.all(&self.name),
            stderr: self.stderr.all(&self.name),
        }
    }

    fn reap(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("nobody else reaps it");
        if let Some(watcher) = self.watcher.take() {
            watcher.join().expect("the watcher never panics");
        }
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.watcher.is_some() {
            let _ = self.child.kill();
            self.reap();
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("Linux's process ids fit"))
}

/// One output of a process, as far as it has come.
#[derive(Clone, Debug)]
struct Output(Shared<(Vec<u8>, bool)>);

impl Output {
    /// Reads until the end, which comes when the last process that holds the pipe closes it.
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let output = Self(Shared::new((Vec::new(), false)));
        let read = output.0.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                read.change(|(bytes, _)| bytes.extend_from_slice(&buffer[..count]));
            }
            read.change(|(_, over)| *over = true);
        });
        output
    }

    fn text(&self) -> String {
        self.0.look(|(bytes, _)| String::from_utf8_lossy(bytes).into_owned())
    }

    /// A whole line that contains `part`; `None` when the output is over or the deadline is.
    fn line(&self, part: &str) -> Option<String> {
        let found = self.0.wait_for(DEADLINE, |(bytes, over)| {
            let text = String::from_utf8_lossy(bytes);
            let mut lines = text.split_inclusive('\n').filter(|line| *over || line.ends_with('\n'));
            let line =
                lines.find(|line| line.contains(part)).map(|line| line.trim_end().to_owned());
            (line.is_some() || *over).then_some(line)
        });
        found.flatten()
    }

    fn all(&self, name: &str) -> String {
        let over = self.0.wait_for(DEADLINE, |(_, over)| over.then_some(()));
        assert!(
            over.is_some(),
            "{name} has ended, and something it left behind still holds its output"
        );
        self.text()
    }
}
