//! One line of Prometheus' text form: `name{label="value",…} 12.5`.
//!
//! Owns taking it apart; must never judge.

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample<'a> {
    /// The metric's name.
    pub name: &'a str,
    labels: &'a str,
    /// Its value; never infinite, and a number.
    pub value: f64,
}

impl<'a> Sample<'a> {
    /// Reads a line; `None` for a comment, and for anything else.
    #[must_use]
    pub fn read(line: &'a str) -> Option<Self> {
        let (head, rest) = match line.split_once('{') {
            Some((name, rest)) => (name, rest.rsplit_once('}')?),
            None => line.split_once(' ').map(|(name, rest)| (name, ("", rest)))?,
        };
        let (labels, rest) = rest;
        // A time may stand behind the value. Read as JSON's numbers are: the library's own reading
        // of floats, with its tables, would be a hundredth of the binary.
        let value = serde_json::from_str(rest.split_ascii_whitespace().next()?).ok();
        let is_name = !head.is_empty() && !head.starts_with('#') && !head.contains(' ');
        let value = value.filter(|value: &f64| is_name && value.is_finite())?;
        Some(Self { name: head, labels, value })
    }

    /// The value of a label, as it stands between its quotes.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.labels;
        while let Some((label, behind)) = rest.split_once("=\"") {
            let end = end_of_quoted(behind)?;
            if label.trim_start_matches([',', ' ']) == name {
                return Some(&behind[..end]);
            }
            rest = &behind[end + 1..];
        }
        None
    }

    /// Its value as a count; what is below zero is zero.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` keeps within the bounds, and metrics are counts"
    )]
    pub fn count(&self) -> u64 {
        self.value as u64
    }
}

/// Where the quote is that no backslash stands before.
fn end_of_quoted(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_taken_apart() {
        let line = r#"a_total{one="x\"},",two="y"} 1.5e1 1700000000"#;
        let sample = Sample::read(line).unwrap();
        assert_eq!((sample.name, sample.count()), ("a_total", 15));
        assert_eq!(sample.label("one"), Some(r#"x\"},"#));
        assert_eq!((sample.label("two"), sample.label("three")), (Some("y"), None));
        assert_eq!(Sample::read("b 7").unwrap().count(), 7);
        for nonsense in ["", "# HELP a b", "a", "a{", "a{} ", "a NaN", "a +Inf", " 7", "{} 7"] {
            assert_eq!(Sample::read(nonsense), None, "{nonsense}");
        }
        let open = Sample::read(r#"a{b="} 1"#).unwrap();
        assert_eq!(open.label("b"), None);
    }
}
