//! Who this process is.
//!
//! Effective ids, not real ones: `xt_owner` compares the fsuid and fsgid at `socket()`, which
//! follow them.

use nix::unistd::{getegid, geteuid};

use crate::core::findings::pod::Identity;

/// Our user and group.
#[must_use]
pub fn own() -> Identity {
    Identity { uid: geteuid().as_raw(), gid: getegid().as_raw() }
}
