//! Every mesh that meshim knows, by name and with its profile.
//!
//! Owns the list and its order; must never hold what is known about one, which is data in
//! `core::profiles`.

use std::fmt;

use crate::core::endpoint::Endpoint;
use crate::core::profile::{Profile, Ready};
use crate::core::profiles;

/// One row a mesh, in the order of detection: a sign of a later one may be part of an earlier
/// one's. Each has a profile.
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
                    $(Mesh::$mesh => &profiles::$profile,)+
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

    /// Where readiness is asked, in the order to try.
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
}
