//! Listen addresses: does the traffic that the proxy forwards arrive where the application listens?

pub mod capture;
pub mod cases;
pub mod facts;
pub mod forwarding;
pub mod judge;
pub mod messages;
pub mod past_the_proxy;
pub mod reach;
pub mod settling;
mod unseen;
