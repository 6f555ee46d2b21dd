//! Stopping: the phases of a supervised run, draining, and ending the proxy.

pub mod addressees;
pub mod drain;
pub mod drained;
pub mod idle;
pub mod lifecycle;
pub mod plan;
pub mod quit;
pub mod quit_when;
pub mod signal_map;
pub mod standing;
pub mod stop_set;
pub mod unsent;
