//! What the integration tests stand on: the built binary, proxies that are scripted or real,
//! namespaces.
//!
//! Everything here ends what it started when it is dropped, and no wait is without a bound.

pub(crate) mod client;
pub(crate) mod directory;
pub(crate) mod envoy;
pub(crate) mod istio;
pub(crate) mod listener;
pub(crate) mod meshes;
pub(crate) mod meshim;
pub(crate) mod namespace;
pub(crate) mod process;
pub(crate) mod reply;
pub(crate) mod seccomp;
pub(crate) mod shared;
pub(crate) mod sidecar;
pub(crate) mod standin;
pub(crate) mod stuck;
pub(crate) mod xds;
