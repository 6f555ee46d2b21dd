//! What changes during a wait, for those who follow it in the log.
//!
//! Owns the list of changes; must never hold the words for them.

use crate::core::mesh::Mesh;
use crate::core::waiting::observation::Observation;

/// What has just changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nobody is there yet.
    Searching,
    /// From now on this mesh's proxy is waited for, at this endpoint first.
    WaitingFor(Mesh, String),
    /// The same once more, though an answer has refuted it before.
    AskingAgain(Mesh),
    /// What listens at this endpoint is not this mesh's proxy.
    Refuted(Mesh, String, Observation),
    /// The program that starts the proxy, by its name, has begun to listen, or ceased.
    Agent(&'static str, bool),
    /// The proxy is ready, after so many looks.
    ProxyReady(Mesh, u32),
    /// Something else that is waited for is ready.
    OtherReady(String),
    /// No proxy has shown up.
    Absent,
    /// The node's ztunnel carries the traffic.
    Ambient,
    /// The injection has said that there is no sidecar.
    NotInjected,
    /// Nobody listens, and this pod's traffic is redirected all the same.
    Redirected,
}
