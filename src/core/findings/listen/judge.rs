//! Verdicts about listen addresses become findings: how bad each is, and which ports share one.
//!
//! Owns the severities; the words are in `messages`. Must never look at a socket itself.

use std::net::{IpAddr, SocketAddr};

use crate::core::envoy::inbound_clusters::Inbound;
use crate::core::findings::finding::{Finding, Severity};
use crate::core::findings::judged::Judged;
use crate::core::findings::listen::cases::{Facts, Kind, PortCase};
use crate::core::findings::listen::forwarding::{Forwarding, Source};
use crate::core::findings::listen::messages::{sorted, words};
use crate::core::findings::listen::reach::{Arrives, reach};
use crate::core::findings::listen::unseen;
use crate::core::findings::pod::{Addresses, Pod};
use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
use crate::core::sockets::bound::Bound;
use crate::core::sockets::owner::{Holder, Owner, Socket, is_of_a_profile};
use crate::core::sorted::SortedMap;

/// Judges where the application listens for real.
#[must_use]
pub fn for_real(pod: &Pod) -> Judged {
    let facts = Facts::of(pod);
    let owned: Vec<(&Socket, Owner)> =
        pod.sockets.all.iter().map(|socket| (socket, facts.owners.owner(socket))).collect();
    let mut cases = Cases::default();
    for (socket, owner) in owned.iter().filter(|(_, owner)| owner.is_ours()) {
        let (port, who) = (socket.bound.address.port(), who(socket, *owner));
        if is_the_proxys(&facts, port) {
            cases.add(case(Severity::Error, Kind::Reserved, who.clone(), &[]), port);
        }
        if facts.owners.proxy_uid() == Some(socket.uid) {
            cases.add(case(Severity::Error, Kind::ProxysUser, who, &[]), port);
        }
    }
    if let Some(forwarding) = &facts.forwarding {
        for port in ports(&owned, forwarding, &pod.declared) {
            judge_port(&facts, forwarding, &owned, port, &mut cases);
        }
    }
    Judged { findings: cases.into_findings(&facts), not_seen: unseen::all(&facts) }
}

/// Judges where the application is going to listen, as `--listen` says.
#[must_use]
pub fn before_start(pod: &Pod) -> Judged {
    let facts = Facts::of(pod);
    let mut cases = Cases::default();
    for (index, address) in pod.declared.iter().enumerate() {
        let (port, bound) = (address.port(), declared(*address));
        if is_the_proxys(&facts, port) {
            cases.add(case(Severity::Error, Kind::Reserved, WILL.to_owned(), &[]), port);
            continue;
        }
        if let Some(held) = held(&facts, bound) {
            cases.add(held, port);
            continue;
        }
        let is_first = !pod.declared[..index].iter().any(|earlier| earlier.port() == port);
        if let (Some(forwarding), true) = (&facts.forwarding, is_first) {
            let same: Vec<Bound> = declared_on(pod, port);
            let ours = Ours { bound: &same, who: WILL.to_owned(), severity: Severity::Error };
            let pod = &pod.addresses;
            cases.extend(missed(port, &ours, &same, forwarding, pod), port);
            cases.extend(to_no_tcp(forwarding, port, WILL), port);
        }
    }
    Judged { findings: cases.into_findings(&facts), not_seen: unseen::of_forwarding(&facts) }
}

/// Judges `--listen` by what no look at the pod could change: the ports that belong to the proxy.
#[must_use]
pub fn before_the_wait(proxy: &Proxy, declared: &[SocketAddr]) -> Vec<Finding> {
    let pod = Pod { declared: declared.to_vec(), ..Pod::of(proxy.clone()) };
    let (facts, mut cases) = (Facts::of(&pod), Cases::default());
    for address in declared.iter().filter(|address| is_the_proxys(&facts, address.port())) {
        let reserved = case(Severity::Error, Kind::Reserved, WILL.to_owned(), &[]);
        cases.add(reserved, address.port());
    }
    cases.into_findings(&facts)
}

/// Is the proxy to be asked for `/server_info` after a judgement without it? That costs the proxy
/// 13 times what `/ready` does: only where nothing else tells how traffic is forwarded and where
/// the pod is, or where something seems to be wrong, which the pod's annotations may put right.
#[must_use]
pub fn wants_the_manifest(pod: &Pod, judged: &Judged) -> bool {
    let is_known = pod.clusters.said().is_some_and(|clusters| !clusters.is_empty())
        && !pod.addresses.all().is_empty();
    !is_known || judged.findings.iter().any(|finding| finding.severity > Severity::Info)
}

