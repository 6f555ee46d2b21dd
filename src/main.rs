//! Reads what the process was started with, and ends it; nobody else does either.

use std::env;
use std::process::ExitCode;

use meshim::config::Input;

fn main() -> ExitCode {
    let input = || Input { args: env::args_os().collect(), variables: env::vars_os().collect() };
    ExitCode::from(meshim::cmd::main(input).code())
}

/// musl's own gives every page back to the kernel at once, and asks for the next: half of the
/// system calls of a start.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
