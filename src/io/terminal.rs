//! The terminal that the application may have: whose turn it is there.
//!
//! Owns `/dev/tty`; must never read from it, write to it or change its settings.

use std::fs::File;

use rustix::process::Pid;
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// Our controlling terminal.
#[derive(Debug)]
pub struct Terminal(File);

impl Terminal {
    /// The controlling terminal, if there is one (`tty(4)`: opening `/dev/tty` fails without).
    #[must_use]
    pub fn controlling() -> Option<Self> {
        File::open("/dev/tty").ok().map(Self)
    }

    /// The process group whose turn it is.
    #[must_use]
    pub fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(&self.0).ok()
    }

    /// Gives the turn to `group` where it is ours to give. TTOU, which would stop us otherwise, is
    /// blocked.
    pub fn hand_to(&self, group: Pid) {
        if self.foreground() == Some(rustix::process::getpgrp()) {
            let _ = tcsetpgrp(&self.0, group);
        }
    }
}
