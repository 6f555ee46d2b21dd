//! An output that nobody reads and that is full, until the test reads it after all.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;

use super::directory::Directory;
use super::shared::poll;

/// A FIFO whose both ends are open here.
#[derive(Debug)]
pub(crate) struct Stuck {
    file: File,
    /// All that was read.
    said: Vec<u8>,
    directory: Directory,
}

impl Stuck {
    /// Full from the start.
    pub(crate) fn new() -> Self {
        let directory = Directory::new();
        let path = directory.join("output");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("the directory is ours");
        let mut both = File::options();
        let both = both.read(true).write(true).custom_flags(O_NONBLOCK);
        let mut file = both.open(path).expect("opening both ends never blocks");
        for size in [4096, 1] {
            let full = loop {
                match file.write_all(&vec![b'.'; size]) {
                    Ok(()) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
        }
        Self { file, said: Vec::new(), directory }
    }

    /// Its path.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("output")
    }

    /// A shell script that makes it the stderr of `"$@"`.
    pub(crate) fn script(&self) -> String {
        format!("exec \"$@\" 2>>{}", self.path().display())
    }

    /// Reads all that is in it now; what was said so far. A line may be there in part.
    pub(crate) fn said(&mut self) -> String {
        let error = self.file.read_to_end(&mut self.said).expect_err("we are a writer, too");
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        String::from_utf8_lossy(&self.said).trim_start_matches('.').to_owned()
    }

    /// Reads until `part` is in it; what was said so far.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        let found = poll(|| Some(self.said()).filter(|said| said.contains(part)));
        found.unwrap_or_else(|| panic!("`{part}` is not in:\n{}", self.said()))
    }
}
