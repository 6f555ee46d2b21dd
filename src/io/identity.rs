//! Who this process is.
//!
//! Owns that these are the effective ids, not the real ones: `xt_owner` compares the fsuid and
//! fsgid at `socket()`, which follow them. Must never change them.

use nix::unistd::{getegid, geteuid};

use crate::core::findings::pod::Identity;

/// Our user and group.
#[must_use]
pub fn own() -> Identity {
    Identity { uid: geteuid().as_raw(), gid: getegid().as_raw() }
}
