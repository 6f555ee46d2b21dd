//! Processes: becoming the application.
//!
//! Owns exec; must never decide when. What exec does not reset, meshim never changes: mask, limits, umask,
//! working directory, environment; its own descriptors are all close-on-exec.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// Replaces this process by `command`, whose file is `path`. Comes back only with an error.
///
/// std's exec sets SIGPIPE to its default again, which Rust's runtime has ignored since the start.
#[must_use]
pub fn become_command(path: &Path, command: &[OsString]) -> std::io::Error {
    let (name, args) = command.split_first().unzip();
    Command::new(path).arg0(name.map_or(path.as_os_str(), OsString::as_os_str)).args(args.unwrap_or_default()).exec()
}
