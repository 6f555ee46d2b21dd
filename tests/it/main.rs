//! The built binary against scripted proxies, real Envoys, and as PID 1. One program, so that it
//! links once.

mod auto;
mod check;
mod doctor;
mod drain;
mod examples;
mod exec;
mod faults;
mod identity;
mod idle;
mod listening;
mod load;
mod logs;
mod manifests;
mod meshes;
mod parent_death;
mod quit;
mod quit_after_stop;
mod real_envoy;
mod security;
mod settings;
mod signals;
mod strangers;
mod stuck;
mod supervise;
#[expect(dead_code, reason = "the mesh tests, the examples and the benches use the rest of it")]
mod support;
mod surroundings;
mod terminal;
mod toolbox;
mod unsent;
mod unstarted;
mod waiting;
