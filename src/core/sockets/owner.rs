//! Whose a listening socket is: the application's, the proxy's, or another container's.
//!
//! Owns the one rule that everybody asks; must never look at a socket or a process itself.

use crate::core::mesh::Mesh;
use crate::core::proxy::Proxy;
use crate::core::sockets::bound::Bound;
use crate::core::sockets::listener::Listener;

/// What is known about the process behind a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process of this container.
    Here {
        /// Its command's name.
        command: String,
        /// Its id, as this container sees it.
        pid: u32,
    },
    /// A process of another container, in a pod that shares its process ids.
    Elsewhere,
    /// None of the processes that could be looked into, and all could be.
    Nobody,
    /// None of those that could be looked into, but not all could be.
    Unseen,
}

/// A listening socket of the pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where it listens.
    pub bound: Bound,
    /// Who owns it, as our user namespace sees it.
    pub uid: u32,
    /// Which process has it.
    pub holder: Holder,
}

/// Whose a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The application's, certainly.
    Application,
    /// The application's or another container's: its process could not be seen.
    Unsure,
    /// Another container's, and not the proxy's.
    Neighbour,
    /// The proxy's; the application never answers for it.
    Proxy,
}

impl Owner {
    /// Is the application to answer for it?
    #[must_use]
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Application | Self::Unsure)
    }
}

/// Where the application can be reached, for who watches its connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// The ports of its listening sockets, sorted, each once.
    pub ports: Vec<u16>,
    /// Those of them that may be another container's: their process could not be seen.
    pub unsure: Vec<u16>,
}

/// Root owns the proxy's sockets under TPROXY (istio: `inject.go`, `GetProxyIDs`); its traffic is
/// then let through by its group, and the application may well be root.
const ROOT: u32 = 0;

/// What the kernel shows for a user that our user namespace does not map: nobody in particular.
const OVERFLOW: u32 = 65_534;

/// Ports of Istio's that are only open with some of its features (istio: application requirements).
const ISTIO_SOMETIMES: [u16; 3] = [15004, 15008, 15053];

/// Does this port belong to the proxy of some mesh, known here or not?
#[must_use]
pub fn is_of_a_profile(port: u16) -> bool {
    ISTIO_SOMETIMES.contains(&port)
        || Mesh::ALL.iter().any(|mesh| mesh.profile().owned_ports.contains(&port))
}

/// The first socket that listens where only this proxy does: on its mesh's ports, or where the user
/// says that it is.
#[must_use]
pub fn listener_of<'a>(proxy: &Proxy, listening: &'a [Listener]) -> Option<&'a Listener> {
    let named = proxy.quit().into_iter().chain(proxy.admin.clone());
    let named: Vec<u16> = named.filter_map(|url| url.address.port()).collect();
    let owned = proxy.mesh.profile().owned_ports;
    let is_its = |port: u16| owned.contains(&port) || named.contains(&port);
    listening.iter().find(|listener| is_its(listener.address.port()))
}

/// The rule of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    mesh: Mesh,
    uid: Option<u32>,
    /// The ports of the proxy's endpoints, as the profile or the user has them.
    endpoints: Vec<u16>,
    is_at_home: bool,
    /// Are processes of another container seen that listen? Then that is the one that this debug
    /// container was made for (`--target`), and what nobody seen has is a third one's.
    sees_another: bool,
}

impl Owners {
    /// The rule beside `proxy`, whose user is learnt from its `sockets`.
    #[must_use]
    pub fn of(proxy: &Proxy, sockets: &[Socket]) -> Self {
        let endpoints = proxy.ports();
        let mut owners =
            Self { mesh: proxy.mesh, uid: None, endpoints, is_at_home: false, sees_another: false };
        owners.uid = owners.learn_uid(sockets);
        let any = |is: fn(&Holder) -> bool, whose| {
            let held = sockets.iter().filter(|socket| is(&socket.holder));
            held.map(|socket| owners.owner(socket)).any(|owner| owner == whose)
        };
        let is_at_home = any(|holder| matches!(holder, Holder::Here { .. }), Owner::Application);
        let sees_another = any(|holder| *holder == Holder::Elsewhere, Owner::Unsure);
        Self { is_at_home, sees_another, ..owners }
    }

    /// The same where it is certain that the application runs in this container, although it may
    /// not listen yet: a supervisor has started it.
    #[must_use]
    pub fn in_its_container(self) -> Self {
        Self { is_at_home: true, ..self }
    }

