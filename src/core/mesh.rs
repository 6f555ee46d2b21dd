//! Every mesh meshim knows, as data in one place, and which of them a set of listening ports shows.
//!
//! Owns the profiles; must never look at a socket itself. Sources of the numbers stand beside each
//! profile.

use std::fmt;

use crate::core::endpoint::Endpoint;

/// One row a mesh, in the order of detection: a sign of a later one may be part of an earlier
/// one's. Each has a profile below.
macro_rules! meshes {
    ($($(#[$doc:meta])* $mesh:ident $profile:ident,)+) => {
        /// Which proxy to expect beside the application.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mesh {
            $($(#[$doc])* $mesh,)+
        }

        impl Mesh {
            /// Every mesh, in the order of detection.
            pub const ALL: &[Mesh] = &[$(Mesh::$mesh,)+];

            /// What is known about this mesh.
            #[must_use]
            pub const fn profile(self) -> &'static Profile {
                match self {
                    $(Mesh::$mesh => &$profile,)+
                }
            }
        }
    };
}

meshes! {
    /// An Istio sidecar: pilot-agent and Envoy.
    Istio ISTIO,
    /// Linkerd 2's own proxy.
    Linkerd LINKERD,
    /// consul-dataplane and Envoy.
    Consul CONSUL,
    /// AWS App Mesh's Envoy.
    AppMesh APPMESH,
    /// Open Service Mesh's Envoy.
    Osm OSM,
    /// kuma-dp and Envoy, also Kong Mesh.
    Kuma KUMA,
    /// A plain Envoy with its admin API on 9901.
    Envoy ENVOY,
    /// No proxy: nothing to wait for.
    None NONE,
}

/// What makes an answer mean "ready".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Status 200, whatever the body: Istio's 15021, Linkerd's 4191, Kuma's 9902, a user's own URL.
    Ok,
    /// Envoy's `/ready`: 200 with the body `LIVE` (envoy: `server_info_handler.cc`,
    /// `handlerReady`).
    EnvoyReady,
    /// Envoy's `/server_info`: 200 and `state` is `LIVE`. Costs the proxy 13 times what `/ready`
    /// does.
    ServerInfo,
}

/// A readiness endpoint and what it says when the proxy is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready<T> {
    /// Where.
    pub url: T,
    /// What "ready" looks like there.
    pub expect: Expect,
}

/// What is known about one mesh's proxy, seen from inside the pod.
#[derive(Debug)]
pub struct Profile {
    /// The name that `--mesh` takes.
    pub name: &'static str,
    /// Envoy's admin API, where the application's container can reach one.
    pub admin: Option<&'static str>,
    /// The authorities on readiness, in the order to try; the first that speaks is the one.
    pub ready: &'static [Ready<&'static str>],
    /// What to POST to end the proxy, in the order to try; one that agrees is enough.
    pub quit: &'static [&'static str],
    /// The user id that the mesh's traffic rules let pass.
    pub uid: Option<u32>,
    /// The group id that they let pass.
    pub gid: Option<u32>,
    /// Ports that only the proxy listens on: their sockets' owner is the proxy's user.
    pub owned_ports: &'static [u16],
    /// Sets of listening ports, any of which shows this mesh.
    signs: &'static [&'static [u16]],
}

