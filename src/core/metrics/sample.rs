//! One line of Prometheus' text form: `name{label="value",…} 12.5`.
//!
//! Owns taking it apart; must never judge.

/// A sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// The metric's name.
    pub name: &'a str,
    labels: &'a str,
    value: u64,
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
        // A time may stand behind the value.
        let value = whole(rest.split_ascii_whitespace().next()?);
        let is_name = !head.is_empty() && !head.starts_with('#') && !head.contains(' ');
        let value = value.filter(|_| is_name)?;
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
}

impl Sample<'_> {
    /// Its value without a fraction; what is below zero is zero.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.value
    }
}

/// The whole part of `12.5`, `1.073741824e+09`, `4e7`: metrics are counts and times, and reading
/// floating point in general takes 15 KB of code.
fn whole(text: &str) -> Option<u64> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (digits, fraction) = number.split_once('.').unwrap_or((number, ""));
    if let Some(negative) = digits.strip_prefix('-') {
        return negative.parse::<u64>().ok().map(|_| 0);
    }
    let exponent: i32 = exponent.parse().ok().filter(|exponent| (-400..=400).contains(exponent))?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !is_number(digits) || !is_number(fraction) {
        return None;
    }
    let mut value: u64 = 0;
    let wanted = i32::try_from(digits.len()).ok()?.saturating_add(exponent);
    let all = digits.bytes().chain(fraction.bytes()).chain(std::iter::repeat(b'0'));
    for digit in all.take(usize::try_from(wanted).unwrap_or_default()) {
        value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    }
    Some(value)
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
        let table = [
            ("1.073741824e+09", 1 << 30),
            ("4.2e7", 42_000_000),
            ("12.9", 12),
            ("15e-1", 1),
            ("0", 0),
            ("1e300", u64::MAX),
            ("-3.5", 0),
            ("1.795535376e+09", 1_795_535_376),
        ];
        for (text, expected) in table {
            assert_eq!(Sample::read(&format!("a {text}")).unwrap().count(), expected, "{text}");
        }
        let open = Sample::read(r#"a{b="} 1"#).unwrap();
        assert_eq!(open.label("b"), None);
    }
}
