//! What a process was started with, as values: the seam between settings and the process.
//!
//! Owns the look-up by name; `main` fills the values in, tests write them down. Must never ask the
//! process itself.

use std::ffi::{OsStr, OsString};

/// A command line and an environment.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The arguments; the first one is the program's own name.
    pub args: Vec<OsString>,
    /// The environment, in its order. Where a name stands twice, the first one counts, as for
    /// `getenv`.
    pub variables: Vec<(OsString, OsString)>,
}

impl Input {
    /// The variable with this whole name, as it is: also where it is empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    }

    /// The variables whose names begin with `MESHIM_`, with the rest of the name; names that are
    /// not UTF-8 are nobody's setting.
    pub(super) fn own_variables(&self) -> impl Iterator<Item = (&str, &OsStr)> {
        self.variables.iter().filter_map(|(name, value)| {
            let rest = name.as_encoded_bytes().strip_prefix(b"MESHIM_")?;
            Some((std::str::from_utf8(rest).ok()?, value.as_os_str()))
        })
    }
}

#[cfg(test)]
impl Input {
    /// `meshim ARG…` in this environment.
    pub(super) fn of(args: &[&str], variables: &[(&str, &str)]) -> Self {
        Self {
            args: std::iter::once("meshim").chain(args.iter().copied()).map(Into::into).collect(),
            variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }
}
