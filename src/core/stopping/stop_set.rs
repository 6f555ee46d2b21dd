//! Which signals ask the application to stop.
//!
//! Owns what a stop signal is; must never say what the application gets for one, which is
//! `signal_map`'s.

use crate::core::signal::Signal;

/// What people and runtimes end programs with. HUP is not one: programs reload on it.
const ALWAYS: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];

/// TERM, INT and QUIT, and what an image's STOPSIGNAL adds (haproxy's USR1, httpd's WINCH).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopSet {
    added: Vec<Signal>,
}

impl StopSet {
    /// These, beside the usual ones.
    #[must_use]
    pub const fn adding(added: Vec<Signal>) -> Self {
        Self { added }
    }

    /// Does `signal`, as it arrived, mean "stop"?
    #[must_use]
    pub fn contains(&self, signal: Signal) -> bool {
        ALWAYS.contains(&signal) || self.added.contains(&signal)
    }

    /// Those that are sent to stop a container: the kubelet's, and those that were added.
    pub fn sent(&self) -> impl Iterator<Item = Signal> + '_ {
        std::iter::once(Signal::TERM).chain(self.added.iter().copied())
    }

    /// Those that are not the usual ones.
    #[must_use]
    pub fn added(&self) -> &[Signal] {
        &self.added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_stop_signal_adds_to_the_usual_three() {
        let usr1: Signal = "USR1".parse().unwrap();
        let usual = StopSet::default();
        let added = StopSet::adding(vec![usr1]);
        for signal in ALWAYS {
            assert!(usual.contains(signal) && added.contains(signal), "{signal}");
        }
        assert!(!usual.contains(usr1) && added.contains(usr1));
        assert!(!usual.contains(Signal::HUP) && !added.contains(Signal::HUP));
    }
}
