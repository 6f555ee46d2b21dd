//! The words about listen addresses: what was seen, why it matters, what to do.
//!
//! Owns the codes and the sentences; must never judge.

use std::net::IpAddr;

use crate::core::envoy::inbound_clusters::Target;
use crate::core::findings::codes::Code;
use crate::core::findings::finding::Finding;
use crate::core::findings::listen::cases::{Facts, Kind, PortCase};
use crate::core::findings::listen::forwarding::{Forwarding, Source};
use crate::core::findings::pod::Addresses;

/// The finding that a case is, on these ports.
#[expect(clippy::too_many_lines, reason = "one table of sentences, one row a cause")]
pub(super) fn words(case: &PortCase, ports: &[u16], facts: &Facts<'_>) -> Finding {
    let (mesh, ports) = (facts.pod.proxy.mesh, spoken_ports(ports));
    let (who, bound) = (&case.who, list(&case.bound));
    let missed = list(&case.missed);
    let sender =
        if case.by_the_kernel { "the kernel delivers" } else { "the proxy hands inbound traffic" };
    let lost = format!(
        "{sender} to {missed}, where nobody accepts it: clients get 503 or a refused connection"
    );
    let (code, seen, why, remedy) = match case.kind {
        Kind::Reserved => (
            Code::PortIsTheProxys,
            format!("{who} listens on {ports}, the {mesh} proxy's own"),
            "so one of the two cannot listen, and traffic to it is not the application's"
                .to_owned(),
            "let the application listen on another port".to_owned(),
        ),
        Kind::Loopback => (
            Code::ListensOnLoopbackOnly,
            format!("{who} listens on {bound} only, {ports}"),
            lost,
            wildcard(&facts.pod.addresses),
        ),
        Kind::PodOnly => (
            Code::ListensOnPodAddressOnly,
            format!("{who} listens on {bound} only, {ports}"),
            lost,
            format!("{} (or on {missed})", wildcard(&facts.pod.addresses)),
        ),
        Kind::Family => (
            Code::ListensOnTheWrongFamily,
            format!("{who} listens on {bound} only, {ports}"),
            lost,
            wildcard(&facts.pod.addresses),
        ),
        Kind::Elsewhere => (
            Code::ListensElsewhere,
            format!("{who} listens on {bound} only, {ports}"),
            lost,
            wildcard(&facts.pod.addresses),
        ),
        Kind::OneFamily => (
            Code::ListensOnOneFamilyOnly,
            format!("{who} listens on {bound} only, {ports}"),
            format!(
                "clients that use the pod's other address are sent to {missed}, where nobody \
                     accepts them"
            ),
            "let the application listen on [::], which takes both families, unless the Service \
             has one only"
                .to_owned(),
        ),
        Kind::Nobody => (
            Code::NobodyListens,
            format!("nobody in this pod listens on {ports}"),
            format!("{}, and its clients get 503 or a refused connection", wanted(facts, &ports)),
            "wait for the application, or correct the port in its settings or in the Service"
                .to_owned(),
        ),
        Kind::ProxysUser => (
            Code::SocketUserIsTheProxys,
            format!("{who} listens on {ports} as the {mesh} proxy's own user"),
            "so what it sends as that user bypasses the mesh: no mTLS, no policy, no telemetry"
                .to_owned(),
            "let the application change to another user".to_owned(),
        ),
        Kind::HeldByProxy | Kind::InUse => held(case, &ports),
        Kind::UnixSocket => unix_socket(case, &ports),
    };
    Finding {
        code,
        severity: case.severity,
        seen,
        why,
        remedy,
        source: source(case, facts.forwarding.as_ref()),
    }
}

/// The parts of a finding that differ: code, seen, why, remedy.
type Parts = (Code, String, String, String);

fn held(case: &PortCase, ports: &str) -> Parts {
    let (who, at, wanted) = (&case.who, list(&case.bound), list(&case.missed));
    let seen = format!("{who} listens on {at}, {ports}");
    let why = format!(
        "so the application cannot listen on {wanted} there: the kernel refuses it (EADDRINUSE)"
    );
    if case.kind == Kind::InUse {
        let remedy = "let one of the two listen on another port".to_owned();
        return (Code::PortInUse, seen, why, remedy);
    }
    let remedy = "let the application listen on the pod's own address, or on a port that no \
                  Service in the mesh has, or set the annotation \
                  sidecar.istio.io/interceptionMode to REDIRECT";
    (Code::PortHeldByProxy, seen, why, remedy.to_owned())
}

