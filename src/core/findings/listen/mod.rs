//! Listen addresses: does the traffic that the proxy forwards arrive where the application listens?

pub mod cases;
pub mod forwarding;
pub mod judge;
pub mod messages;
pub mod sockets;
