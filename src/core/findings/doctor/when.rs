//! Moments and spans of time, between RFC 3339 and words.
//!
//! Owns both ways; must never read a clock.

use std::time::Duration;

/// The moment that `2026-11-24T15:55:53Z` names, since 1970; a fraction of a second is left out.
/// `None` for what is before 1970 or not in UTC.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = three(date, '-')?;
    let [hour, minute, second] = three(time.split('.').next()?, ':')?;
    let is_valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds = || ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    is_valid.then(|| Duration::from_secs(seconds()))
}

fn three(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse().ok());
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Days from 1970 to this date of the Gregorian calendar (Howard Hinnant: `days_from_civil`).
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year % 400;
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let days_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    (year / 400 * 146_097 + days_of_era).saturating_sub(719_468)
}

/// A span as people say it, in its largest unit: `3 h`, `26 min`, `12 s`.
#[must_use]
pub fn spoken(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        _ if hours >= 48 => format!("{} days", hours / 24),
        _ if minutes >= 120 => format!("{hours} h"),
        _ if seconds >= 120 => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        let table = [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-03-01T00:00:01Z", 59 * 86_400 + 1),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2024-01-02T00:00:00Z", 1_704_153_600),
            ("2026-11-24T15:55:53.123Z", 1_795_535_753),
        ];
        for (text, seconds) in table {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in [
            "",
            "2026-11-24",
            "2026-11-24T15:55:53",
            "2026-13-24T15:55:53Z",
            "1969-12-31T23:59:59Z",
            "2026-11-24T15:55Z",
            "x-11-24T15:55:53Z",
            "2026-11-24T15:55:53+01:00",
            "99999999999999999999-01-01T00:00:00Z",
            "9999999999999999999-01-01T00:00:00Z",
            "0-1-31T23:50:00Z",
            "2026-01-00T00:00:00Z",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn spans_are_said_in_one_unit() {
        let table = [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_199, "119 min"),
            (7_200, "2 h"),
            (172_799, "47 h"),
            (172_800, "2 days"),
        ];
        for (seconds, words) in table {
            assert_eq!(spoken(Duration::from_secs(seconds)), words);
        }
    }
}
