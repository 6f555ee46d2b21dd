//! Which of the processes that are seen are the application's.
//!
//! Owns that rule; must never look at the system.

use std::time::Duration;

use crate::core::findings::doctor::pages::Container;

/// The first process of a pod's shared process table. It belongs to no application.
const PAUSE: &str = "pause";

/// A process, not this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its name, as the kernel has it.
    pub name: String,
    /// Its user.
    pub uid: u32,
    /// How long it has run.
    pub age: Duration,
    /// It is in this very container: its mount namespace is ours.
    pub shares_our_root: bool,
}

impl Container {
    /// The application's processes: those of this container, or, from a debug container beside it,
    /// all but the proxy's and [`PAUSE`].
    #[must_use]
    pub fn of(processes: &[Process], proxy_uid: Option<u32>) -> Self {
        let here = |process: &&Process| process.shares_our_root;
        // From `kubectl debug` only our own shell shares our root, and the target's first process
        // has another one.
        let is_application = |process: &&Process| {
            process.name != PAUSE && Some(process.uid) != proxy_uid && !process.shares_our_root
        };
        let beside: Vec<&Process> = processes.iter().filter(is_application).collect();
        let ours: Vec<&Process> = processes.iter().filter(here).collect();
        let oldest = |list: &[&Process]| list.iter().map(|process| process.age).max();
        // A debug container is started after what it debugs.
        let of = if oldest(&beside) > oldest(&ours) && !beside.is_empty() && is_debugging(&ours) {
            beside
        } else {
            ours
        };
        Self { age: oldest(&of), commands: of.iter().map(|process| process.name.clone()).collect() }
    }
}

/// Nothing of this container runs but shells.
fn is_debugging(ours: &[&Process]) -> bool {
    ours.iter().all(|process| matches!(process.name.as_str(), "sh" | "bash" | "ash" | "meshim"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(name: &str, uid: u32, minutes: u64, shares_our_root: bool) -> Process {
        Process { name: name.to_owned(), uid, age: Duration::from_mins(minutes), shares_our_root }
    }

    fn of(processes: &[Process]) -> (Option<u64>, Vec<String>) {
        let container = Container::of(processes, Some(1337));
        (container.age.map(|age| age.as_secs() / 60), container.commands.into_iter().collect())
    }

    #[test]
    fn in_its_own_container_the_application_is_what_runs_there() {
        let found = of(&[process("nginx", 0, 60, true), process("sh", 0, 1, true)]);
        assert_eq!(found, (Some(60), vec!["nginx".to_owned(), "sh".to_owned()]));
        // One process table for the pod: other containers' processes are not ours.
        let shared = of(&[
            process("pause", 65_535, 90, false),
            process("envoy", 1337, 80, false),
            process("other", 5, 70, false),
            process("java", 5, 60, true),
        ]);
        assert_eq!(shared, (Some(60), vec!["java".to_owned()]));
    }

    #[test]
    fn from_a_debug_container_it_is_the_target() {
        let found = of(&[process("server", 1000, 60, false), process("envoy", 1337, 80, false)]);
        assert_eq!(found, (Some(60), vec!["server".to_owned()]));
        let with_a_shell = of(&[process("sh", 0, 1, true), process("server", 1000, 60, false)]);
        assert_eq!(with_a_shell, (Some(60), vec!["server".to_owned()]));
        assert_eq!(of(&[]), (None, vec![]));
    }
}
