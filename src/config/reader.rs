//! Reads one setting after the other, from the command line or else from its variable, and keeps
//! what is wrong with each, with the place it came from.
//!
//! Owns which option, which variable, whether it is given and whether it is text; must never know
//! what a setting means.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::PathBuf;

use super::input::Input;
use crate::core::exit::{Exit, Failure};
use crate::core::text::one_line;

/// A setting that cannot be used; the reader has kept why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong;

/// Reads settings and keeps what is wrong with them.
///
/// A setting goes by its id, the name of its field in `cli`: `drain_min` is `--drain-min` and
/// `MESHIM_DRAIN_MIN`.
pub(super) struct Reader<'i> {
    input: &'i Input,
    variables: Vec<(&'i str, &'i OsStr)>,
    from_variables: Vec<&'static str>,
    problems: Vec<String>,
}

impl<'i> Reader<'i> {
    /// Reads what is not on the command line from the variables of `input`.
    pub(super) fn new(input: &'i Input) -> Self {
        let variables = input.own_variables().collect();
        Self { input, variables, from_variables: Vec::new(), problems: Vec::new() }
    }

    /// Is this variable of the environment, which is none of ours, there with something in it?
    pub(super) fn environment_has(&self, name: &str) -> bool {
        self.input.variable(name).is_some_and(|value| !value.is_empty())
    }

    /// What was read, where nothing is wrong with any setting; else all that is, as one sentence.
    pub(super) fn finish<T>(self, job: Result<T, Wrong>) -> Result<T, Failure> {
        let sentence = match self.problems.as_slice() {
            [] => "the settings are incomplete; see meshim --help".to_owned(),
            [only] => only.clone(),
            several => format!("{} settings are wrong: {}", several.len(), several.join("; ")),
        };
        job.ok()
            .filter(|_| self.problems.is_empty())
            .ok_or_else(|| Failure::new(Exit::Failed, sentence))
    }

