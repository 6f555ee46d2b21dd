//! Text of others (values of settings, names of files, a proxy's words) in a line of ours.
//!
//! Owns what keeps a line one line; must never know who reads it.

use std::borrow::Cow;

/// The text with all that [`is_unsafe`] written as `\n`, `\t`, `\u{1b}`: so that a value can
/// neither begin a new line in a log nor move a terminal's cursor, and is read as it is written.
/// Most texts have nothing of it and are not copied.
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_unsafe(letter) {
            escaped.extend(letter.escape_default());
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

/// Is it a character that shows as something else than itself: a control character, a separator of
/// lines or paragraphs, one that turns the direction of what follows (Unicode TR 36, "bidirectional
/// text spoofing"), or one that nobody sees?
///
/// The joiners U+200C and U+200D are not among them: words of Persian and Hindi need them.
#[must_use]
pub fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The text with `instead` for each character that [`is_unsafe`]: for a name, which must not grow.
#[must_use]
pub fn replaced(text: &str, instead: char) -> String {
    text.chars().map(|letter| if is_unsafe(letter) { instead } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_length_and_shows_nothing_but_itself() {
        assert_eq!(replaced("sh\u{1b}[2J\u{202e}ü", '?'), "sh?[2J?ü");
    }

    #[test]
    fn what_is_not_what_it_looks_like_is_written_out_and_nothing_else_is() {
        assert_eq!(one_line("a\nb\r\tc\u{1b}[2J\0"), r"a\nb\r\tc\u{1b}[2J\u{0}");
        assert_eq!(one_line("\u{85}"), r"\u{85}");
        assert_eq!(one_line("a\u{2028}b\u{2029}c"), r"a\u{2028}b\u{2029}c");
        assert_eq!(one_line("exe\u{202e}gpj\u{feff}"), r"exe\u{202e}gpj\u{feff}");
        assert_eq!(one_line("\u{2066}\u{e0041}\u{ad}"), r"\u{2066}\u{e0041}\u{ad}");
        for text in ["", "plain", "می\u{200c}خواهم", r"back\slash", "größer – 大"] {
            assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
