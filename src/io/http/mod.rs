//! HTTP/1.1: a client for any request, a poller for readiness endpoints, one rule for their faults.

pub mod client;
pub mod fault;
pub mod poller;
pub mod pollers;
pub mod response;
