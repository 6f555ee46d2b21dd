//! Owns strace: which calls a run makes, and a run in which one of them fails.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::errors;
use super::verdict::Kind;
use crate::support::directory::Directory;
use crate::support::process::{Ended, Process};

/// In seconds; longer than any run takes in which nothing hangs, on a busy machine, too.
const A_HANG: &str = "40";

/// How many occurrences of one call are tried one after the other, at its beginning and at its end.
const EACH: usize = 6;

/// Of those between, one in so many.
const SAMPLED: usize = 12;

/// One call of a run that is to fail.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) call: String,
    /// From 1, as strace counts them.
    number: usize,
    pub(crate) error: &'static str,
    /// Does the child make it, between fork and exec?
    in_child: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) ended: Ended,
    pub(crate) was_hit: bool,
    line: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} number {} fails with {}", self.call, self.number, self.error)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ended { code, signal, stdout, stderr } = &self.ended;
        writeln!(f, "  {}\n  code {code:?}, signal {signal:?}", self.line)?;
        write!(f, "  stdout: {stdout:?}\n  stderr: {stderr}")
    }
}

/// The binary whose calls fail.
fn binary() -> PathBuf {
    let built = format!("target/{}-unknown-linux-musl/release/meshim", std::env::consts::ARCH);
    let named = std::env::var_os("MESHIM_BINARY").map(PathBuf::from);
    let path = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(built));
    assert!(path.exists(), "{} is missing: images/build-static builds it", path.display());
    path
}

/// What is to fail, one after the other, in a run like this.
pub(crate) fn faults(args: &[&str], kind: Kind) -> Vec<Fault> {
    let (ended, text) = run(&["-y"], args);
    assert_eq!(ended.code, Some(kind.code()), "the recorded run is not a good one: {ended:#?}");
    let ours = calls_of_main(&text);
    let faults = ours.values().flat_map(|occurrences| {
        let last = occurrences.len().saturating_sub(EACH);
        let tried = occurrences.iter().enumerate();
        let tried = tried.filter(move |(at, _)| *at < EACH || *at >= last || at % SAMPLED == 0);
        tried.flat_map(|(_, call)| call.faults(false))
    });
    // With other calls the child's numbers cannot be told from the parent's.
    let in_child = ["setpgid", "execve"].map(|name| Call { name, arguments: "", number: 1 });
    let in_child = in_child.iter().filter(|_| kind == Kind::Supervises);
    faults.chain(in_child.flat_map(|call| call.faults(true))).collect()
}

/// One call of a recorded run.
struct Call<'a> {
    name: &'a str,
    arguments: &'a str,
    number: usize,
}

impl Call<'_> {
    fn faults(&self, in_child: bool) -> impl Iterator<Item = Fault> {
        let (call, number) = (self.name.to_owned(), self.number);
        let errors = errors::of(self.name, self.arguments).iter();
        errors.map(move |error| Fault { call: call.clone(), number, error, in_child })
    }
}

/// From the first one of main to the exec of the application, by their names.
fn calls_of_main(text: &str) -> BTreeMap<&str, Vec<Call<'_>>> {
    // The first one is strace's own, and not counted by it.
    let mut lines: Vec<(&str, &str)> = text.lines().filter_map(called).skip(1).collect();
    if let Some(exec) = lines.iter().position(|(name, _)| *name == "execve") {
        lines.truncate(exec + 1);
    }
    // The first thing that main does is to block signals, and to read them from a signalfd.
    let signalfd = lines.iter().position(|(name, _)| *name == "signalfd4");
    let first = signalfd.expect("main hears signals") - 1;
    let mut calls: BTreeMap<&str, Vec<Call<'_>>> = BTreeMap::new();
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, (name, arguments)) in lines.into_iter().enumerate() {
        let number = count.entry(name).and_modify(|number| *number += 1).or_insert(1);
        if at >= first {
            calls.entry(name).or_default().push(Call { name, arguments, number: *number });
        }
    }
    calls
}

/// A run like this in which that fails.
pub(crate) fn injected(args: &[&str], fault: &Fault) -> Run {
    let Fault { call, number, error, in_child } = fault;
    let (trace, inject) =
        (format!("trace={call},execve"), format!("inject={call}:error={error}:when={number}"));
    let options = ["-y", "-e", &trace, "-e", &inject, "-f"];
    let used = if *in_child { options.len() } else { options.len() - 1 };
    let (ended, text) = run(&options[..used], args);
    // Where the run was another one than the recorded, that number may be a call on another file,
    // or the application's.
    let is_injected = |line: &&str| line.ends_with("(INJECTED)");
    let ours = |line: &&str| !line.contains("execve(") || is_injected(line);
    let line = text.lines().skip(1).take_while(ours).find(is_injected);
    let line = line.unwrap_or_default();
    let arguments = line.split_once('(').map_or("", |(_, arguments)| arguments);
    let was_hit = !line.is_empty() && errors::of(call, arguments).contains(error);
    Run { ended, was_hit, line: line.to_owned() }
}

fn run(options: &[&str], args: &[&str]) -> (Ended, String) {
    let directory = Directory::new();
    let record = directory.join("strace");
    // It ends meshim, too, which strace alone would leave behind.
    let mut command = Command::new("timeout");
    command
        .args(["--signal=KILL", A_HANG, "strace", "-qq", "-e", "signal=none", "-o"])
        .arg(&record)
        .args(options)
        .arg(binary());
    command.args(args).env_clear().env("PATH", "/usr/bin:/bin").current_dir(directory.path());
    let ended = Process::spawn(&mut command).wait_within(Duration::from_secs(60));
    (ended, fs::read_to_string(record).expect("strace writes it"))
}

/// `openat` and the rest of `openat(AT_FDCWD, …`.
fn called(line: &str) -> Option<(&str, &str)> {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let call = line.split_once('(')?;
    (!call.0.is_empty() && call.0.chars().all(letter)).then_some(call)
}
