//! Which endpoints of a proxy a wait looks at.
//!
//! Owns the two kinds of them; must never look, or say when.

use crate::core::endpoint::Endpoint;
use crate::core::mesh::Expect;
use crate::core::proxy::Proxy;

/// Which endpoint to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The admin API's `/ready`: 0.1 ms of the proxy's time.
    Cheap,
    /// The one whose word counts; several where a mesh moved it between versions.
    Authority(usize),
}

/// Which endpoints there are to look at.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Is there an admin API beside the authority?
    pub cheap: bool,
    /// How many authorities there are to try, at least one.
    pub authorities: usize,
    /// Is the authority an expensive page of the same admin API (`/server_info`)? Then a not-LIVE
    /// is final.
    pub same_server: bool,
    /// Is the mesh a guess from listening ports, which an answer must confirm?
    pub guessed: bool,
}

impl Shape {
    /// Those of `proxy`; `guessed` where the mesh was learnt from listening ports.
    #[must_use]
    pub fn of(proxy: &Proxy, guessed: bool) -> Self {
        let same_server = match (&proxy.cheap, proxy.ready.as_slice()) {
            (Some(cheap), [only]) => {
                only.expect == Expect::ServerInfo && only.url.address == cheap.address
            }
            _ => false,
        };
        Self { cheap: proxy.cheap.is_some(), authorities: proxy.ready.len(), same_server, guessed }
    }
}

/// Where a target of the pacing is, and what it says when the proxy is ready.
#[must_use]
pub fn endpoint_of(proxy: &Proxy, target: Target) -> (&Endpoint, Expect) {
    match (target, &proxy.cheap) {
        (Target::Cheap, Some(cheap)) => (cheap, Expect::EnvoyReady),
        (Target::Cheap, None) => (&proxy.ready[0].url, proxy.ready[0].expect),
        (Target::Authority(index), _) => (&proxy.ready[index].url, proxy.ready[index].expect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::proxy::Given;

    #[test]
    fn only_a_server_info_of_the_same_admin_api_is_spared() {
        let same = |admin: &str, ready: &str| {
            let given = Given { mesh: None, admin: admin.parse().ok(), ready: ready.parse().ok() };
            Shape::of(&Proxy::given(&given).unwrap(), false).same_server
        };
        assert!(same("", "http://127.0.0.1:8000/server_info"));
        assert!(same("http://127.0.0.1:8000", "http://127.0.0.1:8000/server_info?x"));
        assert!(!same("http://127.0.0.1:7000", "http://127.0.0.1:8000/server_info"));
        assert!(!same("http://127.0.0.1:7000", "http://127.0.0.1:7000/up"));
    }
}
