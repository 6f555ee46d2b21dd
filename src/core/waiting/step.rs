//! The steps of a wait: what is to be done now, and how it ends.
//!
//! Owns the values between `wait`, which decides, and the loop in `cmd`, which does; must never
//! decide itself.

use std::time::Duration;

use crate::core::waiting::observation::Trust;
use crate::core::waiting::watched::Place;

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// List the listening sockets; then `Wait::listed`.
    List,
    /// Look, and give up the look at `until`; then `Wait::observe`.
    Look {
        /// At what.
        at: Place,
        /// How its answer is read.
        trust: Trust,
        /// The look's deadline.
        until: Duration,
    },
    /// Find out whether this pod's traffic is redirected; then `Wait::probed`.
    Probe,
    /// Nothing before this moment; then ask again.
    Rest(Duration),
    /// Nobody has shown up within `--absent-after`; then `Wait::give_up`.
    GiveUp,
    /// Over.
    Over(Ending),
}

/// How a wait ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything is ready.
    Ready,
    /// There is no proxy to wait for, and everything else is ready.
    WithoutProxy,
    /// The time is over.
    TimedOut,
    /// The listening sockets, which `auto` needs, cannot be seen: why.
    Blind(String),
}