/// Who listens, before start.
const WILL: &str = "the application, as --listen says,";

fn declared(address: SocketAddr) -> Bound {
    Bound { address, v6only: None }
}

fn declared_on(pod: &Pod, port: u16) -> Vec<Bound> {
    let same = pod.declared.iter().filter(|address| address.port() == port);
    same.map(|address| declared(*address)).collect()
}

fn is_the_proxys(facts: &Facts<'_>, port: u16) -> bool {
    facts.pod.proxy.mesh != Mesh::None && facts.owners.is_reserved(port)
}

/// The case that somebody else listens on a part of what `wanted` takes, so that the kernel refuses
/// it. What this container holds may be handed over to the application.
fn held(facts: &Facts<'_>, wanted: Bound) -> Option<PortCase> {
    let sockets = facts.pod.sockets.all.iter();
    let holder = sockets
        .filter(|socket| !matches!(socket.holder, Holder::Here { .. }))
        .find(|socket| socket.bound.conflicts_with(wanted))?;
    let (kind, who) = match facts.owners.owner(holder) {
        Owner::Proxy => (Kind::HeldByProxy, format!("the proxy (user {})", holder.uid)),
        _ => (Kind::InUse, format!("another process of this pod (user {})", holder.uid)),
    };
    let mut held = case(Severity::Error, kind, who, &[holder.bound]);
    held.missed = vec![wanted.address.ip()];
    Some(held)
}

/// The ports to judge: those the application listens on, those that are declared, those that a
/// Service names.
fn ports(owned: &[(&Socket, Owner)], forwarding: &Forwarding, declared: &[SocketAddr]) -> Vec<u16> {
    let ours = owned
        .iter()
        .filter(|(_, owner)| owner.is_ours())
        .map(|(socket, _)| socket.bound.address.port());
    let named = forwarding.named.iter().flatten();
    let named = named.map(|inbound: &Inbound| inbound.receiver().unwrap_or(inbound.port));
    let all = sorted(ours.chain(named).chain(declared.iter().map(SocketAddr::port)));
    // What a proxy may own is never advised about, whoever seems to have it.
    all.into_iter().filter(|port| !is_of_a_profile(*port)).collect()
}

fn judge_port(
    facts: &Facts<'_>,
    forwarding: &Forwarding,
    owned: &[(&Socket, Owner)],
    port: u16,
    cases: &mut Cases,
) {
    let here = || owned.iter().filter(|(socket, _)| socket.bound.address.port() == port);
    let ours: Vec<&(&Socket, Owner)> = here().filter(|(_, owner)| owner.is_ours()).collect();
    let is_declared = facts.pod.declared.iter().any(|address| address.port() == port);
    let all: Vec<Bound> = here()
        .filter(|(_, owner)| *owner != Owner::Proxy)
        .map(|(socket, _)| socket.bound)
        .collect();
    let Some((first, whose)) = ours.first() else {
        if all.is_empty() {
            let held = declared_on(facts.pod, port).into_iter().find_map(|own| held(facts, own));
            cases.extend(Some(held.unwrap_or_else(|| nobody(forwarding, port, is_declared))), port);
        }
        return;
    };
    let named = forwarding.is_named(port);
    // Any container may have ports for itself that nobody outside of it asks for.
    let is_wanted = is_declared
        || named == Some(true)
        || named.is_none() && forwarding.source != Source::NoProxy;
    if *whose == Owner::Unsure && !is_wanted {
        return;
    }
    let severity = match named {
        _ if is_declared => Severity::Error,
        Some(true) => Severity::Error,
        // A port that no Service names may well be meant for this pod alone.
        Some(false) => Severity::Info,
        None => Severity::Warning,
    };
    // It may be another container's, which may have its reasons.
    let severity = if *whose == Owner::Unsure { severity.min(Severity::Warning) } else { severity };
    let bound: Vec<Bound> = ours.iter().map(|(socket, _)| socket.bound).collect();
    let ours = Ours { bound: &bound, who: who(first, *whose), severity };
    cases.extend(missed(port, &ours, &all, forwarding, &facts.pod.addresses), port);
    cases.extend(to_no_tcp(forwarding, port, &ours.who), port);
}

