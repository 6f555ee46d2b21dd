//! The terminal that the application may have, and the one that findings are told on.
//!
//! Owns `/dev/tty` and what stdout is; must never read from either, write to it or change its
//! settings.

use std::fs::File;
use std::io::IsTerminal as _;

use rustix::process::Pid;
use rustix::termios::{tcgetpgrp, tcgetwinsize, tcsetpgrp};

/// The columns of the terminal that stdout is; `None` where it is none.
#[must_use]
pub fn columns_of_stdout() -> Option<usize> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Is stdout a terminal?
#[must_use]
pub fn is_stdout() -> bool {
    std::io::stdout().is_terminal()
}

/// Our controlling terminal.
#[derive(Debug)]
pub struct Terminal(File);

impl Terminal {
    /// The controlling terminal, if there is one (`tty(4)`: opening `/dev/tty` fails without).
    #[must_use]
    pub fn controlling() -> Option<Self> {
        File::open("/dev/tty").ok().map(Self)
    }

    /// The foreground process group.
    #[must_use]
    pub fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(&self.0).ok()
    }

    /// Makes `group` the foreground process group where ours is it. TTOU, which would stop us
    /// otherwise, is blocked.
    pub fn hand_to(&self, group: Pid) {
        if self.foreground() == Some(rustix::process::getpgrp()) {
            let _ = tcsetpgrp(&self.0, group);
        }
    }
}
