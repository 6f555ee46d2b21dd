//! The contenders: the released meshim, and what one would use instead, from Debian.
//!
//! Owns how each of them is started; must never measure anything. Who is missing is named with the
//! remedy.

#![expect(
    clippy::disallowed_methods,
    reason = "those rules are for meshim; a benchmark runs programs to their end"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// A Debian package, its command, and what makes the command say its version.
const PACKAGES: [(&str, &str); 4] = [
    ("curl", "--version"),
    ("tini", "--version"),
    ("dumb-init", "--version"),
    ("catatonit", "--version"),
];

/// Everybody who takes part.
#[derive(Debug)]
pub(crate) struct Peers {
    /// The released static binary of this machine's architecture.
    pub(crate) meshim: PathBuf,
    /// The application: `witness.rs`, static, too.
    pub(crate) witness: PathBuf,
    /// Can this build supervise?
    pub(crate) supervises: bool,
    versions: String,
}

/// Somebody who stays as the parent of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Init {
    pub(crate) name: &'static str,
    /// What stands between its name and the application's.
    options: &'static [&'static str],
}

const INITS: [Init; 4] = [
    Init { name: "meshim", options: &["--mesh=none", "--log=error", "--supervise", "--"] },
    Init { name: "tini", options: &["--"] },
    Init { name: "dumb-init", options: &["--"] },
    Init { name: "catatonit", options: &["--"] },
];

impl Peers {
    /// Builds what is ours, finds the others.
    pub(crate) fn find() -> Result<Self, String> {
        let mut versions = Vec::new();
        let mut missing = Vec::new();
        for (name, version) in PACKAGES {
            match Command::new(name).arg(version).output() {
                Ok(said) => versions.push(
                    first_number(&said.stdout, &said.stderr)
                        .map_or(name.to_owned(), |number| format!("{name} {number}")),
                ),
                Err(_) => missing.push(name),
            }
        }
        if !missing.is_empty() {
            let names = missing.join(" ");
            return Err(format!(
                "these contenders are missing: {names}; install them with apt-get install {names}"
            ));
        }
        let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        succeed(Command::new(root().join("images/build-static")).arg(std::env::consts::ARCH))?;
        let mut witness = Command::new(env!("CARGO"));
        witness.args([
            "build",
            "--release",
            "--locked",
            "--example",
            "witness",
            "--target",
            &target,
        ]);
        succeed(witness.current_dir(root()))?;
        let built = root().join("target").join(target).join("release");
        let meshim = built.join("meshim");
        let help =
            Command::new(&meshim).arg("--help").output().map_err(|error| error.to_string())?;
        let supervises = String::from_utf8_lossy(&help.stdout).contains("--supervise");
        Ok(Self {
            meshim,
            witness: built.join("examples/witness"),
            supervises,
            versions: versions.join(", "),
        })
    }

    /// What their own `--version` says.
    pub(crate) fn versions(&self) -> &str {
        &self.versions
    }

    /// Those who can stay as parent, meshim first (once this build can).
    pub(crate) fn inits(&self) -> impl Iterator<Item = Init> {
        INITS.into_iter().filter(|init| init.name != "meshim" || self.supervises)
    }

    /// `INIT -- COMMAND...`, up to the command.
    pub(crate) fn init_line(&self, init: Init) -> Vec<String> {
        let program = if init.name == "meshim" {
            self.meshim.display().to_string()
        } else {
            init.name.to_owned()
        };
        std::iter::once(program)
            .chain(init.options.iter().map(|option| (*option).to_owned()))
            .collect()
    }
}

/// What people write today, with this pause and this URL.
pub(crate) fn shell_loop(pause: &str, url: &str, application: &Path) -> Command {
    let script =
        format!("until curl -fs {url}; do sleep {pause}; done; exec {}", application.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]);
    shell
}

/// Where this package is.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs it to its end; what it said where that was a bad one.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| {
        format!("{} cannot be started: {error}", command.get_program().display())
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("{command:?} failed:\n{said}"))
}

/// The first word of either output that begins with a digit or with `v` and one: `8.14.1`,
/// `0.19.0`.
fn first_number(stdout: &[u8], stderr: &[u8]) -> Option<String> {
    let said = format!("{} {}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr));
    let mut words =
        said.split_whitespace().map(|word| word.trim_start_matches('v').trim_end_matches(','));
    words
        .find(|word| word.starts_with(|letter: char| letter.is_ascii_digit()) && word.contains('.'))
        .map(str::to_owned)
}
