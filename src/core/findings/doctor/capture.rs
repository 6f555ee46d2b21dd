//! Connections that go past the proxy, proved socket by socket.
//!
//! Owns the rule; must never look at the system. A connection that was redirected has a partner:
//! the proxy's socket, whose other end is the very address that the application's socket has.
//! Inbound, the application sees the proxy's own address (127.0.0.6), or there is a socket here
//! with the two addresses swapped (TPROXY).

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::core::envoy::annotations::{Annotations, Ports};
use crate::core::envoy::manifest::Interception;
use crate::core::findings::codes::Code;
use crate::core::findings::doctor::diagnosis::{Diagnosed, Diagnosis, NotSeen, Seen};
use crate::core::findings::doctor::names::{counted, listed};
use crate::core::findings::doctor::pages::{Pages, PodSockets, page};
use crate::core::findings::finding::{Finding, Severity};
use crate::core::mesh::Mesh;
use crate::core::profile::Redirect;
use crate::core::sockets::connection::{Connection, TcpState};
use crate::core::sorted::SortedMap;

/// How many connections one finding names.
const MOST_TOLD: usize = 5;

/// As many that go past, and none that does not: then the rules are not there.
const ALL_FROM: usize = 2;

/// A connection that went past the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Past {
    /// From this pod.
    Outbound(SocketAddr),
    /// To this port of this pod, from there.
    Inbound(u16, IpAddr),
}

/// What all connections came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Captured {
    /// By where they lead, with how many there are.
    past: SortedMap<Past, u64>,
    /// Outbound ones that went through.
    captured: u64,
}

/// Connections past the proxy.
///
/// # Errors
/// The sockets could not be read, or this mesh does not redirect.
pub fn judge(pages: &Pages) -> Diagnosed {
    let Redirect { outbound, own } = pages.mesh.profile().redirect.ok_or(pages.not_this_mesh())?;
    let sockets = page(&pages.sockets)?;
    let manifest = pages.manifest.as_ref().ok();
    let interception = manifest.map(|manifest| manifest.interception).unwrap_or_default();
    if interception == Interception::None {
        return Err(NotSeen::Hidden(
            "interception is NONE: the application talks to the proxy by itself",
        ));
    }
    if sockets.addresses.is_empty() {
        return Err(NotSeen::System("the pod's addresses are not known".to_owned()));
    }
    let seen = look(sockets, outbound, own);
    let none = Annotations::default();
    let annotations = manifest.map_or(&none, |manifest| &manifest.annotations);
    let (explained, plain): (Vec<_>, Vec<_>) =
        seen.past.iter().partition(|(past, _)| explained(annotations, **past));
    let mut found = Vec::new();
    if !plain.is_empty() {
        found.push(unexplained(pages, &plain, &seen));
    }
    if !explained.is_empty() {
        found.push(excluded(&explained));
    }
    let cut = sockets.is_cut.then_some(NotSeen::Cut("the pod's connections"));
    Ok(Seen::from(found).but(cut))
}

fn look(sockets: &PodSockets, outbound: &[u16], own: &[u16]) -> Captured {
    let all: Vec<&Connection> =
        sockets.connections.iter().filter(|one| one.state == TcpState::Established).collect();
    let is_own_address = |ip: IpAddr| ip.is_loopback() || sockets.addresses.contains(&ip);
    let partners: HashSet<SocketAddr> = all
        .iter()
        .filter(|one| is_proxys_end(one.local) && outbound.contains(&one.local.port()))
        .map(|one| one.remote)
        .collect();
    let pairs: HashSet<(SocketAddr, SocketAddr)> =
        all.iter().map(|one| (one.local, one.remote)).collect();
    let listening: HashSet<u16> = sockets.listening.iter().map(SocketAddr::port).collect();
    let mut seen = Captured::default();
    for one in &all {
        // A socket that no process holds is not accepted yet; the proxy's own are no question.
        let is_proxys = Some(one.uid) == sockets.proxy_uid || own.contains(&one.local.port());
        let is_ours = sockets.addresses.contains(&one.local.ip());
        if one.inode == 0 || is_proxys || !is_ours || is_own_address(one.remote.ip()) {
            continue;
        }
        let past = if listening.contains(&one.local.port()) {
            let is_captured =
                is_inbound_end(one.remote.ip()) || pairs.contains(&(one.remote, one.local));
            (!is_captured).then(|| Past::Inbound(one.local.port(), one.remote.ip()))
        } else {
            let is_captured = partners.contains(&one.local);
            seen.captured += u64::from(is_captured);
            (!is_captured).then_some(Past::Outbound(one.remote))
        };
        if let Some(past) = past {
            *seen.past.get_or_default(past) += 1;
        }
    }
    seen
}