    /// The user whose traffic this mesh's rules let pass: the owner of the proxy's sockets, where
    /// that tells anything, else the mesh's usual one.
    #[must_use]
    pub const fn proxy_uid(&self) -> Option<u32> {
        self.uid
    }

    /// Does a process of this container listen? Else it may be a debug container, beside the
    /// application's.
    #[must_use]
    pub const fn is_at_home(&self) -> bool {
        self.is_at_home
    }

    /// Is this port the proxy's? In a pod without a known mesh, that of any mesh may be.
    #[must_use]
    pub fn is_reserved(&self, port: u16) -> bool {
        let owned = |mesh: Mesh| mesh.profile().owned_ports.contains(&port);
        match self.mesh {
            Mesh::None => is_of_a_profile(port),
            Mesh::Istio if ISTIO_SOMETIMES.contains(&port) => true,
            mesh => owned(mesh),
        }
    }

    /// Whose `socket` is.
    #[must_use]
    pub fn owner(&self, socket: &Socket) -> Owner {
        let port = socket.bound.address.port();
        let by_user = self.uid == Some(socket.uid);
        let by_port = self.is_reserved(port);
        match socket.holder {
            // Beside the profile's, these are what the user has named.
            _ if !by_port && self.endpoints.contains(&port) => Owner::Proxy,
            // Where nothing separates the two (no containers at all), user and port together tell.
            Holder::Here { .. } if by_user && by_port => Owner::Proxy,
            Holder::Here { .. } => Owner::Application,
            _ if by_user || by_port => Owner::Proxy,
            Holder::Elsewhere | Holder::Nobody if self.is_at_home => Owner::Neighbour,
            Holder::Nobody if self.sees_another => Owner::Neighbour,
            Holder::Elsewhere | Holder::Nobody | Holder::Unseen => Owner::Unsure,
        }
    }

    /// Where the application can be reached, among these sockets. A port at which the proxy is
    /// asked is none, whoever seems to hold it: meshim's own connections end there.
    #[must_use]
    pub fn served(&self, sockets: &[Socket]) -> Served {
        let ports = |is_wanted: fn(Owner) -> bool| {
            let wanted = sockets.iter().filter(|socket| is_wanted(self.owner(socket)));
            let ports = wanted.map(|socket| socket.bound.address.port());
            let mut ports: Vec<u16> = ports.filter(|port| !self.endpoints.contains(port)).collect();
            ports.sort_unstable();
            ports.dedup();
            ports
        };
        Served { ports: ports(Owner::is_ours), unsure: ports(|owner| owner == Owner::Unsure) }
    }

