//! Reads one setting after the other and keeps what is wrong with each, with the place it came
//! from.
//!
//! Owns the words "which option, which variable"; knows no setting by name.

use std::fmt::Display;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use crate::core::exit::{Exit, Failure};

/// Reads settings and keeps what is wrong with them.
pub(super) struct Reader<'m> {
    command: &'m Command,
    matches: &'m ArgMatches,
    problems: Vec<String>,
}

impl<'m> Reader<'m> {
    /// Reads what `matches` holds; `command` knows how each setting is spelt.
    pub(super) const fn new(command: &'m Command, matches: &'m ArgMatches) -> Self {
        Self { command, matches, problems: Vec::new() }
    }

    pub(super) fn finish<T>(self, job: Option<T>) -> Result<T, Failure> {
        let sentence = match self.problems.as_slice() {
            [] => "the settings are incomplete; see meshim --help".to_owned(),
            [only] => only.clone(),
            several => format!("{} settings are wrong: {}", several.len(), several.join("; ")),
        };
        job.filter(|_| self.problems.is_empty()).ok_or_else(|| Failure::new(Exit::Failed, sentence))
    }

    pub(super) fn problem(&mut self, id: &str, problem: impl Display) {
        let arg = self.command.get_arguments().find(|arg| arg.get_id() == id);
        let option = arg.and_then(clap::Arg::get_long).map(|long| format!("--{long}"));
        let option = option.unwrap_or_else(|| id.to_ascii_uppercase());
        let variable = arg.and_then(clap::Arg::get_env).map(|name| name.display());
        let source = match (self.matches.value_source(id), variable) {
            (Some(ValueSource::EnvVariable), Some(variable)) => {
                format!("{variable} (the variable of {option})")
            }
            _ => option,
        };
        self.problems.push(format!("{source}: {problem}"));
    }

    pub(super) fn read<T, E: Display>(
        &mut self,
        id: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(text).map_err(|error| self.problem(id, error)).ok()
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        id: &str,
        text: &str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        self.read(id, text, |text| {
            let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            found.ok_or_else(|| format!("`{text}` is not one of {}", names.join(", ")))
        })
    }

    pub(super) fn flag(&mut self, id: &str, text: &str) -> Option<bool> {
        self.choice(id, text, &[("true", true), ("false", false), ("1", true), ("0", false)])
    }

    /// `None` inside where the setting is not given, outside where it is wrong.
    #[expect(clippy::option_option, reason = "not given and wrong are two things")]
    pub(super) fn optional<T, E: Display>(
        &mut self,
        id: &str,
        text: Option<&String>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        match text {
            None => Some(None),
            Some(text) => self.read(id, text, parse).map(Some),
        }
    }
}