fn is_proxys_end(local: SocketAddr) -> bool {
    local.ip().is_loopback()
}

/// Envoy connects to the application from here (istio: `pilot/pkg/networking/util`,
/// `InboundPassthroughBindIpv4`, `…Ipv6`).
fn is_inbound_end(ip: IpAddr) -> bool {
    ip == Ipv4Addr::new(127, 0, 0, 6) || ip == Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6)
}

/// Does an annotation say so?
fn explained(annotations: &Annotations, past: Past) -> bool {
    let excludes = |excluded: &Ports, included: &Ports, port| {
        excluded.has(port) || (*included != Ports::Unset && !included.has(port))
    };
    match past {
        Past::Outbound(to) => {
            annotations.has_ranges
                || excludes(
                    &annotations.excluded_outbound,
                    &annotations.included_outbound,
                    to.port(),
                )
        }
        Past::Inbound(port, _) => {
            annotations.has_interfaces
                || excludes(&annotations.excluded_inbound, &annotations.included_inbound, port)
        }
    }
}

fn unexplained(pages: &Pages, past: &[(&Past, &u64)], seen: &Captured) -> Diagnosis {
    let total = past.iter().map(|(_, count)| **count).fold(0, u64::saturating_add);
    let leads_out = |past: &Past| matches!(past, Past::Outbound(_));
    let outbound = past.iter().filter(|(past, _)| leads_out(past)).count();
    let is_all = seen.captured == 0 && outbound >= ALL_FROM;
    let is_v6 = |past: &Past| match past {
        Past::Outbound(to) => to.is_ipv6(),
        Past::Inbound(_, from) => from.is_ipv6(),
    };
    let remedy = if past.iter().all(|(past, _)| is_v6(past)) {
        "the rules take IPv4 only: turn dual stack on (ISTIO_DUAL_STACK and \
         values.cni or --dual-stack of istio-iptables), or native nftables"
    } else if is_all {
        "the redirection is not there: see the log of istio-init (or of istio-cni on the node), \
         then delete the pod"
    } else if pages.mesh == Mesh::Istio {
        "look for the mesh-wide values.global.proxy.excludeOutboundPorts, excludeIPRanges and the \
         like; a connection from before the rules stays past the proxy until it is opened anew"
    } else {
        "look for excluded ports in the pod's annotations; a connection from before the rules \
         stays past the proxy until it is opened anew"
    };
    let finding = Finding {
        code: Code::TrafficBypassesProxy,
        severity: if is_all { Severity::Error } else { Severity::Warning },
        seen: format!("{} past the proxy: {}", go(total), named(past)),
        why: "so there is no mTLS, no policy and no telemetry on them".to_owned(),
        remedy: remedy.to_owned(),
        source: "the kernel's table of connections: a redirected one has a partner socket of the \
                 proxy's",
    };
    Diagnosis::from(finding).number("connections", total).number("captured", seen.captured)
}

fn excluded(past: &[(&Past, &u64)]) -> Diagnosis {
    let total = past.iter().map(|(_, count)| **count).fold(0, u64::saturating_add);
    let finding = Finding {
        code: Code::TrafficBypassesProxy,
        severity: Severity::Info,
        seen: format!("{} past the proxy as the pod's annotations say: {}", go(total), named(past)),
        why: "so there is no mTLS, no policy and no telemetry on them".to_owned(),
        remedy: "narrow the annotation if that is not meant, and create the pod anew".to_owned(),
        source: "the kernel's table of connections, and the annotations in /server_info",
    };
    Diagnosis::from(finding)
        .on(None, "metadata.annotations[traffic.sidecar.istio.io/…]")
        .number("connections", total)
}

fn go(total: u64) -> String {
    let verb = if total == 1 { "goes" } else { "go" };
    format!("{} of this pod {verb}", counted(total, "connection"))
}

fn named(past: &[(&Past, &u64)]) -> String {
    let each = past.iter().take(MOST_TOLD).map(|(past, count)| {
        let times = if **count > 1 { format!(" ({count})") } else { String::new() };
        match past {
            Past::Outbound(to) => format!("to {to}{times}"),
            Past::Inbound(port, from) => format!("from {from} to port {port}{times}"),
        }
    });
    let named: Vec<String> = each.collect();
    match past.len().saturating_sub(MOST_TOLD) {
        0 => listed(named),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests;