/// The case that nobody listens where somebody wants to connect. What goes to a Unix socket needs
/// no listener here.
fn nobody(forwarding: &Forwarding, port: u16, is_declared: bool) -> PortCase {
    let is_elsewhere = forwarding.elsewhere().any(|(elsewhere, _)| elsewhere == port);
    if is_elsewhere && !is_declared {
        let mut case = case(Severity::Info, Kind::UnixSocket, String::new(), &[]);
        case.socket = socket_of(forwarding, port);
        return case;
    }
    let severity = if is_declared { Severity::Error } else { Severity::Warning };
    case(severity, Kind::Nobody, String::new(), &[])
}

/// The case that `port` is where a TCP socket gets nothing, since its traffic goes to a Unix
/// socket.
fn to_no_tcp(forwarding: &Forwarding, port: u16, who: &str) -> Option<PortCase> {
    let socket = socket_of(forwarding, port);
    let by_the_kernel = forwarding.is_by_the_kernel(port);
    (!socket.is_empty() && !by_the_kernel).then(|| PortCase {
        socket,
        ..case(Severity::Warning, Kind::UnixSocket, who.to_owned(), &[])
    })
}

fn socket_of(forwarding: &Forwarding, port: u16) -> String {
    let socket = forwarding.elsewhere().find(|(elsewhere, _)| *elsewhere == port);
    socket.map(|(_, what)| what.to_owned()).unwrap_or_default()
}

/// What the application has on one port, and how bad it is where that is not enough.
struct Ours<'a> {
    bound: &'a [Bound],
    who: String,
    severity: Severity,
}

/// The case that `port` is where not all of its traffic arrives.
fn missed(
    port: u16,
    ours: &Ours<'_>,
    all: &[Bound],
    forwarding: &Forwarding,
    pod: &Addresses,
) -> Option<PortCase> {
    let reach = reach(port, all, forwarding, pod);
    let missed: Vec<IpAddr> = reach
        .reached
        .iter()
        .filter(|(_, reached)| !reached)
        .map(|(address, _)| address.ip())
        .collect();
    let ips = || ours.bound.iter().map(|bound| bound.address.ip().to_canonical());
    let known = pod.all();
    let kind = match reach.arrives() {
        Arrives::All => return None,
        Arrives::Partly => Kind::OneFamily,
        Arrives::None
            if ips().all(|ip| ip.is_loopback()) && !missed.iter().any(IpAddr::is_loopback) =>
        {
            Kind::Loopback
        }
        Arrives::None if ips().all(|ip| ip.is_unspecified() || ip.is_loopback()) => Kind::Family,
        Arrives::None if ips().all(|ip| known.contains(&ip)) => Kind::PodOnly,
        Arrives::None => Kind::Elsewhere,
    };
    let severity =
        if kind == Kind::OneFamily { ours.severity.min(Severity::Warning) } else { ours.severity };
    let by_the_kernel = forwarding.is_by_the_kernel(port);
    Some(PortCase { by_the_kernel, missed, ..case(severity, kind, ours.who.clone(), ours.bound) })
}

fn case(severity: Severity, kind: Kind, who: String, bound: &[Bound]) -> PortCase {
    let bound = bound.iter().map(|bound| bound.address.ip()).collect();
    let (missed, socket) = (Vec::new(), String::new());
    PortCase { severity, kind, by_the_kernel: false, who, bound, missed, socket }
}

fn who(socket: &Socket, owner: Owner) -> String {
    match (&socket.holder, owner) {
        (Holder::Here { command, pid }, _) => format!("the application ({command}, process {pid})"),
        _ => "the application (or another container's: its process could not be seen)".to_owned(),
    }
}

/// Ports by what they have in common.
#[derive(Default)]
struct Cases(SortedMap<PortCase, Vec<u16>>);

impl Cases {
    fn add(&mut self, case: PortCase, port: u16) {
        self.0.get_or_default(case).push(port);
    }

    fn extend(&mut self, case: Option<PortCase>, port: u16) {
        if let Some(case) = case {
            self.add(case, port);
        }
    }

    /// The worst first.
    fn into_findings(self, facts: &Facts<'_>) -> Vec<Finding> {
        // A case begins with its severity, so the last one is the worst.
        self.0.into_iter().rev().map(|(case, ports)| words(&case, &ports, facts)).collect()
    }
}

#[cfg(test)]
mod tests;
