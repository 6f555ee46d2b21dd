//! What is judged about listen addresses, and the cases that the judgement knows.
//!
//! Owns the types between `judge`, which finds the cases, and `messages`, which words them; must
//! never do either.

use std::net::IpAddr;

use crate::core::findings::finding::Severity;
use crate::core::findings::listen::forwarding::Forwarding;
use crate::core::findings::pod::Pod;
use crate::core::sockets::owner::Owners;

/// All that is judged by: the pod, and what follows from it.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) pod: &'a Pod,
    pub(super) owners: Owners,
    /// How the proxy forwards; `None` where that is not known of this mesh.
    pub(super) forwarding: Option<Forwarding>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(pod: &'a Pod) -> Self {
        Self { pod, owners: pod.owners(), forwarding: Forwarding::of(pod) }
    }
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
    HeldByProxy,
    InUse,
    UnixSocket,
}

/// What ports must have in common to be told in one finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PortCase {
    pub(super) severity: Severity,
    pub(super) kind: Kind,
    /// Does the kernel deliver, past the proxy?
    pub(super) by_the_kernel: bool,
    /// Who listens, as the subject of a sentence.
    pub(super) who: String,
    /// Where.
    pub(super) bound: Vec<IpAddr>,
    /// Where the traffic goes that nobody takes.
    pub(super) missed: Vec<IpAddr>,
    /// The Unix socket that gets the traffic instead; empty where there is none.
    pub(super) socket: String,
}
