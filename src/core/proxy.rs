//! Which endpoints of one proxy are asked: the mesh's profile, changed by the URLs that the user
//! gave.
//!
//! Owns the rules of how the two combine; must never ask anybody.

use crate::core::endpoint::{Address, Endpoint};
use crate::core::mesh::Mesh;
use crate::core::profile::{Expect, Ready};
use crate::core::profiles::ENVOYS_WORDS;

/// Istio's readiness port (`status/server.go`): only a sidecar's Envoy listens there.
const ISTIO_READY_PORT: u16 = 15021;

/// Envoy's own answer when it is ready.
const LIVE: Expect = Expect::Says(ENVOYS_WORDS);

/// One proxy as this run sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Whose proxy it is.
    pub mesh: Mesh,
    /// Envoy's admin API, where there is one to ask.
    pub admin: Option<Endpoint>,
    /// The admin API's `/ready`, where that is not a readiness endpoint itself.
    pub cheap: Option<Endpoint>,
    /// The readiness endpoints, in the order to try.
    pub ready: Vec<Ready<Endpoint>>,
}

/// What the user said about the proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// `--mesh`, unless it is `auto`.
    pub mesh: Option<Mesh>,
    /// `--admin-url`.
    pub admin: Option<Endpoint>,
    /// `--ready-url`.
    pub ready: Option<Endpoint>,
}

impl Given {
    /// Did the user say where the proxy is?
    #[must_use]
    pub const fn has_urls(&self) -> bool {
        self.admin.is_some() || self.ready.is_some()
    }
}

impl Proxy {
    /// The proxy of a mesh with nothing changed.
    #[must_use]
    pub fn of(mesh: Mesh) -> Self {
        Self::at(mesh, &Given::default())
    }

    /// The proxy of a mesh, with its endpoints where the user says that they are.
    #[must_use]
    pub fn at(mesh: Mesh, given: &Given) -> Self {
        let own_ready = mesh.ready();
        let ready = match (&given.ready, &given.admin) {
            (Some(url), _) => vec![Ready { url: url.clone(), expect: expectation(url) }],
            // Where Envoy's own answer decides, its endpoint moves with the admin API.
            (None, Some(admin)) if own_ready.iter().any(|ready| ready.expect == LIVE) => {
                vec![Ready { url: admin.at("/ready"), expect: LIVE }]
            }
            _ => own_ready,
        };
        let admin = given.admin.clone().or_else(|| match &given.ready {
            // `--ready-url http://127.0.0.1:9901/server_info` alone: the cheap look is on the same
            // server.
            Some(url) if expectation(url) == Expect::ServerInfo => Some(url.at("/")),
            _ => mesh.admin(),
        });
        Self::build(mesh, admin, ready)
    }

    /// The proxy that the user described; `None` where it is left to detection.
    #[must_use]
    pub fn given(given: &Given) -> Option<Self> {
        given.mesh.map_or_else(|| Self::of_urls(given), |mesh| Some(Self::at(mesh, given)))
    }

    /// The proxy that URLs alone describe, as long as no mesh has shown up: a plain Envoy, or
    /// Istio's where the readiness endpoint is Istio's. `None` without a URL.
    #[must_use]
    pub fn of_urls(given: &Given) -> Option<Self> {
        match &given.ready {
            Some(ready) if is_istios(ready) => Some(Self::at(Mesh::Istio, given)),
            // A readiness URL alone says nothing about where an admin API would be.
            Some(ready) if given.admin.is_none() && expectation(ready) == Expect::Ok => {
                let ready = Ready { url: ready.clone(), expect: Expect::Ok };
                Some(Self::build(Mesh::Envoy, None, vec![ready]))
            }
            _ => given.has_urls().then(|| Self::at(Mesh::Envoy, given)),
        }
    }

    fn build(mesh: Mesh, admin: Option<Endpoint>, ready: Vec<Ready<Endpoint>>) -> Self {
        let cheap = admin.as_ref().map(|admin| admin.at("/ready"));
        let cheap = cheap.filter(|cheap| !ready.iter().any(|ready| ready.url == *cheap));
        Self { mesh, admin, cheap, ready }
    }

    /// The ports of its endpoints, wherever the user moved them: whoever connects to these talks to
    /// the proxy itself.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let endpoints = self.admin.iter().chain(self.ready.iter().map(|ready| &ready.url));
        endpoints.filter_map(|endpoint| endpoint.address.port()).collect()
    }

    /// What to POST to end it, in the order to try: the mesh's own endpoints, with Envoy's where
    /// its admin API is.
    #[must_use]
    pub fn quit(&self) -> Vec<Endpoint> {
        let usual = self.mesh.admin();
        let is_envoys = |endpoint: &Endpoint| {
            usual.as_ref().is_some_and(|usual| usual.address == endpoint.address)
        };
        let mut endpoints = self.mesh.quit();
        match &self.admin {
            None => endpoints.retain(|endpoint| !is_envoys(endpoint)),
            Some(admin) if usual.is_none() => endpoints.push(admin.at("/quitquitquit")),
            Some(admin) => {
                for endpoint in endpoints.iter_mut().filter(|endpoint| is_envoys(endpoint)) {
                    *endpoint = admin.at(&endpoint.path);
                }
            }
        }
        endpoints
    }
}