const fn ok(url: &'static str) -> Ready<&'static str> {
    Ready { url, expect: Expect::Ok }
}

const fn live(url: &'static str) -> Ready<&'static str> {
    Ready { url, expect: Expect::EnvoyReady }
}

/// istio: `envoy_bootstrap.json`, `pilot/cmd/pilot-agent/status/server.go`, injection template. The
/// agent's `/quitquitquit` ends agent and Envoy; where it is missing, an agent whose Envoy has
/// ended ends, too.
const ISTIO: Profile = Profile {
    name: "istio",
    admin: Some("http://localhost:15000"),
    ready: &[ok("http://localhost:15021/healthz/ready")],
    quit: &["http://localhost:15020/quitquitquit", "http://localhost:15000/quitquitquit"],
    uid: Some(1337),
    gid: Some(1337),
    owned_ports: &[15000, 15001, 15006, 15020, 15021, 15090],
    signs: &[&[15020], &[15000, 15021]],
};

/// linkerd2-proxy: admin server on 4191, inbound 4143; its group is not set.
const LINKERD: Profile = Profile {
    name: "linkerd",
    admin: None,
    ready: &[ok("http://localhost:4191/ready")],
    quit: &["http://localhost:4191/shutdown"],
    uid: Some(2102),
    gid: None,
    owned_ports: &[4140, 4143, 4190, 4191],
    signs: &[&[4143, 4191]],
};

/// consul-k8s: the first service's admin port is 19000, its public listener 20000.
const CONSUL: Profile = Profile {
    name: "consul",
    admin: Some("http://localhost:19000"),
    ready: &[live("http://localhost:19000/ready")],
    quit: &["http://localhost:20600/graceful_shutdown", "http://localhost:19000/quitquitquit"],
    uid: Some(5995),
    gid: Some(5995),
    owned_ports: &[19000, 20000, 20600],
    signs: &[&[19000, 20000]],
};

/// kuma: readiness reporter on 9902 (the only one from 2.14 on, where the admin API moved to a Unix
/// socket of the sidecar's container), the admin API on 9901 before.
const KUMA: Profile = Profile {
    name: "kuma",
    admin: None,
    ready: &[ok("http://localhost:9902/ready"), live("http://localhost:9901/ready")],
    quit: &["http://localhost:9901/quitquitquit"],
    uid: Some(5678),
    gid: Some(5678),
    owned_ports: &[9901, 9902, 15001, 15006],
    signs: &[&[9902], &[9901, 15006]],
};

/// aws-app-mesh: admin on 9901; 15000 is the ingress for traffic here, not an admin API.
const APPMESH: Profile = Profile {
    name: "appmesh",
    admin: Some("http://localhost:9901"),
    ready: &[live("http://localhost:9901/ready")],
    quit: &["http://localhost:9901/quitquitquit"],
    uid: Some(1337),
    gid: None,
    owned_ports: &[9901, 15000, 15001],
    signs: &[&[9901, 15000]],
};

/// osm: admin on 15000, inbound 15003.
const OSM: Profile = Profile {
    name: "osm",
    admin: Some("http://localhost:15000"),
    ready: &[live("http://localhost:15000/ready")],
    quit: &["http://localhost:15000/quitquitquit"],
    uid: Some(1500),
    gid: None,
    owned_ports: &[15000, 15001, 15003, 15901, 15902, 15903],
    signs: &[&[15000, 15003], &[15000, 15901]],
};

/// Envoy's documentation puts the admin API on 9901. No traffic rules, so no reserved ids.
const ENVOY: Profile = Profile {
    name: "envoy",
    admin: Some("http://localhost:9901"),
    ready: &[live("http://localhost:9901/ready")],
    quit: &["http://localhost:9901/quitquitquit"],
    uid: None,
    gid: None,
    owned_ports: &[9901],
    signs: &[&[9901]],
};

const NONE: Profile = Profile {
    name: "none",
    admin: None,
    ready: &[],
    quit: &[],
    uid: None,
    gid: None,
    owned_ports: &[],
    signs: &[],
};

/// What ztunnel listens on inside an ambient pod (istio/ztunnel: `ARCHITECTURE.md`).
const ZTUNNEL: [u16; 3] = [15001, 15006, 15008];

/// What only a sidecar listens on; ztunnel has these in its own network namespace.
const SIDECAR_ONLY: [u16; 3] = [15000, 15020, 15021];

impl Mesh {
    /// The mesh with this name, as `--mesh` takes it (`auto` is none of them).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Mesh::ALL.iter().copied().find(|mesh| mesh.profile().name == name)
    }

    /// Envoy's admin API of this mesh.
    #[must_use]
    pub fn admin(self) -> Option<Endpoint> {
        self.profile().admin.map(endpoint)
    }

    /// What to POST to end this mesh's proxy, in the order to try.
    #[must_use]
    pub fn quit(self) -> Vec<Endpoint> {
        self.profile().quit.iter().map(|url| endpoint(url)).collect()
    }

    /// The authorities on readiness of this mesh.
    #[must_use]
    pub fn ready(self) -> Vec<Ready<Endpoint>> {
        let ready = self.profile().ready.iter();
        ready.map(|ready| Ready { url: endpoint(ready.url), expect: ready.expect }).collect()
    }
}

impl fmt::Display for Mesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.profile().name)
    }
}

