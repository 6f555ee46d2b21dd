//! Durations as people type and read them: `250ms`, `5s`, `2m`, `1h`.
//!
//! Owns the text form, both ways; must never measure time.

use std::fmt;
use std::time::Duration;

/// The longest duration that may be set: 30 days. More is a typing error, not a plan.
pub const LONGEST: Duration = Duration::from_hours(30 * 24);

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDuration {
    /// Digits without a unit: seconds or milliseconds?
    #[error("`{0}` has no unit; write {0}s for seconds or {0}ms for milliseconds")]
    NoUnit(String),
    /// Neither a number nor a known unit.
    #[error("`{0}` is no duration; write a whole number and ms, s, m or h, as 250ms, 5s, 2m, 1h")]
    NotOne(String),
    /// Over [`LONGEST`].
    #[error("`{0}` is longer than 30 days; is the unit right?")]
    TooLong(String),
}

/// Reads `250ms`, `5s`, `2m`, `1h`, or `0`; at most [`LONGEST`].
///
/// # Errors
/// A bare number other than `0` is refused, since its unit would be a guess; so is any
/// fraction or sum.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if digits > 0 && unit.is_empty() {
        return Err(BadDuration::NoUnit(text.to_owned()));
    }
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(BadDuration::NotOne(text.to_owned())),
    };
    if digits == 0 {
        return Err(BadDuration::NotOne(text.to_owned()));
    }
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| BadDuration::TooLong(text.to_owned()))
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
    fn the_four_units_and_zero_are_read() {
        let table = [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("5s", 5_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
        ];
        for (text, milliseconds) in table {
            assert_eq!(parse(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn a_bare_number_is_an_error_that_says_so() {
        let error = parse("30").unwrap_err().to_string();
        assert!(error.contains("has no unit; write 30s"), "{error}");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", "s", "-5s", "1.5s", "5 s", "5S", "1m30s", "00", "5sec", "+5s", "९s"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for text in ["721h", "99999999999999999999s", "18446744073709551615h"] {
            assert_eq!(parse(text), Err(BadDuration::TooLong(text.to_owned())), "{text}");
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
