//! A listening socket, whichever source told it.

pub use crate::core::sockets::listener::Listener;