    /// A variable that has no option, as it is, also where it is empty; one that is not UTF-8 is
    /// told with a placeholder.
    pub(super) fn own_variable(&self, name: &str) -> Option<String> {
        let found = self.variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.to_string_lossy().into_owned())
    }

    /// Keeps what is wrong with a variable that has no option.
    pub(super) fn problem_of_variable(&mut self, name: &str, problem: impl Display) -> Wrong {
        let problem = format!("MESHIM_{name}: {problem}");
        self.problems.push(one_line(&problem).into_owned());
        Wrong
    }

    /// Keeps what is wrong with a setting, and what would be right.
    pub(super) fn problem(&mut self, id: &'static str, problem: impl Display) -> Wrong {
        let option = option_of(id);
        let source = if self.from_variables.contains(&id) {
            format!("{} (the variable of {option})", variable_of(id))
        } else {
            option
        };
        let problem = format!("{source}: {problem}");
        self.problems.push(one_line(&problem).into_owned());
        Wrong
    }

    /// `None` where it is not given: neither typed, nor in a variable with something in it.
    pub(super) fn optional<T, E: Display>(
        &mut self,
        id: &'static str,
        typed: Option<&OsString>,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Wrong> {
        let Some(given) = self.given(id, typed.map(OsString::as_os_str)) else { return Ok(None) };
        let text = self.text(id, given)?;
        parse(text).map(Some).map_err(|error| self.problem(id, error))
    }

    /// What has no variable and is always there.
    pub(super) fn positional<T, E: Display>(
        &mut self,
        id: &'static str,
        typed: &OsStr,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Wrong> {
        let text = self.text(id, typed)?;
        parse(text).map_err(|error| self.problem(id, error))
    }

    /// `default` where it is not given.
    pub(super) fn read<T, E: Display>(
        &mut self,
        id: &'static str,
        typed: Option<&OsString>,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, Wrong> {
        self.optional(id, typed, parse).map(|given| given.unwrap_or(default))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        id: &'static str,
        typed: Option<&OsString>,
        default: T,
        choices: &[(&str, T)],
    ) -> Result<T, Wrong> {
        self.read(id, typed, default, |text| {
            let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            found.ok_or_else(|| format!("`{text}` is not one of {}", names.join(", ")))
        })
    }

    /// On or off; off where it is not given.
    pub(super) fn flag(
        &mut self,
        id: &'static str,
        typed: Option<&OsString>,
    ) -> Result<bool, Wrong> {
        let words = [("true", true), ("false", false), ("1", true), ("0", false)];
        self.choice(id, typed, false, &words)
    }

    /// Each value that was typed, or each one in the variable; several are separated by commas.
    /// Every one is read, so that each bad one is told.
    pub(super) fn list<T, E: Display>(
        &mut self,
        id: &'static str,
        typed: &[OsString],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Vec<T>, Wrong> {
        let given: Vec<&OsStr> = if typed.is_empty() {
            self.given(id, None).into_iter().collect()
        } else {
            typed.iter().map(OsString::as_os_str).collect()
        };
        let mut values = Vec::new();
        let mut all = Ok(());
        for given in given {
            let Ok(text) = self.text(id, given) else {
                all = Err(Wrong);
                continue;
            };
            let mut parts =
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).peekable();
            // Nobody types an empty argument on purpose: what it should be is the parser's to say.
            let empty = (!typed.is_empty() && parts.peek().is_none()).then_some(text);
            for part in parts.chain(empty) {
                match parse(part) {
                    Ok(value) => values.push(value),
                    Err(error) => all = Err(self.problem(id, error)),
                }
            }
        }
        all.map(|()| values)
    }

    /// A path, byte for byte.
    pub(super) fn path(
        &mut self,
        id: &'static str,
        typed: Option<&OsString>,
        default: &str,
    ) -> PathBuf {
        match self.given(id, typed.map(OsString::as_os_str)) {
            Some(given) if is_blank(given) => {
                self.problem(id, format!("names no file; write a path, as {default}"));
            }
            Some(given) => return PathBuf::from(given),
            None => {}
        }
        PathBuf::from(default)
    }

    /// A path that has no variable and is always there, byte for byte.
    pub(super) fn positional_path(
        &mut self,
        id: &'static str,
        typed: &OsStr,
    ) -> Result<PathBuf, Wrong> {
        if is_blank(typed) {
            return Err(self.problem(id, "names no directory; write its path"));
        }
        Ok(PathBuf::from(typed))
    }

    /// Where commands are looked for.
    pub(super) fn search_path(&self) -> Option<OsString> {
        self.input.variable("PATH").map(OsStr::to_owned)
    }

    /// What was typed, else what the variable says; blank is not given.
    fn given<'t>(&mut self, id: &'static str, typed: Option<&'t OsStr>) -> Option<&'t OsStr>
    where
        'i: 't,
    {
        if typed.is_some() {
            return typed;
        }
        let named = |name: &str| name.bytes().eq(id.bytes().map(|byte| byte.to_ascii_uppercase()));
        let (_, value) = *self.variables.iter().find(|(name, _)| named(name))?;
        if is_blank(value) {
            return None;
        }
        self.from_variables.push(id);
        Some(value)
    }

    /// Without the blanks around it: YAML's block scalars end with a new line.
    fn text<'t>(&mut self, id: &'static str, given: &'t OsStr) -> Result<&'t str, Wrong> {
        given.to_str().map(str::trim).ok_or_else(|| {
            let shown = given.as_encoded_bytes().escape_ascii();
            self.problem(id, format!("`{shown}` is not UTF-8; write plain text"))
        })
    }
}

fn is_blank(given: &OsStr) -> bool {
    given.as_encoded_bytes().trim_ascii().is_empty()
}

/// `--drain-min` for `drain_min`; what is not an option goes by the name that its help gives it.
fn option_of(id: &str) -> String {
    match id {
        "target" => "TARGET".to_owned(),
        "directory" => "DIR".to_owned(),
        // Its variable has a name of its own, since the same container sets the other one.
        "probe_timeout" => "--timeout".to_owned(),
        _ => format!("--{}", id.replace('_', "-")),
    }
}

/// `MESHIM_DRAIN_MIN` for `drain_min`.
fn variable_of(id: &str) -> String {
    format!("MESHIM_{}", id.to_ascii_uppercase())
}
