//! The command: where it is, and whether the kernel could start it. Asked before the wait, so that
//! a typing error in a manifest shows at once and not two minutes later.
//!
//! Owns the look-up and the reading of the file's head; must never start anything.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::{AccessFlags, faccessat};

use crate::core::executable::{Executable, Foreign, HEAD, OWN};

/// Where `execvp` looks without a PATH (musl: `src/process/execvp.c`).
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// A file that the kernel may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub path: PathBuf,
    /// Why the kernel itself would not run it, where something else may.
    pub doubt: Option<Foreign>,
}

/// Why a command cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum BadCommand {
    /// No such file.
    #[error("the command {0} was not found{1}; check the image and the manifest's command")]
    NotFound(String, String),
    /// There, but not a file that this user may execute.
    #[error("the command {0} cannot be executed: {1}")]
    NotExecutable(PathBuf, String),
    /// There, but what would run it is missing: the kernel's "no such file or directory" for a file
    /// that exists.
    #[error(
        "the command {0} cannot be executed: it needs {1}, which is not in this image; use an \
         image that has it, \
         or a statically linked build"
    )]
    NoInterpreter(PathBuf, String),
    /// Neither is known: the kernel had no answer (`ENOMEM`, `EIO`, a seccomp profile's `EPERM`).
    #[error("the command {0} could not be looked at: {1}")]
    Unseen(PathBuf, std::io::Error),
}

impl BadCommand {
    /// What it means that `path` cannot be looked at.
    fn of_looking_at(path: &Path, error: std::io::Error) -> Self {
        let (errno, kept) = (error.raw_os_error().map(Errno::from_raw), path.to_owned());
        match errno {
            Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG) | None => {
                Self::NotFound(path.display().to_string(), String::new())
            }
            Some(Errno::EACCES) => {
                Self::NotExecutable(kept, "permission denied on a directory of its path".to_owned())
            }
            Some(Errno::ELOOP) => Self::NotExecutable(kept, error.to_string()),
            Some(_) => Self::Unseen(kept, error),
        }
    }
}

/// The file that `name` means: itself where it has a slash, else the first executable in
/// `search_path`, the value of PATH.
///
/// # Errors
/// [`BadCommand`]: nothing there, or nothing that could run.
pub fn find(name: &OsStr, search_path: Option<&OsStr>) -> Result<Program, BadCommand> {
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return executable(&path).and_then(|()| runnable(path));
    }
    let shown = || name.display().to_string();
    let search_path = search_path.unwrap_or_else(|| OsStr::new(DEFAULT_PATH));
    if name.is_empty() {
        return Err(BadCommand::NotFound("``".to_owned(), String::new()));
    }
    let mut refused = None;
    for directory in search_path.as_bytes().split(|byte| *byte == b':') {
        // An empty entry is the current directory, as execvp has it.
        let directory = if directory.is_empty() { b"." } else { directory };
        let path = Path::new(OsStr::from_bytes(directory)).join(name);
        match executable(&path) {
            Ok(()) => return runnable(path),
            Err(BadCommand::NotFound(..)) => {}
            // What comes later in PATH may be another program of this name.
            Err(error @ BadCommand::Unseen(..)) => return Err(error),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_else(|| {
        BadCommand::NotFound(shown(), format!(" in PATH ({})", search_path.display()))
    }))
}

