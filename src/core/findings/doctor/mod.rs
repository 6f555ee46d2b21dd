//! The mesh's known pitfalls, judged from what one proxy says about itself.
//!
//! `pages` is what was read, `judges` the list of all judges, `diagnosis` what a judge answers;
//! one file a topic. `report`, `text` and `json` are the whole of it for a reader.

pub mod annotations;
pub mod authorization;
pub mod capture;
pub mod certificates;
pub mod container;
pub mod control_plane;
pub mod debug_logging;
pub mod diagnosis;
pub mod draining;
pub mod failed_requests;
pub mod faults;
pub mod http10;
pub mod json;
pub mod judges;
pub mod memory;
pub mod names;
pub mod pages;
pub mod plaintext;
pub mod ports;
pub mod probes;
pub mod rejected;
pub mod report;
pub mod restarted;
pub mod retries;
pub mod routes;
pub mod runtime;
pub mod sniffed;
pub mod text;
pub mod tracing;
pub mod unknown_destination;
pub mod when;
pub mod whole_mesh;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod traffic_tests;