    /// An application that sits on one of the proxy's ports is not it.
    fn learn_uid(&self, sockets: &[Socket]) -> Option<u32> {
        let usual = self.mesh.profile().uid?;
        let is_proxys = |socket: &&Socket| {
            self.mesh.profile().owned_ports.contains(&socket.bound.address.port())
                && !matches!(socket.holder, Holder::Here { .. })
        };
        let learned = sockets.iter().find(is_proxys).map(|socket| socket.uid);
        Some(learned.filter(|uid| !matches!(*uid, ROOT | OVERFLOW)).unwrap_or(usual))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(port: u16, uid: u32, holder: &Holder) -> Socket {
        let bound = Bound { address: ([0, 0, 0, 0], port).into(), v6only: None };
        Socket { bound, uid, holder: holder.clone() }
    }

    fn here() -> Holder {
        Holder::Here { command: "app".to_owned(), pid: 7 }
    }

    #[test]
    fn the_proxys_sockets_are_never_the_applications() {
        let here = here();
        let table = [
            (15006, 1337, &here, Owner::Proxy),
            (15006, 1000, &here, Owner::Application),
            (8080, 1337, &here, Owner::Application),
            (8080, 1000, &here, Owner::Application),
            (15090, 0, &Holder::Unseen, Owner::Proxy),
            (15053, 1000, &Holder::Nobody, Owner::Proxy),
            (34567, 1337, &Holder::Unseen, Owner::Proxy),
            (34567, 1337, &Holder::Elsewhere, Owner::Proxy),
            (8080, 1000, &Holder::Elsewhere, Owner::Neighbour),
            (8080, 1000, &Holder::Nobody, Owner::Neighbour),
            (8080, 1000, &Holder::Unseen, Owner::Unsure),
        ];
        let owners = Owners::of(&Proxy::of(Mesh::Istio), &[socket(8080, 1000, &here)]);
        for (port, uid, holder, expected) in table {
            let found = owners.owner(&socket(port, uid, holder));
            assert_eq!(found, expected, "{port} {uid} {holder:?}");
        }
    }

    #[test]
    fn where_nobody_here_listens_another_containers_socket_may_be_the_applications() {
        let holders = [Holder::Elsewhere, Holder::Nobody];
        let sockets = [socket(15006, 1337, &Holder::Nobody), socket(15021, 1337, &here())];
        let owners = Owners::of(&Proxy::of(Mesh::Istio), &sockets);
        for holder in &holders {
            assert_eq!(owners.owner(&socket(8080, 1000, holder)), Owner::Unsure);
            assert_eq!(owners.owner(&socket(15001, 1337, holder)), Owner::Proxy);
        }
        let owners = owners.in_its_container();
        for holder in &holders {
            assert_eq!(owners.owner(&socket(8080, 1000, holder)), Owner::Neighbour);
        }
    }

    #[test]
    fn from_a_debug_container_the_processes_that_are_seen_are_those_it_was_made_for() {
        let (app, other) = (socket(8080, 1000, &Holder::Elsewhere), socket(9, 1, &Holder::Nobody));
        let proxys = socket(15006, 1337, &Holder::Elsewhere);
        let owners = |sockets: &[Socket]| Owners::of(&Proxy::of(Mesh::Istio), sockets);
        assert_eq!(owners(&[app.clone(), proxys.clone()]).owner(&other), Owner::Neighbour);
        assert_eq!(owners(&[app.clone(), proxys.clone()]).owner(&app), Owner::Unsure);
        // The proxy alone says nothing.
        assert_eq!(owners(&[proxys]).owner(&other), Owner::Unsure);
    }

    #[test]
    fn the_proxys_user_is_learnt_from_its_sockets_where_they_tell_more_than_the_profile() {
        let learned = |mesh, uid| {
            Owners::of(&Proxy::of(mesh), &[socket(15006, uid, &Holder::Nobody)]).proxy_uid()
        };
        assert_eq!(learned(Mesh::Istio, 1_000_729_999), Some(1_000_729_999));
        for nobody in [0, 65_534] {
            assert_eq!(learned(Mesh::Istio, nobody), Some(1337), "{nobody}");
        }
        assert_eq!(Owners::of(&Proxy::of(Mesh::Istio), &[]).proxy_uid(), Some(1337));
        assert_eq!(learned(Mesh::None, 7), None);
        let squatter = [socket(15006, 7, &here())];
        assert_eq!(Owners::of(&Proxy::of(Mesh::Istio), &squatter).proxy_uid(), Some(1337));
    }

    #[test]
    fn without_a_known_mesh_a_port_of_any_profile_may_be_a_proxys() {
        let owners = Owners::of(&Proxy::of(Mesh::None), &[]).in_its_container();
        for port in [15000, 4143, 9901, 19000] {
            assert!(owners.is_reserved(port), "{port}");
            assert_eq!(owners.owner(&socket(port, 7, &Holder::Nobody)), Owner::Proxy, "{port}");
        }
        assert!(!owners.is_reserved(8080));
    }

    #[test]
    fn ports_that_the_user_named_are_the_proxys() {
        let given = crate::core::proxy::Given {
            mesh: Some(Mesh::Istio),
            admin: "http://127.0.0.1:7000".parse().ok(),
            ready: None,
        };
        let owners = Owners::of(&Proxy::given(&given).unwrap(), &[]);
        for holder in [Holder::Nobody, Holder::Unseen, here()] {
            assert_eq!(owners.owner(&socket(7000, 1000, &holder)), Owner::Proxy, "{holder:?}");
        }
        // On a port of the profile it may be the application's all the same.
        assert_eq!(owners.owner(&socket(15021, 1000, &here())), Owner::Application);
    }

    #[test]
    fn the_ports_that_the_application_serves_are_those_of_its_own_sockets() {
        let here = here();
        let sockets = [
            socket(8080, 1000, &here),
            socket(8080, 1000, &here),
            socket(80, 1000, &here),
            socket(9000, 1000, &Holder::Elsewhere),
            socket(9100, 1001, &Holder::Unseen),
            socket(15006, 1337, &Holder::Unseen),
            socket(15000, 0, &here),
        ];
        let served = Owners::of(&Proxy::of(Mesh::Istio), &sockets).served(&sockets);
        assert_eq!(served, Served { ports: vec![80, 8080, 9100], unsure: vec![9100] });
    }
}
