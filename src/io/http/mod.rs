//! HTTP/1.1: a client for any request, a poller for readiness endpoints.

pub mod client;
pub mod poller;
pub mod response;
