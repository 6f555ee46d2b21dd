//! Ends the process; nobody else does.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(meshim::cmd::main(std::env::args_os().collect()).code())
}
