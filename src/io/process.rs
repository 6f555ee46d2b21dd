//! Processes: becoming the application, or starting it, signalling it and reaping everybody.
//!
//! Owns exec, fork, kill and waitpid; must never decide when. What exec does not reset, meshim does
//! not change before the application has started: mask, limits, umask, working directory,
//! environment; its own descriptors are all close-on-exec.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc;
use rustix::process::{Pid, WaitOptions, WaitStatus};
use shared_child::SharedChild;
use shared_child::unix::SharedChildExt as _;

use super::command;
use crate::core::exit::{Exit, Failure};
use crate::core::process_stat::ProcessStat;
use crate::core::signal::Signal;

/// Why a command was not started although its file is there.
#[derive(Debug, thiserror::Error)]
pub enum NotStarted {
    /// The file, or what would run it, has gone meanwhile.
    #[error("the command {0} cannot be executed: {1}")]
    Gone(PathBuf, std::io::Error),
    /// The kernel does not execute such a file.
    #[error("the command {0} cannot be executed: {1}{2}")]
    NotExecutable(PathBuf, std::io::Error, String),
    /// `EAGAIN`: the pids cgroup, `RLIMIT_NPROC`.
    #[error(
        "the command {0} cannot be started: the limit of processes is reached ({1}); raise the \
         pod's pids limit, or this user's RLIMIT_NPROC"
    )]
    Processes(PathBuf, std::io::Error),
    /// `EMFILE`, `ENFILE`: musl's `posix_spawn` opens a pipe.
    #[error(
        "the command {0} cannot be started: the limit of open files is reached ({1}); raise this \
         container's RLIMIT_NOFILE"
    )]
    Descriptors(PathBuf, std::io::Error),
    /// `ENOMEM`.
    #[error("the command {0} cannot be started: {1}; raise the container's memory limit")]
    Memory(PathBuf, std::io::Error),
}

impl NotStarted {
    fn of(path: &Path, error: std::io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(libc::ENOENT) => Self::Gone,
            Some(libc::EAGAIN) => Self::Processes,
            Some(libc::EMFILE | libc::ENFILE) => Self::Descriptors,
            Some(libc::ENOMEM) => Self::Memory,
            number => {
                let foreign = (number == Some(libc::ENOEXEC)).then(|| command::foreign(path));
                let why = foreign.flatten().map_or_else(String::new, |why| format!(": {why}"));
                return Self::NotExecutable(path.to_owned(), error, why);
            }
        };
        kind(path.to_owned(), error)
    }
}

impl From<NotStarted> for Failure {
    fn from(error: NotStarted) -> Self {
        let exit = match error {
            NotStarted::Gone(..) => Exit::NotFound,
            NotStarted::NotExecutable(..) => Exit::CannotExecute,
            NotStarted::Processes(..) | NotStarted::Descriptors(..) | NotStarted::Memory(..) => {
                Exit::Failed
            }
        };
        Self::new(exit, error.to_string())
    }
}

/// Replaces this process by `command`, whose file is `path`. Comes back only with an error.
///
/// std's exec sets SIGPIPE to its default again, which Rust's runtime has ignored since the start.
#[must_use]
pub fn become_command(path: &Path, command: &[OsString]) -> NotStarted {
    NotStarted::of(path, Launch::new(path, command).prepared.exec())
}

/// The id of this process, which stays the application's where it becomes that.
#[must_use]
pub fn own_id() -> u32 {
    std::process::id()
}

/// Orphans of the application come to us and not to the container's init
/// (`PR_SET_CHILD_SUBREAPER`). PID 1 gets them anyway.
///
/// # Errors
/// The kernel's.
pub fn adopt_orphans() -> std::io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Stops this process as Ctrl-Z would, and comes back when somebody continues it. PID 1 cannot be
/// stopped.
pub fn stop_ourselves() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
}

/// Are we a job of a shell in our own session?
#[must_use]
pub fn is_a_job() -> bool {
    let session = |pid| rustix::process::getsid(pid).ok();
    rustix::process::getppid()
        .is_some_and(|parent| session(Some(parent)).is_some_and(|its| Some(its) == session(None)))
}

/// The application while we are its parent. Its id is its own until [`Application::reap`] has told
/// its end.
#[derive(Debug)]
pub struct Application {
    child: SharedChild,
    pid: Pid,
    own_group: bool,
    to_group: bool,
}

/// What has become of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildChange {
    /// It has ended.
    Ended(Exit),
    /// It was stopped (SIGSTOP, Ctrl-Z).
    Stopped,
}

/// A command that is ready to be started.
#[derive(Debug)]
pub struct Launch {
    path: PathBuf,
    prepared: Command,
    own_group: bool,
    to_group: bool,
}

