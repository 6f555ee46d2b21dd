//! Metrics in Prometheus' text form: of Istio's agent, and of Linkerd's proxy.

pub mod agent;
pub mod in_flight;
pub mod linkerd;
pub mod sample;
