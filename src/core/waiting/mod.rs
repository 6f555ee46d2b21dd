//! Waiting: what a look saw, when to look again, and why the proxy is not ready.

pub mod diagnosis;
pub mod observation;
pub mod pacing;
pub mod readiness;
pub mod targets;
