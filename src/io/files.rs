//! Files that meshim writes: the termination log.
//!
//! Owns how they are opened; must never create a file where none was meant to be.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

/// The kubelet keeps this many bytes of the file (Kubernetes: `terminationMessagePath`).
const KEPT: usize = 4096;

/// Writes the reason of a failure where the kubelet reads it, at most 4096 bytes, cut at a
/// character.
///
/// # Errors
/// The system's, but for a missing file: outside Kubernetes there is none, and it is never created.
pub fn write_termination_log(path: &Path, sentence: &str) -> std::io::Result<()> {
    // O_NONBLOCK: a FIFO without a reader is an error then, not a place to hang. O_NOFOLLOW: the
    // kubelet mounts a file there, and a link would have another file of ours emptied.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits();
    match OpenOptions::new().write(true).truncate(true).custom_flags(flags).open(path) {
        Ok(mut file) => file.write_all(&sentence.as_bytes()[..sentence.floor_char_boundary(KEPT)]),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            Err(std::io::Error::other("it is a symbolic link, and none is followed there"))
        }
        Err(error) => Err(error),
    }
}
