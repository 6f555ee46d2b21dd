//! The command: where it is, and whether the kernel could start it. Asked before the wait, so that
//! a typing error in a manifest shows at once and not two minutes later.
//!
//! Owns the look-up and the reading of the file's head; must never start anything.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::{AccessFlags, faccessat};

/// Where `execvp` looks without a PATH (musl: `src/process/execvp.c`).
const DEFAULT_PATH: &str = "/usr/local/bin:/bin:/usr/bin";

/// How much of a file is read to see what would run it: the kernel's own bound for a `#!` line is
/// 256 bytes.
const HEAD: usize = 4096;

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
pub fn find(name: &OsStr, search_path: Option<&OsStr>) -> Result<PathBuf, BadCommand> {
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

/// Is what the kernel needs to run it there, too? A file that cannot be read is left to the kernel.
fn runnable(path: PathBuf) -> Result<PathBuf, BadCommand> {
    let Some(interpreter) = head(&path).ok().and_then(|head| interpreter(&head)) else {
        return Ok(path);
    };
    // Where that cannot be looked at, exec will tell.
    if Path::new(&interpreter).try_exists().unwrap_or(true) {
        Ok(path)
    } else if interpreter.as_bytes().ends_with(b"\r") {
        let why = "its first line ends with a carriage return; save the script with Unix line \
                   ends (LF, not CRLF)";
        Err(BadCommand::NotExecutable(path, why.to_owned()))
    } else {
        Err(BadCommand::NoInterpreter(path, interpreter.display().to_string()))
    }
}

/// The beginning of a regular file. To open anything else may block, or take what is in it away.
fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let without_blocking = OFlag::O_NONBLOCK.bits();
    let file = OpenOptions::new().read(true).custom_flags(without_blocking).open(path)?;
    let mut head = Vec::with_capacity(HEAD);
    if file.metadata()?.is_file() {
        File::take(file, HEAD as u64).read_to_end(&mut head)?;
    }
    Ok(head)
}

/// The program behind `#!`, or the dynamic loader that an ELF file names; `None` where nothing else
/// is needed.
fn interpreter(head: &[u8]) -> Option<OsString> {
    let bytes = if let Some(line) = head.strip_prefix(b"#!") {
        // As the kernel splits it (`fs/binfmt_script.c`): a carriage return is part of the name.
        let line = line.split(|byte| *byte == b'\n').next()?;
        line.split(|byte| b" \t".contains(byte)).find(|word| !word.is_empty())?.to_vec()
    } else {
        elf_interpreter(head)?
    };
    (!bytes.is_empty()).then(|| OsString::from_vec(bytes))
}

/// `PT_INTERP` of a 64-bit little-endian ELF file (`elf(5)`), as both of our architectures have it.
fn elf_interpreter(head: &[u8]) -> Option<Vec<u8>> {
    const PT_INTERP: u64 = 3;
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)))
    };
    let usize_at = |at, length| usize::try_from(number(at, length)?).ok();
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (usize_at(32, 8)?, usize_at(54, 2)?, usize_at(56, 2)?);
    let program_header = (0..count).map(|index| table.saturating_add(index * size));
    let interp = program_header.into_iter().find(|at| number(*at, 4) == Some(PT_INTERP))?;
    let (offset, length) = (usize_at(interp + 8, 8)?, usize_at(interp + 32, 8)?);
    let path = head.get(offset..offset.checked_add(length)?)?;
    Some(path.strip_suffix(b"\0").unwrap_or(path).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_of_a_script_is_what_follows_the_two_characters() {
        let table: [(&[u8], Option<&str>); 6] = [
            (b"#!/bin/sh\necho", Some("/bin/sh")),
            (b"#! /usr/bin/env bash -e\n", Some("/usr/bin/env")),
            (b"#!/bin/sh", Some("/bin/sh")),
            (b"#!\n", None),
            (b"echo", None),
            (b"", None),
        ];
        for (head, expected) in table {
            assert_eq!(interpreter(head), expected.map(OsString::from), "{head:?}");
        }
    }

    #[test]
    fn a_dynamic_program_names_its_loader_and_garbage_names_none() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let loader = interpreter(&own[..4096]).expect("test programs are dynamic");
        assert!(Path::new(&loader).exists(), "{}", loader.display());
        for cut in [4, 16, 60, 64, 70, 130] {
            let _ = interpreter(&own[..cut]);
        }
        assert_eq!(interpreter(&[b"\x7fELF\x02\x01".as_slice(), &[0xff; 200]].concat()), None);
    }

    #[test]
    fn a_command_is_found_in_path_or_by_its_slash() {
        assert!(find(OsStr::new("sh"), None).unwrap().is_absolute());
        let found = find(OsStr::new("sh"), Some(OsStr::new("/no/such::/bin")));
        assert_eq!(found.unwrap(), Path::new("/bin/sh"));
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
