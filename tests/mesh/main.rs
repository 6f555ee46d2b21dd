//! The mesh for real, in network namespaces of the test's own: Envoy as UID 1337 behind Istio's
//! iptables rules, an agent on 15020, a client in a second namespace. What meshim says about a
//! listen address is held against whether traffic really arrives there.
//!
//! Needs root or user namespaces with more than one id, iptables and iproute2; says so where they
//! are missing.

mod agent;
mod application;
mod bypass;
mod capture;
mod pod;
mod reach;
mod redirect;
mod sidecar;
#[expect(dead_code, reason = "shared with the other integration tests, which use the rest")]
#[path = "../it/support/mod.rs"]
mod support;
