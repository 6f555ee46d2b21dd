//! How busy the proxy's inbound side is at one moment, whichever page told it.
//!
//! Owns the type alone; `stats` and `clusters` read it out of their pages. Must never judge what is
//! busy.

/// What goes on at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Requests in flight.
    pub requests: u64,
    /// Open connections on which no requests can be counted, as plain TCP's.
    pub connections: u64,
    /// How many have begun since the proxy started, where that is counted: tells "idle" from
    /// "between two".
    pub begun: Option<u64>,
}
