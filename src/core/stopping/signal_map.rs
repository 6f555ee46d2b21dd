//! What the application gets for each signal that arrives.
//!
//! Owns `FROM:TO`; must never send anything. Which of them mean "stop" is in `stop_set`.

use std::str::FromStr;

use crate::core::signal::{Signal, UnknownSignal};

/// One `--map-signal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    from: Signal,
    /// `None` is `0`: the application gets nothing.
    to: Option<Signal>,
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignalMap(Vec<Mapping>);

/// Why a text is no mapping, or why some do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMapping {
    /// No colon.
    #[error("`{0}` is no mapping; write FROM:TO, as TERM:QUIT, or TERM:0 for nothing")]
    NotOne(String),
    /// No signal on one side.
    #[error("`{0}`: {1}")]
    Unknown(String, UnknownSignal),
    /// KILL, STOP and faults never arrive; CHLD is meshim's own.
    #[error("`{0}`: {1} never reaches meshim to be passed on, so it cannot be mapped")]
    NeverArrives(String, Signal),
    /// Two for one signal.
    #[error("{0} is mapped twice; keep one of the two")]
    Twice(Signal),
}

impl FromStr for Mapping {
    type Err = BadMapping;

    fn from_str(text: &str) -> Result<Self, BadMapping> {
        let (from, to) = text.split_once(':').ok_or_else(|| BadMapping::NotOne(text.to_owned()))?;
        let unknown = |error| BadMapping::Unknown(text.to_owned(), error);
        let from: Signal = from.parse().map_err(unknown)?;
        if !from.can_be_forwarded() {
            return Err(BadMapping::NeverArrives(text.to_owned(), from));
        }
        let to = if to == "0" { None } else { Some(to.parse().map_err(unknown)?) };
        Ok(Self { from, to })
    }
}

impl SignalMap {
    /// These mappings.
    ///
    /// # Errors
    /// One signal has two of them.
    pub fn of(mappings: &[Mapping]) -> Result<Self, BadMapping> {
        let earlier = |at: usize, from| mappings[..at].iter().any(|mapping| mapping.from == from);
        match mappings.iter().enumerate().find(|(at, mapping)| earlier(*at, mapping.from)) {
            Some((_, twice)) => Err(BadMapping::Twice(twice.from)),
            None => Ok(Self(mappings.to_vec())),
        }
    }

    /// What the application gets for `signal`, if anything.
    #[must_use]
    pub fn delivered(&self, signal: Signal) -> Option<Signal> {
        self.mapping(signal).map_or(Some(signal), |mapping| mapping.to)
    }

    fn mapping(&self, signal: Signal) -> Option<&Mapping> {
        self.0.iter().find(|mapping| mapping.from == signal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(texts: &[&str]) -> Result<SignalMap, BadMapping> {
        let mappings: Result<Vec<Mapping>, _> = texts.iter().map(|text| text.parse()).collect();
        SignalMap::of(&mappings?)
    }

    fn signal(text: &str) -> Signal {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_mapped_stays_as_it_is() {
        let map = map(&["TERM:QUIT", "USR1:0"]).unwrap();
        assert_eq!(map.delivered(Signal::TERM), Some(Signal::QUIT));
        assert_eq!(map.delivered(signal("USR1")), None);
        assert_eq!(map.delivered(signal("RTMIN+5")), Some(signal("RTMIN+5")));
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        let table = [
            ("TERM", "write FROM:TO"),
            ("TERM:NOPE", "`NOPE` is no signal"),
            (":TERM", "`` is no signal"),
            ("KILL:TERM", "SIGKILL never reaches meshim"),
            ("CHLD:TERM", "SIGCHLD never reaches meshim"),
        ];
        for (text, part) in table {
            let error = map(&[text]).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(map(&["TERM:QUIT", "15:0"]), Err(BadMapping::Twice(Signal::TERM)));
    }
}
