//! Pure decisions: no clock, no environment, no file descriptor, nothing async.
//!
//! Time comes in as an argument, bytes come in as arguments, and what is to be done goes out as a
//! value.

pub mod answer;
pub mod duration;
pub mod endpoint;
pub mod envoy;
pub mod executable;
pub mod exit;
pub mod findings;
pub mod mesh;
pub mod metrics;
pub mod process_stat;
pub mod profile;
pub mod profiles;
pub mod proxy;
pub mod signal;
pub mod sockets;
pub mod sorted;
pub mod stopping;
pub mod text;
pub mod timestamp;
pub mod waiting;
