//! meshim: waits for the service mesh's proxy, then becomes (or supervises) the application.
//!
//! Layers, whose arrows point down; `tests/layers` holds them. `ARCHITECTURE.md` is the map.
//!
//! - [`cmd`]: one file per subcommand, the order of things and no rules.
//! - [`config`] and [`io`]: settings checked into values; sockets, processes, signals, files.
//! - [`cli`] and [`core`]: what may be typed; pure decisions.

pub mod cli;
pub mod cmd;
pub mod config;
pub mod core;
pub mod io;
