//! Who this process is.
//!
//! Effective ids, not real ones: `xt_owner` compares the fsuid and fsgid at `socket()`, which
//! follow them.

use nix::unistd::{getegid, geteuid};

use crate::core::findings::identity::Identity;
use crate::core::mesh::Mesh;
use crate::io::sockets::listener::Listener;
use crate::io::sockets::listening;

/// Our user and group.
#[must_use]
pub fn own() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

/// Our ids, and the owner of the sockets on the proxy's ports where there are any yet.
#[must_use]
pub fn identity(mesh: Mesh) -> Identity {
    // Where /proc/net cannot be read, the profile's ids are judged alone.
    let listening = if mesh.profile().uid.is_some() {
        listening::listening().unwrap_or_default()
    } else {
        Vec::new()
    };
    let owned =
        |listener: &&Listener| mesh.profile().owned_ports.contains(&listener.address.port());
    Identity {
        uid: geteuid().as_raw(),
        gid: getegid().as_raw(),
        proxy_owner: listening.iter().find(owned).map(|listener| listener.uid),
    }
}
