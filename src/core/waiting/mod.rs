//! Waiting: which proxy, what a look saw, when to look again, and why the proxy is not ready.

pub mod causes;
pub mod change;
pub mod detection;
pub mod diagnosis;
pub mod not_ready;
pub mod observation;
pub mod pacing;
mod readiness;
mod search;
pub mod step;
pub mod wait;
pub mod watched;
