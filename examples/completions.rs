//! Writes shell completions and man pages for meshim: `cargo run --example completions -- DIR`.
//!
//! They are made here and not by meshim itself, which lives in images that have no shell.

use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;
use meshim::cli::Cli;

fn main() -> io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("name the folder to write to"));
    };
    std::fs::create_dir_all(&folder)?;
    let mut command = Cli::command();
    command.build();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, "meshim", &folder)?;
    }
    clap_mangen::generate_to(command, &folder)
}
