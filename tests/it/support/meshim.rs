//! The built binary, run as a sentence: `Meshim::starts(["echo",
//! "hi"]).with(["--timeout=1s"]).run()`.
//!
//! Its environment is empty but for what the test sets, its working directory is its own.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::directory::Directory;
use super::process::{Ended, Process};
use super::shared::{DEADLINE, poll};

/// `None` in examples, which are compiled with this file, too, and find the binary themselves.
const BINARY: Option<&str> = option_env!("CARGO_BIN_EXE_meshim");

/// A run of meshim that has not begun.
#[derive(Debug)]
pub(crate) struct Meshim {
    wrapper: Vec<OsString>,
    forks: bool,
    subcommand: Option<OsString>,
    options: Vec<OsString>,
    command: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Directory,
}

/// A run of meshim that has begun.
#[derive(Debug)]
pub(crate) struct Running {
    process: Process,
    /// Is it the only child of that process, which `unshare -f` has forked?
    is_forked: bool,
    _directory: Directory,
}

impl Meshim {
    /// `meshim -- COMMAND [ARG]...`
    pub(crate) fn starts<S: Into<OsString>>(command: impl IntoIterator<Item = S>) -> Self {
        Self { command: command.into_iter().map(Into::into).collect(), ..Self::bare() }
    }

    /// `meshim SUBCOMMAND`: `wait`, `check`, `probe` …
    pub(crate) fn does(subcommand: &str) -> Self {
        Self { subcommand: Some(subcommand.into()), ..Self::bare() }
    }

    fn bare() -> Self {
        Self {
            wrapper: Vec::new(),
            forks: false,
            subcommand: None,
            options: Vec::new(),
            command: Vec::new(),
            environment: Vec::new(),
            directory: Directory::new(),
        }
    }

    /// With these options (and, for a subcommand, arguments).
    pub(crate) fn with<S: Into<OsString>>(mut self, options: impl IntoIterator<Item = S>) -> Self {
        self.options.extend(options.into_iter().map(Into::into));
        self
    }

    /// With this variable in the environment.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Behind another program that becomes it (`sh -c 'exec "$@"' sh`, `setpriv …`): the process id
    /// stays.
    pub(crate) fn behind<S: Into<OsString>>(
        mut self,
        wrapper: impl IntoIterator<Item = S>,
    ) -> Self {
        self.wrapper.extend(wrapper.into_iter().map(Into::into));
        self
    }

    /// Behind `sh -c SCRIPT`, in which `"$@"` is meshim's command line; the script must `exec
    /// "$@"`.
    pub(crate) fn behind_shell(self, script: &str) -> Self {
        self.behind(["/bin/sh", "-c", script, "sh"])
    }

    /// As PID 1 of a PID namespace of its own, as in a container; the network stays ours.
    pub(crate) fn being_pid_one(mut self) -> Self {
        super::namespace::must_be_permitted();
        self.forks = true;
        self.behind(["unshare", "-Urpf", "--kill-child", "--mount-proc"])
    }

    /// Its working directory, which lives as long as the run.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        self.spawn().wait()
    }

    /// Starts it.
    pub(crate) fn spawn(self) -> Running {
        let meshim = OsStr::new(BINARY.expect("cargo says it to tests and benchmarks"));
        let mut line = self.wrapper.iter().map(OsString::as_os_str).chain([meshim]);
        let mut command = Command::new(line.next().expect("meshim itself is in it"));
        command.args(line).args(&self.subcommand).args(&self.options);
        if !self.command.is_empty() {
            command.arg("--").args(&self.command);
        }
        command.env_clear().current_dir(self.directory.path());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::spawn(&mut command);
        Running { process, is_forked: self.forks, _directory: self.directory }
    }
}

impl Running {
    /// meshim's process id as this process sees it; also where meshim is PID 1 of its own
    /// namespace.
    pub(crate) fn pid(&self) -> Pid {
        let process = self.process.pid();
        if self.is_forked { only_child_of(process) } else { process }
    }

    /// Sends a signal to meshim itself.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("it is our child's, and running");
    }

    /// What it has said on stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Waits for a line on stdout that contains `part`, and returns it.
    pub(crate) fn wait_for_stdout(&self, part: &str) -> String {
        self.process.wait_for_stdout(part)
    }

    /// Waits for a line on stderr that contains `part`, and returns it.
    pub(crate) fn wait_for_stderr(&self, part: &str) -> String {
        self.process.wait_for_stderr(part)
    }

    /// Has it ended?
    pub(crate) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// The most memory it has ever used, in KiB (`VmHWM`, since its own exec).
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    /// The most address space it has ever had, in KiB: what it asks for is the same in each run.
    pub(crate) fn peak_address_space_kib(&self) -> u64 {
        self.status_kib("VmPeak:")
    }

    fn status_kib(&self, name: &str) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let found = status.lines().find_map(|line| line.strip_prefix(name));
        let found = found.and_then(|found| found.trim().strip_suffix(" kB")?.parse().ok());
        found.unwrap_or_else(|| panic!("no {name} in:\n{status}"))
    }

    /// Waits for its end.
    pub(crate) fn wait(self) -> Ended {
        self.process.wait_within(DEADLINE)
    }
}

impl Ended {
    /// It ended with `code`; all it said otherwise.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}: {self:#?}");
        self
    }

    /// stderr contains each of these parts.
    #[track_caller]
    pub(crate) fn expect_stderr(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not on stderr: {self:#?}");
        }
        self
    }
}

/// The process that `unshare -f` has forked. It appears a moment after unshare itself has started.
fn only_child_of(parent: Pid) -> Pid {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let child =
        poll(|| std::fs::read_to_string(&path).ok()?.split_whitespace().next()?.parse().ok());
    Pid::from_raw(child.unwrap_or_else(|| panic!("unshare ({parent}) has started nobody")))
}
