//! A directory of a test's own, gone with it.

use std::path::{Path, PathBuf};

/// A new, empty directory; removed with all that is in it when dropped.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        // Not named by a process id: in a PID namespace that is 1 for everybody.
        let template = std::env::temp_dir().join("meshim-test-XXXXXX");
        Self(
            nix::unistd::mkdtemp(&template).expect("the directory for temporary files is writable"),
        )
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A new file with this text; where it is.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, text).expect("a new file in a directory of our own can be written");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
