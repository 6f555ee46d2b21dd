//! Where meshim says what happens, and how: settings of every job.
//!
//! Owns the defaults, which also hold where one of these settings is wrong; must never write
//! anything.

use std::ffi::OsString;
use std::path::PathBuf;

use super::reader::{Reader, Wrong};
use crate::cli::ReportArgs;

/// Where the kubelet looks for the reason of a failure (a container's `terminationMessagePath`).
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Where meshim says what happens; never stdout, which is the application's.
#[derive(Clone, Debug)]
pub struct ReportSettings {
    /// How much.
    pub level: LogLevel,
    /// How.
    pub form: OutputFormat,
    /// Where the kubelet looks for the reason of a failure; `None` where the message is another
    /// program's, beside which this one runs.
    pub termination_log: Option<PathBuf>,
}

impl ReportSettings {
    /// The same for a hook or a probe, which runs beside the application.
    #[must_use]
    pub(super) fn beside_the_application(self) -> Self {
        Self { termination_log: None, ..self }
    }
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Failures only.
    Error,
    /// And what may become one.
    Warn,
    /// And each step.
    Info,
    /// And what changed between two looks.
    Debug,
}

/// In which form it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            form: OutputFormat::Text,
            termination_log: Some(PathBuf::from(TERMINATION_LOG)),
        }
    }
}

impl Reader<'_> {
    /// What is wrong with one of these leaves the default in its place: the failure itself is to be
    /// told somewhere.
    pub(super) fn report(&mut self, args: &ReportArgs) -> ReportSettings {
        let levels = [
            ("error", LogLevel::Error),
            ("warn", LogLevel::Warn),
            ("info", LogLevel::Info),
            ("debug", LogLevel::Debug),
        ];
        let level = self.choice("log", args.log.as_ref(), LogLevel::Info, &levels);
        let form = self.form("log_format", args.log_format.as_ref());
        ReportSettings {
            level: level.unwrap_or(LogLevel::Info),
            form: form.unwrap_or(OutputFormat::Text),
            termination_log: Some(self.path(
                "termination_log",
                args.termination_log.as_ref(),
                TERMINATION_LOG,
            )),
        }
    }

    /// `text` or `json`.
    pub(super) fn form(
        &mut self,
        id: &'static str,
        typed: Option<&OsString>,
    ) -> Result<OutputFormat, Wrong> {
        self.choice(
            id,
            typed,
            OutputFormat::Text,
            &[("text", OutputFormat::Text), ("json", OutputFormat::Json)],
        )
    }
}