fn is_istios(url: &Endpoint) -> bool {
    matches!(url.address, Address::Tcp { port: ISTIO_READY_PORT, .. })
}

/// A URL of the user's own means ready by its 200, but for Envoy's `/server_info`, which is always
/// 200.
fn expectation(url: &Endpoint) -> Expect {
    if url.bare_path().ends_with("/server_info") { Expect::ServerInfo } else { Expect::Ok }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(mesh: Option<Mesh>, admin: &str, ready: &str) -> Given {
        Given { mesh, admin: admin.parse().ok(), ready: ready.parse().ok() }
    }

    /// The proxy as text: mesh, cheap look, readiness endpoints.
    fn described(given: &Given) -> (Mesh, String, Vec<String>) {
        let proxy = Proxy::given(given).unwrap();
        let cheap = proxy.cheap.map_or_else(String::new, |url| url.to_string());
        (proxy.mesh, cheap, proxy.ready.iter().map(|ready| ready.url.to_string()).collect())
    }

    fn expected(mesh: Mesh, cheap: &str, ready: &[&str]) -> (Mesh, String, Vec<String>) {
        (mesh, cheap.to_owned(), ready.iter().map(|url| (*url).to_owned()).collect())
    }

    #[test]
    fn nothing_given_is_left_to_detection() {
        assert_eq!(Proxy::of_urls(&Given::default()), None);
    }

    #[test]
    fn the_profile_and_the_users_urls_combine() {
        let (istio_cheap, istio_ready) =
            ("http://localhost:15000/ready", "http://localhost:15021/healthz/ready");
        let (at, its_ready) = ("http://127.0.0.1:7000", "http://127.0.0.1:7000/ready");
        let (own, info) = ("http://127.0.0.1:8000/up", "http://127.0.0.1:8000/server_info");
        let table = [
            (given(Some(Mesh::Istio), "", ""), expected(Mesh::Istio, istio_cheap, &[istio_ready])),
            (given(Some(Mesh::Istio), at, ""), expected(Mesh::Istio, its_ready, &[istio_ready])),
            (given(Some(Mesh::Istio), "", own), expected(Mesh::Istio, istio_cheap, &[own])),
            (given(None, "", istio_ready), expected(Mesh::Istio, istio_cheap, &[istio_ready])),
            (given(None, at, ""), expected(Mesh::Envoy, "", &[its_ready])),
            (given(None, at, own), expected(Mesh::Envoy, its_ready, &[own])),
            (given(None, "", own), expected(Mesh::Envoy, "", &[own])),
            (given(None, "", info), expected(Mesh::Envoy, "http://127.0.0.1:8000/ready", &[info])),
            (given(Some(Mesh::Consul), at, ""), expected(Mesh::Consul, "", &[its_ready])),
            (
                given(Some(Mesh::Kuma), "unix:/run/a.sock", ""),
                expected(Mesh::Kuma, "", &["unix:/run/a.sock:/ready"]),
            ),
            (
                given(Some(Mesh::Kuma), "", ""),
                expected(
                    Mesh::Kuma,
                    "",
                    &["http://localhost:9902/ready", "http://localhost:9901/ready"],
                ),
            ),
            (
                given(Some(Mesh::Linkerd), "", ""),
                expected(Mesh::Linkerd, "", &["http://localhost:4191/ready"]),
            ),
        ];
        for (given, expected) in table {
            assert_eq!(described(&given), expected, "{given:?}");
        }
    }

    #[test]
    fn what_ends_the_proxy_moves_with_its_admin_api() {
        let urls = |given: &Given| -> Vec<String> {
            Proxy::given(given).unwrap().quit().into_iter().map(|url| url.to_string()).collect()
        };
        let (agent, own) =
            ("http://localhost:15020/quitquitquit", "http://127.0.0.1:7000/quitquitquit");
        let istio = Some(Mesh::Istio);
        assert_eq!(urls(&given(istio, "", "")), [agent, "http://localhost:15000/quitquitquit"]);
        assert_eq!(urls(&given(istio, "http://127.0.0.1:7000", "")), [agent, own]);
        assert_eq!(urls(&given(None, "http://127.0.0.1:7000", "")), [own]);
        // A Job's proxy is to end at once, and not after the grace period of `/graceful_shutdown`.
        let graceful = "http://localhost:20600/graceful_shutdown";
        assert_eq!(urls(&given(Some(Mesh::Consul), "http://127.0.0.1:7000", "")), [own, graceful]);
        assert_eq!(urls(&given(Some(Mesh::Linkerd), "", "")), ["http://localhost:4191/shutdown"]);
        assert_eq!(
            urls(&given(Some(Mesh::Kuma), "unix:/run/a.sock", "")),
            ["http://localhost:9901/quitquitquit", "unix:/run/a.sock:/quitquitquit"]
        );
    }
}
