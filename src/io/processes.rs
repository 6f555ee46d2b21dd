//! The processes that `/proc` shows: their names, users, ages, and which share our root.
//!
//! Owns reading them; must never decide which of them is the application.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::getpid;

use crate::core::findings::doctor::container::Process;
use crate::core::process_stat::ProcessStat;

/// How many processes are looked at: what a node runs, with room.
const MOST: usize = 20_000;

/// Every process but this one.
///
/// # Errors
/// `/proc` cannot be read.
pub fn all() -> std::io::Result<Vec<Process>> {
    let proc = Path::new("/proc");
    let uptime = fs::read_to_string(proc.join("uptime"))?;
    // `12345.67 …`
    let seconds = uptime.split(['.', ' ']).next().and_then(|text| text.parse().ok());
    let up = Duration::from_secs(seconds.unwrap_or_default());
    let ours = fs::read_link(proc.join("self/ns/mnt")).ok();
    let own = getpid().as_raw().cast_unsigned();
    let pids = fs::read_dir(proc)?.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        (pid != own).then(|| entry.path())
    });
    Ok(pids.take(MOST).filter_map(|path| process(&path, up, ours.as_ref())).collect())
}

/// A process that ends while it is looked at is passed over.
fn process(path: &Path, up: Duration, ours: Option<&PathBuf>) -> Option<Process> {
    let uid = fs::metadata(path).ok()?.uid();
    // A name is any bytes: whoever has one that is no text must be seen, too.
    let stat = fs::read(path.join("stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let stat = ProcessStat::of(&stat)?;
    // Another user's namespaces cannot be read.
    let theirs = fs::read_link(path.join("ns/mnt")).ok();
    Some(Process {
        name: stat.name(),
        uid,
        age: up.saturating_sub(stat.started()?),
        shares_our_root: theirs.is_some() && theirs.as_ref() == ours,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test reaps its own child")]
    fn a_process_whose_name_is_no_text_is_seen() {
        let script = "printf 'no\\377\\033text' >/proc/$$/comm && echo named && read -r line";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is there");
        let mut said = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut said).expect("it says that it is named");
        let found = all().expect("/proc is there");
        drop(child.stdin.take());
        child.wait().expect("it ends at the end of its input");
        assert_eq!(said, "named\n");
        let names: Vec<&str> = found.iter().map(|process| process.name.as_str()).collect();
        assert!(names.contains(&"no\u{fffd}?text"), "{names:?}");
    }

    #[test]
    fn a_parent_is_seen_with_its_name_and_age() {
        let found = all().unwrap();
        let parent = nix::unistd::getppid();
        let name = fs::read_to_string(format!("/proc/{parent}/comm")).unwrap();
        // Others may have the same name, in a root of their own.
        let known: Vec<&Process> =
            found.iter().filter(|process| process.name == name.trim()).collect();
        assert!(!known.is_empty(), "{name} is not among {found:?}");
        // A parent that is another user's does not show its root.
        let is_readable = fs::read_link(format!("/proc/{parent}/ns/mnt")).is_ok();
        assert_eq!(known.iter().any(|process| process.shares_our_root), is_readable, "{known:?}");
        assert!(known.iter().all(|process| process.age < Duration::from_hours(24 * 365)));
    }
}
