//! What the kernel tells about TCP sockets, as values: the types, and the reading of its two forms,
//! `sock_diag`'s messages and the lines of `/proc/net/tcp`.
//!
//! Must never ask the kernel itself; `io::sockets` does, and hands the bytes over.

pub mod bound;
pub mod connection;
pub mod diag;
pub mod listener;
pub mod owner;
pub mod proc_line;
