//! A signal by name: the only form in which signals travel above `io::signals` and `io::process`.
//!
//! Owns the names and the bounds; must never send, catch or block one.

use std::fmt;
use std::str::FromStr;

/// A Linux signal, 1-64: the standard ones and the real-time ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Names of the signals 1-31, by number (`signal(7)`, x86 and ARM).
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// `SIGRTMIN` as glibc, and so nearly every manual, counts it: 32 and 33 belong to the C library's
/// threads.
const RTMIN: u8 = 34;

impl Signal {
    /// Terminal hang-up; programs reload on it.
    pub const HUP: Self = Self(1);
    /// Ctrl-C.
    pub const INT: Self = Self(2);
    /// Ctrl-\, and nginx's graceful stop.
    pub const QUIT: Self = Self(3);
    /// Ends at once; cannot be caught.
    pub const KILL: Self = Self(9);
    /// Lets a stopped process run.
    pub const CONT: Self = Self(18);
    /// The kubelet's stop signal.
    pub const TERM: Self = Self(15);
    /// The highest signal Linux has.
    pub const MAX: Self = Self(64);

    /// The signal with this number, if Linux has it (1-64).
    #[must_use]
    pub const fn from_number(number: i32) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked: 1 to 64"
        )]
        match number {
            1..=64 => Some(Self(number as u8)),
            _ => None,
        }
    }

    /// Can it arrive at a supervisor and be meant for the application?
    ///
    /// KILL and STOP cannot be caught, CHLD is the supervisor's own, the kernel raises ILL, BUS,
    /// FPE and SEGV for our own faults, and 32 and 33 belong to the C library.
    #[must_use]
    pub const fn can_be_forwarded(self) -> bool {
        !matches!(self.0, 4 | 7 | 8 | 9 | 11 | 17 | 19 | 32 | 33)
    }

    /// Does it end a program that has no handler for it (`signal(7)`: Term and Core)?
    #[must_use]
    pub const fn ends_a_program(self) -> bool {
        !matches!(self.0, 17..=23 | 28)
    }

    /// The kernel's number, 1-64.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0) - 1) {
            Some(name) => write!(f, "SIG{name}"),
            None if self.0 == RTMIN => f.write_str("SIGRTMIN"),
            None if self.0 > RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text names no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no signal; write a name such as TERM, SIGUSR1 or RTMIN+3, or a number from 1 to 64"
)]
pub struct UnknownSignal(String);

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// Reads `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3` or `RTMAX-1`.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.to_owned());
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return u8::try_from(index + 1).map(Self).map_err(|_| unknown());
        }
        let number = if let Some(offset) = name.strip_prefix("RTMIN") {
            i32::from(RTMIN) + offset_of(offset, '+').ok_or_else(unknown)?
        } else if let Some(offset) = name.strip_prefix("RTMAX") {
            i32::from(Self::MAX.0) - offset_of(offset, '-').ok_or_else(unknown)?
        } else {
            return text.parse().ok().and_then(Self::from_number).ok_or_else(unknown);
        };
        Self::from_number(number).filter(|signal| signal.0 >= RTMIN).ok_or_else(unknown)
    }
}

/// `""` is 0, `"+3"` is 3 where `sign` is `+`.
fn offset_of(text: &str, sign: char) -> Option<i32> {
    match text.strip_prefix(sign) {
        Some(digits) => digits.parse::<u8>().ok().map(i32::from),
        None => text.is_empty().then_some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_reads_back_what_it_prints() {
        for number in (1..=64).filter(|number| !(32..=33).contains(number)) {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.to_string().parse(), Ok(signal));
            assert_eq!(number.to_string().parse(), Ok(signal));
        }
    }

    #[test]
    fn names_are_read_as_people_write_them() {
        for text in ["TERM", "SIGTERM", "sigterm", "term", "15"] {
            assert_eq!(text.parse(), Ok(Signal::TERM), "{text}");
        }
        assert_eq!("RTMAX".parse(), Ok(Signal::MAX));
        assert_eq!("RTMAX-1".parse(), Ok(Signal(63)));
        assert_eq!("SIGRTMIN+2".parse(), Ok(Signal(36)));
    }

    #[test]
    fn fifty_five_signals_can_be_forwarded() {
        let all = (1..=64).filter_map(Signal::from_number);
        let (forwarded, not): (Vec<Signal>, Vec<Signal>) =
            all.partition(|signal| signal.can_be_forwarded());
        assert_eq!(forwarded.len(), 55);
        let not: Vec<String> = not.into_iter().map(|signal| signal.to_string()).collect();
        let names = [
            "SIGILL",
            "SIGBUS",
            "SIGFPE",
            "SIGKILL",
            "SIGSEGV",
            "SIGCHLD",
            "SIGSTOP",
            "signal 32",
            "signal 33",
        ];
        assert_eq!(not, names);
    }

    #[test]
    fn what_the_kernel_ignores_or_stops_by_itself_ends_no_program() {
        let all = (1..=64).filter_map(Signal::from_number);
        let harmless = all.filter(|signal| !signal.ends_a_program());
        let names: Vec<String> = harmless.map(|signal| signal.to_string()).collect();
        let expected = ["CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH"];
        assert_eq!(names, expected.map(|name| format!("SIG{name}")));
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in ["", "0", "65", "-1", "TERMINATE", "RTMIN+31", "RTMIN3", "RTMAX-31", "SIG"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }
}
