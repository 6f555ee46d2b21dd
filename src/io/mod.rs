//! The world: sockets, processes, signals, `/proc`, files. Each module owns one part of it and
//! decides nothing.

pub mod admin;
pub mod clock;
pub mod command;
pub mod files;
pub mod http;
pub mod identity;
pub mod inbox;
pub mod install;
mod line;
pub mod log;
pub mod parent_death;
pub mod process;
pub mod processes;
pub mod redirect;
pub mod signals;
pub mod sockets;
pub mod stderr;
pub mod stdout;
pub mod terminal;
