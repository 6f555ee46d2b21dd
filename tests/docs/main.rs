//! Holds the pages against the code: options, exit codes, meshes, findings, events and threats.

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
mod security;
mod support;
mod versions;
