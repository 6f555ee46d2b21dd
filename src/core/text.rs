//! Text of others (values of settings, names of files, a proxy's words) in a line of ours.
//!
//! Owns what keeps a line one line; must never know who reads it.

use std::borrow::Cow;

/// The text with its control characters written as `\n`, `\t`, `\u{1b}`: so that a value can
/// neither begin a new line in a log nor move a terminal's cursor. Most texts have none and are not
/// copied.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if letter.is_control() {
            escaped.extend(letter.escape_default());
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out_and_nothing_else_is() {
        assert_eq!(one_line("a\nb\r\tc\u{1b}[2J\0"), r"a\nb\r\tc\u{1b}[2J\u{0}");
        assert_eq!(one_line("\u{85}"), r"\u{85}");
        for text in ["", "plain", r"back\slash", "größer – 大"] {
            assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
