//! Stderr, written without ever waiting for whoever reads it.
//!
//! Owns descriptor 2 and what could not be written yet; must never block: a full pipe would
//! otherwise hold up a stop sequence. The open file description behind descriptor 2 is shared with
//! the application, so it must never be made non-blocking either (`open(2)`).

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _, stderr};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};

/// How much is kept for a reader that is late. Above that, whole lines are lost, and counted.
const MOST_KEPT: usize = 8 * 1024;

/// A pipe that has room at all has room for this much at once (`pipe(7)`, `PIPE_BUF`).
const FITS_AT_ONCE: usize = 4096;

/// A reader that reads at all does so within this time, also on a busy machine; at our end nothing
/// longer is waited for.
const LAST_WRITES_WITHIN: Duration = Duration::from_millis(100);

static STDERR: Mutex<Option<Writer>> = Mutex::new(None);

/// Writes one line, or keeps it, or loses it; `lost` says how many were lost before it.
pub(super) fn write_line(line: &str, lost: impl FnOnce(u64) -> String) {
    let mut writer = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    writer.get_or_insert_with(Writer::new).line(line, lost);
}

/// Writes what is kept for a late reader, at the end of this program or before it becomes another.
/// Takes no time where everything has been written, and a tenth of a second at most.
pub fn flush() {
    let mut writer = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(writer) = writer.as_mut() {
        writer.flush(Instant::now() + LAST_WRITES_WITHIN);
    }
}

struct Writer {
    way: Way,
    kept: Vec<u8>,
    lost: u64,
}

/// How to write without blocking.
enum Way {
    /// A pipe or a terminal, opened anew: a description of our own, which is non-blocking.
    Own(File),
    /// A socket can be told at each write.
    Socket,
    /// A file never blocks. A pipe that cannot be opened anew (no /proc, another user's) is asked
    /// before each write; between the two, the application may have filled it.
    Shared,
}

impl Way {
    fn to_stderr() -> Self {
        let kind = fstat(stderr())
            .map_or(SFlag::empty(), |stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        if kind == SFlag::S_IFSOCK {
            return Self::Socket;
        }
        if kind != SFlag::S_IFIFO && kind != SFlag::S_IFCHR {
            return Self::Shared;
        }
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut anew = OpenOptions::new();
        anew.write(true).custom_flags(flags.bits());
        anew.open("/proc/self/fd/2").map_or(Self::Shared, Self::Own)
    }

    /// Writes some of it.
    fn write(&self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Self::Own(file) => (&*file).write(bytes),
            Self::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                Ok(send(stderr().as_raw_fd(), bytes, flags)?)
            }
            Self::Shared if !has_room(stderr().as_fd(), PollTimeout::ZERO) => {
                Err(ErrorKind::WouldBlock.into())
            }
            Self::Shared => stderr().write(&bytes[..bytes.len().min(FITS_AT_ONCE)]),
        }
    }
}

impl Writer {
    fn new() -> Self {
        Self { way: Way::to_stderr(), kept: Vec::new(), lost: 0 }
    }

    fn line(&mut self, line: &str, lost: impl FnOnce(u64) -> String) {
        self.push();
        let notice = if self.lost == 0 { String::new() } else { lost(self.lost) };
        let length = self.kept.len() + notice.len() + line.len();
        if !self.kept.is_empty() && length > MOST_KEPT {
            self.lost += 1;
            return;
        }
        self.lost = 0;
        self.kept.extend_from_slice(notice.as_bytes());
        self.kept.extend_from_slice(line.as_bytes());
        self.push();
    }

    /// Writes what can be written now.
    fn push(&mut self) {
        while !self.kept.is_empty() {
            match self.way.write(&self.kept) {
                Ok(count) => drop(self.kept.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody will ever read it.
                Err(_) => self.kept.clear(),
            }
        }
    }

    fn flush(&mut self, until: Instant) {
        self.push();
        while !self.kept.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            if left.is_zero() || !has_room(stderr().as_fd(), timeout) {
                return;
            }
            self.push();
        }
    }
}

fn has_room(descriptor: BorrowedFd<'_>, timeout: PollTimeout) -> bool {
    let mut polled = [PollFd::new(descriptor, PollFlags::POLLOUT)];
    // What is broken counts as room: then writing tells.
    poll(&mut polled, timeout).is_ok_and(|ready| ready > 0)
}
