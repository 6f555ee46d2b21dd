//! The pod's own addresses, from its network interfaces.
//!
//! Owns what counts; must never give out loopback or link-local ones, since no client of the pod
//! uses those.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

/// The addresses of this network namespace that clients may use, IPv4 first.
///
/// # Errors
/// The system's: the kernel refuses the netlink socket behind the call.
pub fn of_interfaces() -> std::io::Result<Vec<IpAddr>> {
    // Istio puts ::6, from which Envoy connects to the application, on `lo` (istio:
    // `capture/run.go`).
    let outward =
        getifaddrs()?.filter(|interface| !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK));
    let storages = outward.filter_map(|interface| interface.address);
    let ips = storages.filter_map(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    let (mut v4, v6): (Vec<IpAddr>, Vec<IpAddr>) =
        ips.filter(is_for_clients).partition(IpAddr::is_ipv4);
    v4.extend(v6);
    Ok(v4)
}

fn is_for_clients(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !ip.is_loopback() && !ip.is_unspecified() && !link_local
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_loopback_nor_link_local_is_a_pod_address() {
        for (text, expected) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("fe80::1", false),
            ("169.254.1.1", false),
            ("10.0.0.5", true),
            ("fd00::5", true),
        ] {
            assert_eq!(is_for_clients(&text.parse().unwrap()), expected, "{text}");
        }
        assert!(of_interfaces().unwrap().iter().all(is_for_clients));
    }
}
