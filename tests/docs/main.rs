//! Holds the pages against the code: options, exit codes, meshes, findings and events.

mod contributing;
mod exit_codes;
mod findings;
mod fuzz;
mod leftovers;
mod linker_script;
mod logs;
mod meshes;
mod options;
mod page;
