//! Owns how a run of meshim is counted: by valgrind, by strace, by the kernel.

#![expect(clippy::disallowed_methods, reason = "that rule is for meshim; this runs programs")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::unistd::Pid;

/// What a run cost, and how many looks it says it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count {
    pub(crate) cost: u64,
    looks: u64,
}

/// The binary that is measured.
pub(crate) fn binary() -> PathBuf {
    let built = format!("target/{}-unknown-linux-musl/release/meshim", std::env::consts::ARCH);
    let named = std::env::var_os("MESHIM_BINARY").map(PathBuf::from);
    let path = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(built));
    assert!(path.exists(), "{} is missing: images/build-static builds it", path.display());
    path
}

/// A copy of the binary that the kernel has to read from the disk, as on a node that pulled its
/// image a while ago. How much of a file one fault makes resident depends on how it came into
/// memory: right after it was written, up to all of it.
pub(crate) fn unread_binary() -> PathBuf {
    let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("meshim-unread");
    fs::copy(binary(), &copy).expect("a copy of the binary");
    let file = fs::File::open(&copy).expect("the copy");
    file.sync_all().expect("the copy is on the disk");
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).expect("it is forgotten");
    copy
}

/// Instructions, as valgrind counts them.
pub(crate) fn instructions(args: &[&str], code: i32) -> Count {
    let said =
        runs(&["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"], args, code);
    let counted = said.lines().find_map(|line| line.split_once("Collected : "));
    let cost = counted.and_then(|(_, count)| count.trim().parse().ok());
    Count { cost: cost.expect("valgrind says what it counted"), looks: looks(&said) }
}

/// System calls of meshim alone: what it becomes begins with the second execve.
pub(crate) fn system_calls(args: &[&str], code: i32) -> Count {
    let said = runs(&["strace", "-f", "-e", "signal=none"], args, code);
    let calls = || said.lines().filter(|line| is_system_call(line));
    let starts = calls().enumerate().filter(|(_, line)| line.contains("execve("));
    let end = starts.map(|(at, _)| at).nth(1).unwrap_or_else(|| calls().count());
    Count { cost: u64::try_from(end).expect("no run makes so many"), looks: looks(&said) }
}

/// `openat(…`, or behind the process it belongs to: `[pid 7] openat(…`.
fn is_system_call(line: &str) -> bool {
    let line =
        line.strip_prefix("[pid").and_then(|rest| rest.split_once("] ")).map_or(line, |r| r.1);
    line.split_once('(').is_some_and(|(name, _)| {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        !name.is_empty() && name.chars().all(letter)
    })
}

/// What a long wait costs more than a short one, for each look that it takes more.
pub(crate) fn one_more_look(count: fn(&[&str], i32) -> Count, url: &str) -> u64 {
    let wait = |timeout| count(&["wait", "--admin-url", url, "--timeout", timeout], 1);
    let (short, long) = (wait("700ms"), wait("3s"));
    (long.cost - short.cost) / (long.looks - short.looks)
}

/// Waits for one second in vain; how many looks that took.
pub(crate) fn waits(options: &[&str]) -> u64 {
    looks(&runs(&[], &[&["wait", "--timeout=1s"], options].concat(), 1))
}

/// A number of `/proc/PID/status`.
pub(crate) fn status(pid: Pid, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).expect("the kernel tells it")
}

/// Runs meshim behind a wrapper, and returns what was said on stderr.
fn runs(wrapper: &[&str], args: &[&str], code: i32) -> String {
    let binary = binary();
    let mut line = wrapper.iter().copied().chain(binary.to_str()).chain(args.iter().copied());
    let program = line.next().expect("there is the binary at least");
    let mut command = Command::new(program);
    command.args(line).env_clear().env("PATH", "/usr/bin:/bin");
    let ended = command.output();
    let ended =
        ended.unwrap_or_else(|error| panic!("{program}: {error}; .ci/run cost installs it"));
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(code), "{command:?}:\n{said}");
    said
}

/// The last number of looks in `(12 looks)` or `looks=12`; none where it says none.
fn looks(said: &str) -> u64 {
    let before = said.rsplit_once(" looks)").and_then(|(text, _)| text.rsplit_once('('));
    let after = said.rsplit_once("looks=").map(|(_, text)| ("", text));
    let number = before.or(after).map_or("0", |(_, text)| text);
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_default()
}
