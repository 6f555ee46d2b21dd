//! When a started application has come to listen, so that its addresses can be judged.
//!
//! Owns when to look and when its sockets count as all there; must never look itself.

use std::net::SocketAddr;
use std::time::Duration;

/// How long a supervised application is given to listen before nobody looks any more.
const LISTENS_WITHIN: Duration = Duration::from_mins(1);

/// How soon after the start it is looked at for the first time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Looks that follow each other ever more slowly, until two in a row see the same sockets: an
/// application may open several.
#[derive(Debug, Default)]
pub struct Settling {
    before: Vec<SocketAddr>,
}

impl Settling {
    /// How long to rest at `now`, counted from the start, before the next look; `None` where it is
    /// not worth it any more. Some 25 looks in the whole minute: an application that never listens
    /// is hardly ever woken up for.
    #[must_use]
    pub fn rest(&self, now: Duration) -> Option<Duration> {
        (now < LISTENS_WITHIN).then(|| (now / 4).max(FIRST_PAUSE))
    }

    /// Takes in where the application listens, and says whether that is all.
    #[must_use]
    pub fn has_settled(&mut self, listening: Vec<SocketAddr>) -> bool {
        let has_settled = !listening.is_empty() && listening == self.before;
        self.before = listening;
        has_settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_settled_when_two_looks_in_a_row_see_the_same() {
        let at = |ports: &[u16]| ports.iter().map(|port| ([0, 0, 0, 0], *port).into()).collect();
        let mut settling = Settling::default();
        for (ports, expected) in
            [(&[][..], false), (&[], false), (&[80], false), (&[80, 81], false), (&[80, 81], true)]
        {
            assert_eq!(settling.has_settled(at(ports)), expected, "{ports:?}");
        }
    }

    #[test]
    fn the_looks_of_a_minute_are_few() {
        let (mut now, mut looks) = (Duration::ZERO, 0);
        while let Some(rest) = Settling::default().rest(now) {
            (now, looks) = (now + rest, looks + 1);
        }
        assert!((20..40).contains(&looks), "{looks}");
        assert!(now >= LISTENS_WITHIN);
    }
}
