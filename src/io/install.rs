//! Copies this program into a directory, atomically: whoever starts it meanwhile gets the old copy
//! or the new one.
//!
//! Owns the steps; must never leave half a file under the program's name.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::signals::StopSignals;
use crate::core::signal::Signal;

/// The name of the copy.
pub const NAME: &str = "meshim";

/// Everybody may read and execute it: the application's user is unknown.
const MODE: u32 = 0o755;

/// How much is copied between two looks whether a stop signal has come.
const PIECE: u64 = 64 * 1024;

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum NotInstalled {
    /// The directory cannot be used.
    #[error("{0} {1}")]
    Directory(PathBuf, &'static str),
    /// This program cannot be read.
    #[error(
        "this program's own file cannot be read: {0}; mount /proc, or copy meshim in the image"
    )]
    Own(std::io::Error),
    /// Writing fails.
    #[error("{0} cannot be written: {1}")]
    Write(PathBuf, std::io::Error),
    /// A stop signal came first.
    #[error("ended by {0} while copying this program")]
    Stopped(Signal),
}

/// Puts a copy of this program at `directory/meshim`, over an older one, also over one that is
/// running.
///
/// # Errors
/// [`NotInstalled`]; then an older copy is still there, and nothing else is.
pub fn install(directory: &Path, stop: &mut StopSignals) -> Result<PathBuf, NotInstalled> {
    let unusable = |why| Err(NotInstalled::Directory(directory.to_owned(), why));
    match fs::metadata(directory) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => {
            return unusable("is no directory; name the directory that the volume is mounted on");
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return unusable(
                "does not exist; mount an emptyDir volume there, as deploy/ in meshim's sources \
                 does",
            );
        }
        Err(error) => return Err(NotInstalled::Write(directory.to_owned(), error)),
    }
    let target = directory.join(NAME);
    if target.is_dir() {
        return Err(NotInstalled::Directory(
            target,
            "is a directory; remove it, or use another volume",
        ));
    }
    let temporary = directory.join(format!(".{NAME}.{}", nix::unistd::getpid()));
    let copied = copy(&temporary, stop).and_then(|()| {
        fs::rename(&temporary, &target).map_err(|error| NotInstalled::Write(target.clone(), error))
    });
    if let Err(error) = copied {
        // Nothing of ours stays behind; where even that fails, the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
        return Err(told(error, directory));
    }
    // The name itself reaches the disk with the directory; a file system that cannot do that has no
    // disk.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(target)
}

fn copy(temporary: &Path, stop: &mut StopSignals) -> Result<(), NotInstalled> {
    let failed = |error| NotInstalled::Write(temporary.to_owned(), error);
    let own = File::open("/proc/self/exe").map_err(NotInstalled::Own)?;
    // A container that was killed half-way had the same process id, 1 mostly.
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(temporary)
        .map_err(failed)?;
    while std::io::copy(&mut (&own).take(PIECE), &mut file).map_err(failed)? > 0 {
        if let Some(signal) = stop.arrived() {
            return Err(NotInstalled::Stopped(signal));
        }
    }
    // When the file was made, the umask has taken bits away.
    file.set_permissions(Permissions::from_mode(MODE)).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// The three that people meet, with what to do.
fn told(error: NotInstalled, directory: &Path) -> NotInstalled {
    let NotInstalled::Write(_, cause) = &error else { return error };
    let why = match cause.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "is full; give the volume 16Mi or more"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "is read-only; mount the volume without readOnly in this container"
        }
        ErrorKind::PermissionDenied => {
            "may not be written by this user; use an emptyDir volume, or set fsGroup in the pod's \
             securityContext"
        }
        _ => return error,
    };
    NotInstalled::Directory(directory.to_owned(), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("meshim-install-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn the_copy_is_whole_executable_and_alone() {
        let directory = directory("whole");
        fs::write(directory.join(NAME), "an older copy").unwrap();
        let target = install(&directory, &mut StopSignals::register().unwrap()).unwrap();
        assert_eq!(fs::read(&target).unwrap(), fs::read("/proc/self/exe").unwrap());
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o7777, MODE);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_is_in_the_way_is_named_and_nothing_is_left() {
        let directory = directory("way");
        let mut stop = StopSignals::register().unwrap();
        let mut error = |path: &Path| install(path, &mut stop).unwrap_err().to_string();
        assert!(error(&directory.join("none")).contains("does not exist; mount an emptyDir"));
        fs::write(directory.join("file"), "").unwrap();
        assert!(error(&directory.join("file")).contains("is no directory"));
        fs::create_dir(directory.join(NAME)).unwrap();
        assert!(error(&directory).contains("is a directory"));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
        assert!(error(Path::new("/proc/self")).contains("cannot be written"));
        fs::remove_dir_all(directory).unwrap();
    }
}
