//! The real meshim, built as this example was.

use std::path::PathBuf;
use std::process::Command;

/// `target/debug/meshim` beside `target/debug/examples/quickstart`; built, or brought up to date,
/// by cargo.
pub(crate) fn meshim() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("/proc is missing: {error}"))?;
    let directory = own.ancestors().nth(2).ok_or("this example was not built by cargo")?;
    let profile = match directory.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--bin", "meshim", "--profile", profile])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = cargo.status();
    let binary = directory.join("meshim");
    match built {
        _ if binary.exists() => Ok(binary),
        Ok(status) => {
            Err(format!("cargo build ended with {status}, and {} is not there", binary.display()))
        }
        Err(error) => {
            Err(format!("{} is not there, and cargo cannot be run: {error}", binary.display()))
        }
    }
}