fn unix_socket(case: &PortCase, ports: &str) -> Parts {
    let (who, socket) = (&case.who, case.socket.trim_start_matches("unix:"));
    let code = Code::PortGoesToUnixSocket;
    let seen = format!("inbound traffic for {ports} goes to the Unix socket {socket}");
    if who.is_empty() {
        let why = "and whether somebody accepts it there is not to be seen from here".to_owned();
        return (code, seen, why, "nothing, if the application listens there".to_owned());
    }
    let why = format!("so nothing arrives where {who} listens on TCP");
    let remedy = "let the application listen on that socket, or correct defaultEndpoint in the \
                  Sidecar resource's ingress";
    (code, seen, why, remedy.to_owned())
}

fn wanted(facts: &Facts<'_>, ports: &str) -> &'static str {
    let single = !ports.contains([',', '-']);
    let named = facts.forwarding.as_ref().is_some_and(|forwarding| forwarding.named.is_some());
    match (facts.pod.declared.is_empty(), named) {
        (false, _) => "--listen says that the application does",
        (true, true) if single => "a Service sends traffic there",
        _ => "Services send traffic there",
    }
}

/// Where the fact behind a finding comes from.
fn source(case: &PortCase, forwarding: Option<&Forwarding>) -> &'static str {
    match (case.kind, forwarding) {
        (Kind::HeldByProxy | Kind::InUse, _) => "the kernel's table of listening sockets; bind(2)",
        // What the proxy forwards to has no part in it.
        (Kind::Nobody, forwarding)
            if forwarding.is_none_or(|forwarding| forwarding.named.is_none()) =>
        {
            "the kernel's table of listening sockets"
        }
        (Kind::Reserved, _) => "istio: application requirements; the profiles of the other meshes",
        (Kind::ProxysUser, _) => "xt_owner compares the ids of the socket's creator",
        _ if case.by_the_kernel => {
            "ip(7): a socket takes what its address matches; the proxy does not get this traffic"
        }
        (_, Some(Forwarding { source: Source::Clusters, .. })) => {
            "read from this proxy's inbound clusters"
        }
        (_, Some(Forwarding { source: Source::Version(_), otherwise: Target::Loopback, .. })) => {
            "Istio before 1.10 forwards a Service's ports to 127.0.0.1 (by its version; the \
             clusters were not readable)"
        }
        (_, Some(Forwarding { source: Source::Version(_), .. })) => {
            "Istio 1.10 and later forward to the pod's address (by its version; the clusters were \
             not readable)"
        }
        (_, Some(Forwarding { source: Source::Profile, .. })) => {
            "linkerd2-proxy forwards to the address that the client used"
        }
        _ => "Istio 1.10 and later forward to the pod's address (assumed: the proxy told nothing)",
    }
}

fn wildcard(pod: &Addresses) -> String {
    let address = if pod.all().iter().any(IpAddr::is_ipv6) { "[::]" } else { "0.0.0.0" };
    format!("let the application listen on {address}")
}

fn list(ips: &[IpAddr]) -> String {
    let mut texts: Vec<String> = ips.iter().map(ToString::to_string).collect();
    texts.dedup();
    texts.join(" and ")
}

/// In order, each once. They are few: the library's sorting would be fifty times the code.
pub(super) fn sorted(ports: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut sorted = Vec::new();
    for port in ports {
        if let Err(at) = sorted.binary_search(&port) {
            sorted.insert(at, port);
        }
    }
    sorted
}

/// More than this nobody reads.
const MOST_RANGES: usize = 12;

/// `port 8080`, `ports 8080, 9000-9047`; the first twelve ranges of very many.
#[must_use]
pub fn spoken_ports(ports: &[u16]) -> String {
    let ports = sorted(ports.iter().copied());
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for port in &ports {
        match ranges.last_mut() {
            Some((_, last)) if u32::from(*last) + 1 == u32::from(*port) => *last = *port,
            _ => ranges.push((*port, *port)),
        }
    }
    let each = ranges.iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    let mut each: Vec<String> = each.collect();
    if each.len() > MOST_RANGES {
        let more = format!("and {} more", each.len() - MOST_RANGES);
        each.truncate(MOST_RANGES);
        each.push(more);
    }
    format!("{} {}", if ports.len() == 1 { "port" } else { "ports" }, each.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ports_are_told_as_a_range() {
        assert_eq!(spoken_ports(&[80]), "port 80");
        assert_eq!(spoken_ports(&[82, 80, 81, 9000, 80]), "ports 80-82, 9000");
        assert_eq!(spoken_ports(&[65_535, 65_534]), "ports 65534-65535");
        let odd: Vec<u16> = (0..5_000).map(|number| number * 2 + 1).collect();
        assert!(spoken_ports(&odd).ends_with("21, 23, and 4988 more"));
    }
}
