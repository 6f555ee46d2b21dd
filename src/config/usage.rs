//! What clap says about a command line, as one sentence.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// clap's message of several paragraphs as one sentence.
pub(super) fn sentence(error: &clap::Error) -> String {
    const FORM: &str = "the command goes behind two dashes: meshim [OPTIONS] -- COMMAND [ARG]...";
    let missing = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    if error.kind() == ErrorKind::MissingRequiredArgument && missing.contains("COMMAND") {
        return format!("no command was given; {FORM}");
    }
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    // The tip to write `-- --option` would hand it to the application.
    let said: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with("tip: to pass")).collect();
    let said = said.join("; ").replace(":; ", ": ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if !word.starts_with('-') => format!("{said}; {FORM}"),
        _ => format!("{said}; see meshim --help"),
    }
}
