//! Pure decisions: no clock, no environment, no file descriptor, nothing async.
//!
//! Time comes in as an argument, bytes come in as arguments, and what is to be done goes out as a value.

pub mod activity;
pub mod diagnosis;
pub mod drain;
pub mod duration;
pub mod endpoint;
pub mod envoy;
pub mod exit;
pub mod findings;
pub mod forwarding;
pub mod inbound;
pub mod lifecycle;
pub mod listen;
pub mod listen_findings;
pub mod listen_words;
pub mod mesh;
pub mod pacing;
pub mod proxy;
pub mod proxy_facts;
pub mod quit;
pub mod ready;
pub mod report;
pub mod signal;
pub mod signal_map;
