//! What is judged about listen addresses, and the cases that the judgement knows.
//!
//! Owns the types between `judge`, which finds the cases, and `messages`, which words them.

use std::net::{IpAddr, SocketAddr};

use crate::core::findings::finding::Severity;
use crate::core::findings::listen::forwarding::Forwarding;
use crate::core::findings::listen::sockets::Socket;
use crate::core::mesh::Mesh;

/// All that is judged.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Whose proxy.
    pub mesh: Mesh,
    /// The user it runs as, where that is known.
    pub proxy_uid: Option<u32>,
    /// The pod's addresses; without loopback.
    pub pod: &'a [IpAddr],
    /// How the proxy forwards; `None` where that is not known of this mesh.
    pub forwarding: Option<&'a Forwarding>,
    /// Every listening socket of the pod.
    pub sockets: &'a [Socket],
    /// Where the application is meant to listen (`--listen`).
    pub declared: &'a [SocketAddr],
}

/// What keeps traffic away, in the order of the question "why".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Reserved,
    Loopback,
    PodOnly,
    Family,
    Elsewhere,
    OneFamily,
    Nobody,
    ProxysUser,
}

/// What ports must have in common to be told in one finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Case {
    pub(super) severity: Severity,
    pub(super) kind: Kind,
    /// Who listens, as the subject of a sentence.
    pub(super) who: String,
    /// Where.
    pub(super) bound: Vec<IpAddr>,
    /// Where the traffic goes that nobody takes.
    pub(super) missed: Vec<IpAddr>,
}
