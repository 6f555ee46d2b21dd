//! Where a socket listens, and which connections the kernel hands to it.
//!
//! Owns ip(7)'s and ipv6(7)'s rules of what an address takes; must never look at a socket itself.

use std::net::{IpAddr, SocketAddr};

/// Where a socket listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Address and port.
    pub address: SocketAddr,
    /// Whether an IPv6 wildcard leaves IPv4 out; `None` where that could not be seen.
    pub v6only: Option<bool>,
}

impl Bound {
    /// Does the kernel hand a connection to `destination` to this socket? Where `v6only` is not
    /// known, Linux's default holds, which is no.
    #[must_use]
    pub fn accepts(self, destination: SocketAddr) -> bool {
        self.address.port() == destination.port() && self.covers(destination.ip())
    }

    /// Can two sockets not listen on both (`EADDRINUSE`)? True where one of them takes what the
    /// other would. `SO_REUSEPORT`, which allows it to sockets of one user, is not known here.
    #[must_use]
    pub fn conflicts_with(self, other: Self) -> bool {
        self.address.port() == other.address.port()
            && (self.covers(other.address.ip()) || other.covers(self.address.ip()))
    }

    fn covers(self, ip: IpAddr) -> bool {
        let (ours, theirs) = (self.address.ip().to_canonical(), ip.to_canonical());
        match (ours, theirs) {
            (IpAddr::V6(ip), IpAddr::V4(_)) => ip.is_unspecified() && self.v6only != Some(true),
            (IpAddr::V4(_), IpAddr::V6(_)) => false,
            _ => ours.is_unspecified() || ours == theirs,
        }
    }
}

#[cfg(test)]
impl Bound {
    /// For tests: `[::]:80`, or `[::]:80 v6only` where IPv4 is left out.
    pub(crate) fn seen(text: &str) -> Self {
        let (address, v6only) =
            text.strip_suffix(" v6only").map_or((text, false), |address| (address, true));
        Self { address: address.parse().expect("an address"), v6only: Some(v6only) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_v6only_could_not_be_seen_linuxs_default_holds() {
        let unseen = Bound { address: "[::]:80".parse().unwrap(), v6only: None };
        assert!(unseen.accepts("10.0.0.5:80".parse().unwrap()));
    }

    #[test]
    fn two_sockets_conflict_where_one_takes_what_the_other_would() {
        let table = [
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "0.0.0.0:80", true),
            ("[::]:80", "127.0.0.1:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("[::]:80 v6only", "0.0.0.0:80", false),
            ("[::]:80 v6only", "[::1]:80", true),
            ("0.0.0.0:80", "[::1]:80", false),
            ("10.0.0.5:80", "127.0.0.1:80", false),
            ("0.0.0.0:80", "127.0.0.1:81", false),
        ];
        for (one, other, conflicts) in table {
            assert_eq!(
                Bound::seen(one).conflicts_with(Bound::seen(other)),
                conflicts,
                "{one} {other}"
            );
        }
    }
}
