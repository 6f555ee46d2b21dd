//! Meshes whose proxies cannot be had as packages: stand-ins that open their ports in the order
//! that was recorded and answer byte for byte as the real ones did (`tests/fixtures/meshes`). What
//! was only read in source, and not recorded, says so where it stands.
//!
//! Ports are the real ones, so a test that has one runs [`inside`](super::namespace::inside).

pub(crate) mod consul;
pub(crate) mod kuma;
pub(crate) mod linkerd;

use super::reply::Reply;
use super::standin::StandIn;

/// An answer of a real proxy. Where it is used, `Reply` is in scope: this file belongs to several
/// programs, in which it has several paths.
macro_rules! recorded {
    ($file:literal) => {
        Reply::recorded(include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/meshes/",
            $file,
            ".http"
        )))
    };
}
pub(crate) use recorded;

/// A port on which the proxy takes traffic. Nobody asks it for a page: that would be traffic.
#[derive(Debug)]
struct Traffic(StandIn);

impl Traffic {
    fn on(port: u16) -> Self {
        Self(StandIn::on_port(port))
    }

    fn close(&mut self) {
        self.0.close();
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.connections(), 0, "a port for traffic was asked");
        }
    }
}

/// What Envoy's admin API says on its way to LIVE.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Phase {
    /// Nothing from its control plane yet.
    PreInitializing,
    /// It has clusters and waits for the rest.
    Initializing,
    /// It serves.
    Live,
}

impl Phase {
    /// What a real Envoy answers at `/ready`.
    fn of_envoy(self) -> Reply {
        match self {
            Self::PreInitializing => recorded!("envoy-pre-initializing"),
            Self::Initializing => recorded!("envoy-initializing"),
            Self::Live => recorded!("envoy-live"),
        }
    }
}
