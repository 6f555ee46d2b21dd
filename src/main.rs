//! Ends the process; nobody else does.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(meshim::cmd::main(|| std::env::args_os().collect()).code())
}

/// musl's own gives every page back to the kernel at once, and asks for the next: half of the
/// system calls of a start.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
