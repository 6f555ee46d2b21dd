//! What one look at the pod came to: the only thing that judges judge by.
//!
//! Owns the types; must never look at anything, or judge.

use std::net::{IpAddr, SocketAddr};

use crate::core::endpoint::Endpoint;
use crate::core::envoy::inbound_clusters::InboundClusters;
use crate::core::envoy::manifest::Manifest;
use crate::core::envoy::unread::Unread;
use crate::core::profile::Ready;
use crate::core::proxy::Proxy;
use crate::core::sockets::owner::{Owner, Owners, Socket};
use crate::core::waiting::observation::Observation;

/// A page of the admin API, as far as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Requested<T> {
    /// Nobody asked, or there is nobody to ask.
    #[default]
    Not,
    /// What it says.
    Said(T),
    /// It says nothing.
    Unread(Endpoint, Unread),
}

impl<T> Requested<T> {
    /// What it says, if it does.
    pub const fn said(&self) -> Option<&T> {
        if let Self::Said(said) = self { Some(said) } else { None }
    }

    /// Why it says nothing: `http://localhost:15000/server_info: no answer in time`.
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Unread(url, unread) => Some(format!("{url}: {unread}")),
            Self::Not | Self::Said(_) => None,
        }
    }
}

/// Effective user and primary group of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Who says that this pod has a proxy, before anybody has looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nobody: what listens tells.
    ByNobody,
    /// The user has named it, or has said that there is none.
    ByUser,
    /// The injector has written an annotation (`MESHIM_INJECTED`).
    ByInjector,
}

/// What the endpoints say that a wait would look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadinessFacts {
    /// The admin API's `/ready`, where that is not a readiness endpoint itself.
    pub cheap: Option<(Ready<Endpoint>, Observation)>,
    /// The readiness endpoints, whose word counts.
    pub endpoints: Vec<(Ready<Endpoint>, Observation)>,
    /// What Envoy waits for, where it could be asked.
    pub unready: Vec<String>,
}

/// The pod's listening sockets, of every container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListeningSockets {
    /// All of them.
    pub all: Vec<Socket>,
    /// Why they are not known at all.
    pub unread: Option<String>,
    /// Why it is not known which process has which.
    pub unread_holders: Option<String>,
    /// How many processes could not be looked into.
    pub unseen_processes: usize,
}

/// The pod's addresses that its clients may use; without loopback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// As Kubernetes has told the proxy: the first of each family is the one that clients use.
    pub own: Vec<IpAddr>,
    /// As the interfaces have them, where one is the pod's and others may be a second network's.
    pub of_interfaces: Vec<IpAddr>,
    /// Why the interfaces do not tell.
    pub unread: Option<String>,
}

impl Addresses {
    /// All, each once, the pod's own first.
    #[must_use]
    pub fn all(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = Vec::new();
        for ip in self.own.iter().chain(&self.of_interfaces) {
            if !all.contains(ip) {
                all.push(*ip);
            }
        }
        all
    }

    /// Those of one family that clients may use: the pod's own where that is known, else any of the
    /// interfaces', since nobody tells which is the pod's.
    #[must_use]
    pub fn of_family(&self, is_of: fn(&IpAddr) -> bool) -> Vec<IpAddr> {
        if let Some(own) = self.own.iter().find(|ip| is_of(ip)) {
            return vec![*own];
        }
        if self.own.is_empty() {
            return self.of_interfaces.iter().copied().filter(is_of).collect();
        }
        Vec::new()
    }
}

/// The pod as it was seen.
#[derive(Clone, Debug)]
pub struct Pod {
    /// The proxy that was named, or whose ports are open; of no mesh where there is none.
    pub proxy: Proxy,
    /// Who says that there is one.
    pub expected: Expected,
    /// Does the node's ztunnel carry this pod's traffic?
    pub is_ambient: bool,
    /// Is it certain that this is the application's container, and not one beside it?
    pub in_its_container: bool,
    /// Who this process is.
    pub identity: Option<Identity>,
    /// What the endpoints of a wait say.
    pub readiness: ReadinessFacts,
    /// Who listens.
    pub sockets: ListeningSockets,
    /// Where clients find the pod.
    pub addresses: Addresses,
    /// How the proxy forwards inbound traffic.
    pub clusters: Requested<InboundClusters>,
    /// What the proxy knows of itself and its pod.
    pub manifest: Requested<Manifest>,
    /// Where the application is meant to listen (`--listen`).
    pub declared: Vec<SocketAddr>,
}

impl Pod {
    /// One of which nothing but the proxy is known.
    #[must_use]
    pub fn of(proxy: Proxy) -> Self {
        Self {
            proxy,
            expected: Expected::ByNobody,
            is_ambient: false,
            in_its_container: false,
            identity: None,
            readiness: ReadinessFacts::default(),
            sockets: ListeningSockets::default(),
            addresses: Addresses::default(),
            clusters: Requested::Not,
            manifest: Requested::Not,
            declared: Vec::new(),
        }
    }

    /// Whose a socket of this pod is.
    #[must_use]
    pub fn owners(&self) -> Owners {
        let owners = Owners::of(&self.proxy, &self.sockets.all);
        if self.in_its_container { owners.in_its_container() } else { owners }
    }

    /// The sockets that the application has to answer for, and whose they are.
    #[must_use]
    pub fn application(&self) -> Vec<(&Socket, Owner)> {
        let owners = self.owners();
        let owned = self.sockets.all.iter().map(|socket| (socket, owners.owner(socket)));
        owned.filter(|(_, owner)| owner.is_ours()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_address_is_the_pods_is_the_proxys_word_before_the_interfaces() {
        let ips =
            |texts: &[&str]| texts.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        let mut addresses = Addresses {
            of_interfaces: ips(&["172.16.0.9", "10.0.0.5", "fd00::5"]),
            ..Addresses::default()
        };
        assert_eq!(addresses.of_family(IpAddr::is_ipv4), ips(&["172.16.0.9", "10.0.0.5"]));
        addresses.own = ips(&["10.0.0.5"]);
        assert_eq!(addresses.of_family(IpAddr::is_ipv4), ips(&["10.0.0.5"]));
        assert!(addresses.of_family(IpAddr::is_ipv6).is_empty());
        assert_eq!(addresses.all(), ips(&["10.0.0.5", "172.16.0.9", "fd00::5"]));
    }
}
