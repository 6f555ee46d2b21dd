//! Does traffic through the mesh arrive where the application listens? Sockets, pod addresses and
//! forwarding in, verdicts out.
//!
//! Owns whether a destination is reached; the words are in `messages`. Must never look at a socket
//! itself.

use std::net::SocketAddr;

use crate::core::findings::listen::forwarding::{Destination, Forwarding, destinations};
use crate::core::findings::pod::Addresses;
use crate::core::sockets::bound::Bound;

/// What becomes of the traffic for one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Where it is sent, and whether a socket takes it there; one for each family that clients may
    /// use. Empty where the target is no TCP socket.
    pub reached: Vec<(SocketAddr, bool)>,
}

impl Reach {
    /// Whether all of it, a part of it or none of it arrives; all where there is nothing to judge.
    #[must_use]
    pub fn arrives(&self) -> Arrives {
        match self.reached.iter().filter(|(_, reached)| *reached).count() {
            count if count == self.reached.len() => Arrives::All,
            0 => Arrives::None,
            _ => Arrives::Partly,
        }
    }
}

/// How much of a port's traffic arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrives {
    /// Whichever of the pod's addresses the client uses.
    All,
    /// Only for one family of the pod's addresses.
    Partly,
    /// Nothing.
    None,
}

/// Judges the traffic that ends at `port`, where `bound` are all the sockets of the pod that could
/// take it.
#[must_use]
pub fn reach(port: u16, bound: &[Bound], forwarding: &Forwarding, pod: &Addresses) -> Reach {
    let mut to: Vec<Destination> = Vec::new();
    for destination in
        forwarding.targets(port).iter().flat_map(|target| destinations(target, port, pod))
    {
        if !to.contains(&destination) {
            to.push(destination);
        }
    }
    let is_taken = |address: &SocketAddr| bound.iter().any(|bound| bound.accepts(*address));
    let reached = to.iter().filter_map(|addresses| {
        let taken = addresses.iter().find(|address| is_taken(address));
        Some((*taken.or(addresses.first())?, taken.is_some()))
    });
    Reach { reached: reached.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::envoy::inbound_clusters::Target;
    use crate::core::findings::listen::capture::Capture;
    use crate::core::findings::listen::forwarding::Source;

    fn to(otherwise: Target) -> Forwarding {
        let capture = Capture::default();
        Forwarding { named: None, otherwise, source: Source::Default, capture }
    }

    fn addresses(own: &[&str]) -> Addresses {
        let own = own.iter().map(|ip| ip.parse().unwrap()).collect();
        Addresses { own, ..Addresses::default() }
    }

    fn arrives(address: &str, target: Target, pod: &[&str]) -> Arrives {
        let pod = addresses(pod);
        reach(80, &[Bound::seen(address)], &to(target), &pod).arrives()
    }

    const V4: &[&str] = &["10.0.0.5"];
    const V6: &[&str] = &["fd00::5"];
    const BOTH: &[&str] = &["10.0.0.5", "fd00::5"];

    #[test]
    fn every_listen_address_has_the_measured_verdict_for_both_ways_of_forwarding() {
        use Arrives::{All, None, Partly};
        // Address; to loopback and to the pod: in an IPv4 pod, an IPv6 pod, a dual-stack pod.
        let table = [
            ("0.0.0.0:80", [All, None, All], [All, None, Partly]),
            ("[::]:80", [All, All, All], [All, All, All]),
            ("[::]:80 v6only", [None, All, None], [None, All, Partly]),
            ("127.0.0.1:80", [All, None, All], [None, None, None]),
            ("[::1]:80", [None, All, None], [None, None, None]),
            ("10.0.0.5:80", [None, None, None], [All, None, Partly]),
            ("[fd00::5]:80", [None, None, None], [None, All, Partly]),
            ("[::ffff:10.0.0.5]:80", [None, None, None], [All, None, Partly]),
            ("127.0.0.2:80", [None, None, None], [None, None, None]),
            ("10.0.0.6:80", [None, None, None], [None, None, None]),
            ("0.0.0.0:81", [None, None, None], [None, None, None]),
        ];
        for (address, loopback, pod) in table {
            for (index, addresses) in [V4, V6, BOTH].into_iter().enumerate() {
                assert_eq!(
                    arrives(address, Target::Loopback, addresses),
                    loopback[index],
                    "{address} {addresses:?}"
                );
                assert_eq!(
                    arrives(address, Target::Pod, addresses),
                    pod[index],
                    "{address} {addresses:?}"
                );
            }
        }
    }

    #[test]
    fn a_fixed_target_needs_its_own_address_and_port() {
        let fixed = |text: &str| Target::Fixed(text.parse().unwrap());
        assert_eq!(arrives("127.0.0.1:80", fixed("127.0.0.1:80"), BOTH), Arrives::All);
        assert_eq!(arrives("0.0.0.0:80", fixed("127.0.0.1:80"), V4), Arrives::All);
        assert_eq!(arrives("[::]:80", fixed("127.0.0.1:80"), V4), Arrives::All);
        assert_eq!(arrives("10.0.0.5:80", fixed("127.0.0.1:80"), V4), Arrives::None);
        assert_eq!(arrives("127.0.0.1:80", fixed("[::1]:80"), V4), Arrives::None);
        assert_eq!(arrives("127.0.0.1:80", Target::Other("unix:/a".to_owned()), V4), Arrives::All);
    }

    #[test]
    fn two_sockets_of_one_port_may_share_its_traffic() {
        let pod = addresses(BOTH);
        let pair = [Bound::seen("0.0.0.0:80"), Bound::seen("[::]:80 v6only")];
        assert_eq!(reach(80, &pair, &to(Target::Pod), &pod).arrives(), Arrives::All);
    }

    #[test]
    fn of_several_interfaces_one_is_enough_where_nobody_tells_which_is_the_pods() {
        let two = |own: &[&str]| Addresses {
            own: own.iter().map(|ip| ip.parse().unwrap()).collect(),
            of_interfaces: ["172.16.0.9", "10.0.0.5"].map(|ip| ip.parse().unwrap()).to_vec(),
            unread: None,
        };
        let verdict = |own: &[&str], address| {
            reach(80, &[Bound::seen(address)], &to(Target::Pod), &two(own)).arrives()
        };
        for address in ["172.16.0.9:80", "10.0.0.5:80"] {
            assert_eq!(verdict(&[], address), Arrives::All, "{address}");
        }
        assert_eq!(verdict(&[], "127.0.0.1:80"), Arrives::None);
        assert_eq!(verdict(&["10.0.0.5"], "10.0.0.5:80"), Arrives::All);
        assert_eq!(verdict(&["10.0.0.5"], "172.16.0.9:80"), Arrives::None);
    }
}
