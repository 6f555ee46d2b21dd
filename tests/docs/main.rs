//! Holds the pages against the code: options, exit codes, meshes and findings.

mod contributing;
mod exit_codes;
mod findings;
mod linker_script;
mod meshes;
mod options;
mod page;