impl Launch {
    /// `command`, whose file is `path`.
    #[must_use]
    pub fn new(path: &Path, command: &[OsString]) -> Self {
        let (name, args) = command.split_first().unzip();
        let mut prepared = Command::new(path);
        prepared
            .arg0(name.map_or(path.as_os_str(), OsString::as_os_str))
            .args(args.unwrap_or_default());
        Self { path: path.to_owned(), prepared, own_group: false, to_group: false }
    }

    /// Errors name this file, which the command is going to become.
    #[must_use]
    pub fn told_as(self, path: &Path) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// As the leader of a process group of its own, where `yes`.
    #[must_use]
    pub fn in_own_group(mut self, yes: bool) -> Self {
        if yes {
            self.prepared.process_group(0);
        }
        Self { own_group: yes, ..self }
    }

    /// Signals go to its group, where `yes`.
    #[must_use]
    pub fn signalled_as_group(self, yes: bool) -> Self {
        Self { to_group: yes, ..self }
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`NotStarted`]: the errors of fork and exec.
    ///
    /// # Panics
    /// Never: a process id that Linux gives is a positive `i32`.
    pub fn start(mut self) -> Result<Application, NotStarted> {
        let child = SharedChild::spawn(&mut self.prepared)
            .map_err(|error| NotStarted::of(&self.path, error))?;
        let pid = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("Linux's process ids fit");
        Ok(Application { child, pid, own_group: self.own_group, to_group: self.to_group })
    }
}

impl Application {
    /// Its process id.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid.as_raw_pid()
    }

    /// The process group it is in now; its own where it has made itself one, as shells do.
    #[must_use]
    pub fn group(&self) -> Option<Pid> {
        rustix::process::getpgid(Some(self.pid)).ok()
    }

    /// Sends it `signal`, and its group, too, where that is wanted; to it in any case, also where
    /// it has left that group.
    ///
    /// A real-time signal goes to it alone: what its number means is between sender and receiver.
    ///
    /// # Errors
    /// It runs as another user, whom we may not signal.
    pub fn send(&self, signal: Signal) -> std::io::Result<()> {
        let number = i32::from(signal.number());
        let named = rustix::process::Signal::from_named_raw(number);
        if let (Some(named), Some(group)) = (named, self.group_to_signal())
            && rustix::process::kill_process_group(group, named).is_ok()
            && self.group() == Some(group)
        {
            return Ok(());
        }
        self.child.send_signal(number)
    }

    /// The group of our making; on a terminal one that it has made itself. Never our own.
    fn group_to_signal(&self) -> Option<Pid> {
        if !self.to_group {
            None
        } else if self.own_group {
            Some(self.pid)
        } else {
            self.group().filter(|group| *group != rustix::process::getpgrp())
        }
    }

    /// Lets it run.
    pub fn resume(&self) {
        let _ = self.send(Signal::CONT);
    }

    /// Is it stopped at this moment? Without /proc it may be.
    #[must_use]
    pub fn may_be_stopped(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        stat.map_or(true, |stat| ProcessStat::of(&stat).is_some_and(|stat| stat.is_stopped()))
    }

    /// Reaps every child that has ended, ours or adopted, and tells what has become of the
    /// application.
    ///
    /// The only reaper. It takes raw statuses: a death by a real-time signal is lost with nix's.
    #[must_use]
    pub fn reap(&self) -> Vec<ChildChange> {
        let mut changes = Vec::new();
        let options = WaitOptions::NOHANG | WaitOptions::UNTRACED;
        loop {
            match rustix::process::wait(options) {
                Ok(Some((pid, status))) if pid == self.pid => changes.extend(change(status)),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) | Err(_) => return changes,
            }
        }
    }
}

fn change(status: WaitStatus) -> Option<ChildChange> {
    if let Some(code) = status.exit_status() {
        return Some(ChildChange::Ended(Exit::App(u8::try_from(code).unwrap_or(u8::MAX))));
    }
    if let Some(number) = status.terminating_signal() {
        return Signal::from_number(number).map(|signal| ChildChange::Ended(Exit::Signal(signal)));
    }
    status.stopped().then_some(ChildChange::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_reached_is_no_fault_of_the_command() {
        let told = |number| {
            let error = std::io::Error::from_raw_os_error(number);
            Failure::from(NotStarted::of(Path::new("/app"), error))
        };
        for (number, part) in [
            (libc::EMFILE, "raise this container's RLIMIT_NOFILE"),
            (libc::ENFILE, "raise this container's RLIMIT_NOFILE"),
            (libc::EAGAIN, "raise the pod's pids limit"),
            (libc::ENOMEM, "raise the container's memory limit"),
        ] {
            let Failure { exit, sentence, .. } = told(number);
            assert!(sentence.contains("cannot be started"), "{sentence}");
            assert!(sentence.contains(part) && exit == Exit::Failed, "{sentence}");
        }
        let [refused, gone] = [libc::ENOEXEC, libc::ENOENT].map(told);
        assert!(refused.sentence.contains("cannot be executed"));
        assert_eq!((refused.exit, gone.exit), (Exit::CannotExecute, Exit::NotFound));
    }
}
