//! Durations as people type and read them: `250ms`, `1.5s`, `2m`, `1m30s`.
//!
//! Owns the text form, both ways; must never measure time.

use std::fmt;
use std::time::Duration;

/// The longest duration that may be set: 30 days. More is a typing error, not a plan.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Units, longest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// Digits without a unit: seconds or milliseconds?
    #[error("`{0}` has no unit; write {0}s for seconds or {0}ms for milliseconds")]
    NoUnit(String),
    /// Neither a number nor a known unit, or units in the wrong order.
    #[error("`{0}` is no duration; write numbers with ms, s, m or h, as 250ms, 1.5s, 2m, 1m30s")]
    NotOne(String),
    /// Below zero.
    #[error("`{0}` must not be negative")]
    Negative(String),
    /// A fraction of a millisecond, which would be cut to something else, or to nothing at all.
    #[error("`{0}` is finer than a millisecond; write whole milliseconds")]
    TooFine(String),
    /// Over [`LONGEST`].
    #[error("`{0}` is longer than 30 days; is the unit right?")]
    TooLong(String),
}

/// Reads `250ms`, `1.5s`, `2m`, `1m30s`, `1h`, or `0`; at most [`LONGEST`].
///
/// # Errors
/// A bare number other than `0` is refused, since its unit would be a guess.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.starts_with('-') && text != "-" {
        return Err(BadDuration::Negative(text.to_owned()));
    }
    let not_one = || BadDuration::NotOne(text.to_owned());
    let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare {
        return Err(BadDuration::NoUnit(text.to_owned()));
    }
    // Each unit once, longest first: `30s1m` and `1s1s` are typing errors.
    let mut units = UNITS.iter();
    let (mut rest, mut sum) = (text, Some(0_u64));
    while !rest.is_empty() {
        let number = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, behind) = rest.split_at(number);
        let unit = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(unit);
        let (_, unit) = units.find(|(name, _)| *name == unit).ok_or_else(not_one)?;
        let part = part(number, *unit).ok_or_else(not_one)?;
        sum = match part {
            Amount::Whole(part) => sum.and_then(|sum| sum.checked_add(part)),
            Amount::TooLong => None,
            Amount::TooFine => return Err(BadDuration::TooFine(text.to_owned())),
        };
        rest = behind;
    }
    if text.is_empty() {
        return Err(not_one());
    }
    sum.map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| BadDuration::TooLong(text.to_owned()))
}

/// A number of one unit, in milliseconds.
enum Amount {
    Whole(u64),
    TooLong,
    TooFine,
}

/// `1.5` of a unit; `None` where it is no number.
fn part(number: &str, unit: u64) -> Option<Amount> {
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
        None => (number, ""),
    };
    if whole.is_empty() || fraction.contains('.') {
        return None;
    }
    let Some(whole) = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit)) else {
        return Some(Amount::TooLong);
    };
    // More digits than an hour's milliseconds have use for are finer in any case.
    let digits = u32::try_from(fraction.len()).ok().filter(|digits| *digits <= 9);
    let Some(scale) = digits.map(|digits| 10_u64.pow(digits)) else { return Some(Amount::TooFine) };
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? * unit };
    if !fraction.is_multiple_of(scale) {
        return Some(Amount::TooFine);
    }
    Some(whole.checked_add(fraction / scale).map_or(Amount::TooLong, Amount::Whole))
}

/// As logs count it: whole milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Prints a duration as a person would say it: whole where it was typed so (`2m`), else with two
/// digits behind the point (`2.31s`), below a second in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Spoken(pub Duration);

impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        let whole = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        match whole
            .into_iter()
            .find(|(unit, _)| milliseconds > 0 && milliseconds.is_multiple_of(*unit))
        {
            Some((unit, name)) => write!(f, "{}{name}", milliseconds / unit),
            None if milliseconds < 1_000 => write!(f, "{milliseconds}ms"),
            // In whole numbers: the formatting of floats alone would be a fiftieth of the binary.
            None => write!(f, "{}.{:02}s", milliseconds / 1_000, milliseconds % 1_000 / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_fractions_sums_and_zero_are_read() {
        let table = [
            ("0", 0),
            ("0s", 0),
            ("0.0s", 0),
            ("250ms", 250),
            ("5s", 5_000),
            ("1.5s", 1_500),
            ("0.25s", 250),
            ("1.500s", 1_500),
            ("2m", 120_000),
            ("0.5m", 30_000),
            ("1m30s", 90_000),
            ("1m0.5s", 60_500),
            ("1h", 3_600_000),
            ("1h2m3s4ms", 3_723_004),
            ("1h1ms", 3_600_001),
            ("90s500ms", 90_500),
            ("720h", 2_592_000_000),
        ];
        for (text, milliseconds) in table {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_an_error_that_says_so() {
        for text in ["30", "00"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("has no unit; write {text}s")), "{error}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        type Error = fn(String) -> BadDuration;
        let not_one = [
            "", "s", "-", "5 s", "5S", "5sec", "+5s", "९s", ".5s", "5.s", "1..5s", "1.5", "1m30",
            "30s1m", "1s1s", "1m 30s", "1,5s", "5s!", "1d", "ms5",
        ];
        let tables: [(&[&str], Error); 4] = [
            (&not_one, BadDuration::NotOne),
            (&["-5s", "-1"], BadDuration::Negative),
            (&["0.1ms", "1.0005s", "0.0000000001h"], BadDuration::TooFine),
            (
                &["721h", "720h1ms", "99999999999999999999s", "18446744073709551615h"],
                BadDuration::TooLong,
            ),
        ];
        for (texts, error) in tables {
            for text in texts {
                assert_eq!(parse(text), Err(error((*text).to_owned())), "{text}");
            }
        }
    }

    #[test]
    fn durations_are_printed_as_they_are_typed() {
        for text in ["250ms", "5s", "2m", "1h", "90m"] {
            assert_eq!(Spoken(parse(text).unwrap()).to_string(), text);
        }
        assert_eq!(Spoken(Duration::from_millis(2_314)).to_string(), "2.31s");
        assert_eq!(Spoken(Duration::ZERO).to_string(), "0ms");
    }
}