/// Is there a file that our effective ids may execute?
fn executable(path: &Path) -> Result<(), BadCommand> {
    let refuse = |why: &str| BadCommand::NotExecutable(path.to_owned(), why.to_owned());
    let metadata = path.metadata().map_err(|error| BadCommand::of_looking_at(path, error))?;
    if metadata.is_dir() {
        return Err(refuse("it is a directory"));
    }
    if !metadata.is_file() {
        return Err(refuse("it is not a regular file"));
    }
    match faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        Err(Errno::EACCES) => Err(refuse("this user may not execute it; chmod +x it in the image")),
        // Any other error is about the asking (a seccomp profile's EPERM): exec will tell.
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Would the kernel run it, and is what that needs there, too? A file that cannot be read is left
/// to the kernel.
fn runnable(path: PathBuf) -> Result<Program, BadCommand> {
    let interpreter = match head(&path).map(|head| Executable::of(&head, OWN)) {
        Ok(Executable::Native(Some(interpreter))) => OsString::from_vec(interpreter),
        Ok(Executable::Foreign(foreign)) if has_no_binfmt_misc() => {
            return Err(BadCommand::NotExecutable(path, foreign.to_string()));
        }
        Ok(Executable::Foreign(foreign)) => return Ok(Program { path, doubt: Some(foreign) }),
        Ok(Executable::Native(None)) | Err(_) => return Ok(Program { path, doubt: None }),
    };
    // Where that cannot be looked at, exec will tell.
    if Path::new(&interpreter).try_exists().unwrap_or(true) {
        Ok(Program { path, doubt: None })
    } else if interpreter.as_bytes().ends_with(b"\r") {
        let why = "its first line ends with a carriage return; save the script with Unix line \
                   ends (LF, not CRLF)";
        Err(BadCommand::NotExecutable(path, why.to_owned()))
    } else {
        Err(BadCommand::NoInterpreter(path, interpreter.display().to_string()))
    }
}

/// Is it certain that nothing was taught to the kernel (`fs/binfmt_misc.c`)? What was is seen by
/// nobody in a container: its file system is not mounted there.
fn has_no_binfmt_misc() -> bool {
    let exists = |path| Path::new(path).try_exists().ok();
    exists("/proc/sys/fs") == Some(true) && exists("/proc/sys/fs/binfmt_misc") == Some(false)
}

/// Why the kernel itself does not run this file, as far as its first bytes tell.
pub(super) fn foreign(path: &Path) -> Option<Foreign> {
    match Executable::of(&head(path).ok()?, OWN) {
        Executable::Foreign(foreign) => Some(foreign),
        Executable::Native(_) => None,
    }
}

/// The beginning of a regular file. To open anything else may block, or take what is in it away.
fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let without_blocking = OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(without_blocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::with_capacity(HEAD);
    File::take(file, HEAD as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_in_path_or_by_its_slash() {
        assert!(find(OsStr::new("sh"), None).unwrap().path.is_absolute());
        let found = find(OsStr::new("sh"), Some(OsStr::new("/no/such::/bin")));
        assert_eq!(found.unwrap().path, Path::new("/bin/sh"));
        assert!(matches!(find(OsStr::new("no-such-command"), None), Err(BadCommand::NotFound(..))));
        assert!(matches!(find(OsStr::new(""), None), Err(BadCommand::NotFound(..))));
        assert!(matches!(find(OsStr::new("/no/such"), None), Err(BadCommand::NotFound(..))));
        assert!(matches!(find(OsStr::new("/tmp"), None), Err(BadCommand::NotExecutable(..))));
        assert!(matches!(
            find(OsStr::new("/etc/passwd"), None),
            Err(BadCommand::NotExecutable(..))
        ));
    }

    #[test]
    fn only_what_is_certainly_missing_is_called_missing() {
        let seen = |errno: Errno| BadCommand::of_looking_at(Path::new("/app"), errno.into());
        for missing in [Errno::ENOENT, Errno::ENOTDIR] {
            assert!(matches!(seen(missing), BadCommand::NotFound(..)), "{missing}");
        }
        for refused in [Errno::EACCES, Errno::ELOOP] {
            assert!(matches!(seen(refused), BadCommand::NotExecutable(..)), "{refused}");
        }
        for unknown in [Errno::ENOMEM, Errno::EIO, Errno::EPERM] {
            let told = seen(unknown);
            assert!(matches!(told, BadCommand::Unseen(..)), "{unknown}");
            assert!(told.to_string().starts_with("the command /app could not be looked at: "));
        }
    }
}
