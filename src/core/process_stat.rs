//! `/proc/PID/stat` (`proc_pid_stat(5)`): what it says of a process.
//!
//! Owns its form; must never know which process it is, or what time it is now.

use std::time::Duration;

use super::text::replaced;

/// Ticks a second, the same on every Linux (`USER_HZ`).
const TICKS: u64 = 100;

/// `7 (a name (with) spaces) S 1 …`. A name is any text: it ends at the last parenthesis.
#[derive(Clone, Copy, Debug)]
pub struct ProcessStat<'a> {
    name: &'a str,
    /// From the third field on.
    fields: &'a str,
}

impl<'a> ProcessStat<'a> {
    /// `None` where the name has no end.
    #[must_use]
    pub fn of(text: &'a str) -> Option<Self> {
        let (head, fields) = text.rsplit_once(')')?;
        Some(Self { name: head.split_once('(')?.1, fields })
    }

    /// The name, fit for a line of ours.
    #[must_use]
    pub fn name(&self) -> String {
        replaced(self.name, '?')
    }

    /// Is it stopped: by a signal (T), not by a tracer (t)?
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.fields.starts_with(" T")
    }

    /// When it started, since the start of the machine: the 22nd field.
    #[must_use]
    pub fn started(&self) -> Option<Duration> {
        let ticks: u64 = self.fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
        Some(Duration::from_millis(ticks.checked_mul(1000)? / TICKS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_hides_no_field() {
        let text = "7 (a) T (b) S 1 7 7 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 12345 4096 1";
        let stat = ProcessStat::of(text).unwrap();
        assert_eq!(stat.name(), "a) T (b");
        assert_eq!(stat.started(), Some(Duration::from_millis(123_450)));
        assert!(!stat.is_stopped());
        assert!(ProcessStat::of("7 (x) T 1").is_some_and(|stat| stat.is_stopped()));
        assert!(ProcessStat::of("7 (x) t 1").is_some_and(|stat| !stat.is_stopped()));
    }

    #[test]
    fn a_line_without_a_name_or_a_start_has_none() {
        for text in ["", "7", "7 (x", "7 x) S"] {
            assert!(ProcessStat::of(text).is_none(), "{text:?}");
        }
        assert_eq!(ProcessStat::of("7 (x) S 1").unwrap().started(), None);
    }
}
