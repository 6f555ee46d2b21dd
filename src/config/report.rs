//! Owns where and in which form meshim says what happens.

use std::path::PathBuf;

use super::reader::Reader;
use crate::cli::ReportArgs;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Failures only.
    Error,
    /// And what may become one.
    Warn,
    /// And each step.
    Info,
    /// And each look.
    Debug,
}

/// In which form it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Where meshim says what happens; never stdout, which is the application's.
#[derive(Clone, Debug)]
pub struct Report {
    /// How much.
    pub level: Level,
    /// How.
    pub form: Form,
    /// Where the kubelet looks for the reason of a failure.
    pub termination_log: PathBuf,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            level: Level::Info,
            form: Form::Text,
            termination_log: PathBuf::from("/dev/termination-log"),
        }
    }
}

impl Reader<'_> {
    pub(super) fn report(&mut self, args: &ReportArgs) -> Report {
        let levels = [
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
        ];
        let usual = Report::default();
        Report {
            level: self.choice("log", &args.log, &levels).unwrap_or(usual.level),
            form: self
                .choice(
                    "log_format",
                    &args.log_format,
                    &[("text", Form::Text), ("json", Form::Json)],
                )
                .unwrap_or(usual.form),
            termination_log: PathBuf::from(&args.termination_log),
        }
    }
}
