//! The system's clock.
//!
//! Owns the one reading of it; must never judge what time it is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now, since 1970; nothing where the clock is before that.
#[must_use]
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