fn endpoint(url: &str) -> Endpoint {
    url.parse().expect("the profiles' URLs are valid; a test reads them all")
}

/// What the listening ports of a pod show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// No proxy yet, or none at all.
    Nothing,
    /// Istio ambient: the node's ztunnel carries the traffic, there is nothing to wait for.
    Ambient,
    /// This mesh's proxy, or a program on its ports: an answer must confirm it.
    Sidecar(Mesh),
}

/// Which mesh the `listening` ports show, other than those that an answer has `refuted`.
#[must_use]
pub fn detect(listening: &[u16], refuted: &[Mesh]) -> Detected {
    let has = |port: &u16| listening.contains(port);
    let shown = |mesh: &Mesh| {
        !refuted.contains(mesh) && mesh.profile().signs.iter().any(|sign| sign.iter().all(has))
    };
    match Mesh::ALL.iter().copied().find(shown) {
        Some(mesh) => Detected::Sidecar(mesh),
        None if ZTUNNEL.iter().all(has) && !SIDECAR_ONLY.iter().any(has) => Detected::Ambient,
        None => Detected::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_valid_loopback_urls() {
        for mesh in Mesh::ALL.iter().copied() {
            let urls = mesh
                .ready()
                .into_iter()
                .map(|ready| ready.url)
                .chain(mesh.admin())
                .chain(mesh.quit());
            for url in urls {
                assert!(url.address.is_local(), "{mesh}: {url}");
            }
        }
    }

    #[test]
    fn every_mesh_has_its_own_name() {
        for mesh in Mesh::ALL.iter().copied() {
            assert_eq!(Mesh::named(&mesh.to_string()), Some(mesh));
        }
        assert_eq!(Mesh::named("auto"), None);
    }

    #[test]
    fn listening_ports_show_the_mesh() {
        let table: [(&[u16], Detected); 14] = [
            (&[], Detected::Nothing),
            (&[8080], Detected::Nothing),
            (&[15020], Detected::Sidecar(Mesh::Istio)),
            (&[8080, 15000, 15001, 15006, 15020, 15021, 15090], Detected::Sidecar(Mesh::Istio)),
            (&[15001, 15006, 15008, 15053], Detected::Ambient),
            (&[15001, 15006], Detected::Nothing),
            (&[15000, 15001, 15006, 15008], Detected::Nothing),
            (&[4140, 4143, 4190, 4191], Detected::Sidecar(Mesh::Linkerd)),
            (&[4191], Detected::Nothing),
            (&[19000, 20000, 20600], Detected::Sidecar(Mesh::Consul)),
            (&[9902, 15001, 15006], Detected::Sidecar(Mesh::Kuma)),
            (&[9901, 15000, 15001], Detected::Sidecar(Mesh::AppMesh)),
            (&[15000, 15001, 15003], Detected::Sidecar(Mesh::Osm)),
            (&[9901], Detected::Sidecar(Mesh::Envoy)),
        ];
        for (listening, detected) in table {
            assert_eq!(detect(listening, &[]), detected, "{listening:?}");
        }
    }
    #[test]
    fn a_refuted_guess_is_not_made_again() {
        assert_eq!(detect(&[9901, 15020], &[Mesh::Istio]), Detected::Sidecar(Mesh::Envoy));
        assert_eq!(detect(&[9901], &[Mesh::Envoy]), Detected::Nothing);
    }
}
