//! What happens when a parent dies: the kernel's signal to us, and ours to the application.
//!
//! Owns `PR_SET_PDEATHSIG` and the hidden command line by which this program sets it in the
//! application's process: the kernel clears it in a new child and keeps it across exec
//! (`PR_SET_PDEATHSIG(2const)`), and between the two only a program can ask for it. Must never
//! leave a trace of that in the application.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpid, getppid, kill_process, set_parent_process_death_signal};

use super::process::{Launch, become_command};
use super::signals::StopSignals;
use crate::core::exit::Failure;
use crate::core::signal::Signal;

/// The first argument of the hidden command line: no option, and never the user's, whose command
/// stands behind `--`.
const HIDDEN: &str = "__exec-with-parent-death-signal";

/// Not what it links to: that may have been replaced, or be hidden by a mount.
const OWN_FILE: &str = "/proc/self/exe";

/// Our parent as it was at the first instruction.
#[derive(Clone, Copy, Debug)]
pub struct Parent(Option<Pid>);

impl Parent {
    /// The parent at this moment.
    #[must_use]
    pub fn now() -> Self {
        Self(getppid())
    }

    /// From now on the kernel sends us `signal` when our parent dies; false where it has died
    /// already, of which the kernel would say nothing. A parent outside of our PID namespace
    /// cannot be told from a dead one, and counts as alive.
    ///
    /// # Errors
    /// The kernel's; or `signal` is a real-time one, which no safe interface takes here.
    pub fn death_sends(self, signal: Signal) -> std::io::Result<bool> {
        set_parent_process_death_signal(Some(named(signal)?))?;
        Ok(getppid() == self.0)
    }
}

/// This program, which becomes `command` with `signal` set for our death.
///
/// # Errors
/// This program's own file cannot be found: there is no /proc.
pub fn launch(path: &Path, command: &[OsString], signal: Signal) -> std::io::Result<Launch> {
    let own = Path::new(OWN_FILE);
    own.metadata()?;
    Ok(Launch::new(own, &line(path, command, signal)).told_as(path))
}

fn line(path: &Path, command: &[OsString], signal: Signal) -> Vec<OsString> {
    let numbers = [i32::from(signal.number()), getpid().as_raw_pid()];
    let [signal, parent] = numbers.map(|number| number.to_string().into());
    let head = [OWN_FILE.into(), HIDDEN.into(), signal, parent, path.into()];
    head.into_iter().chain(command.iter().cloned()).collect()
}

/// What the hidden command line asks for.
#[derive(Debug)]
pub struct Hidden {
    signal: Signal,
    parent: Parent,
    path: PathBuf,
    command: Vec<OsString>,
}

impl Hidden {
    /// `None` for every command line of a user.
    #[must_use]
    pub fn read(args: &[OsString]) -> Option<Self> {
        let [_, hidden, signal, parent, path, command @ ..] = args else { return None };
        let number = |text: &OsStr| text.to_str()?.parse::<i32>().ok();
        (hidden == HIDDEN).then_some(())?;
        Some(Self {
            signal: Signal::from_number(number(signal)?)?,
            parent: Parent(Pid::from_raw(number(parent)?)),
            path: path.into(),
            command: command.to_vec(),
        })
    }

    /// Becomes the command; where the parent has died meanwhile, sends this process the signal
    /// that the kernel would have sent. Comes back only with an error.
    #[must_use]
    pub fn perform(self, stop: &StopSignals) -> Failure {
        if let Err(refused) = stop.restore_mask() {
            return refused.into();
        }
        if matches!(self.parent.death_sends(self.signal), Ok(false))
            && let Ok(signal) = named(self.signal)
        {
            let _ = kill_process(getpid(), signal);
        }
        become_command(&self.path, &self.command).into()
    }
}

fn named(signal: Signal) -> std::io::Result<rustix::process::Signal> {
    let named = rustix::process::Signal::from_named_raw(i32::from(signal.number()));
    named.ok_or_else(|| std::io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let command = ["app", "--", "-x"].map(OsString::from);
        let line = line(Path::new("/bin/app"), &command, Signal::TERM);
        let hidden = Hidden::read(&line).unwrap();
        assert_eq!((hidden.signal, hidden.parent.0), (Signal::TERM, Some(getpid())));
        assert_eq!(
            (hidden.path.as_path(), &*hidden.command),
            (Path::new("/bin/app"), &command[..])
        );
        for users in [&["meshim", "--", HIDDEN, "15", "1", "/a", "a"][..], &["meshim", HIDDEN]] {
            let users: Vec<OsString> = users.iter().map(Into::into).collect();
            assert!(Hidden::read(&users).is_none(), "{users:?}");
        }
    }
}
