//! Which process has a socket: `/proc/*/fd`, as far as the kernel lets us look.
//!
//! Owns the search and says what it could not see; must never decide whose a socket is. A
//! descriptor table may be read by its own user alone (`PTRACE_MODE_READ_FSCREDS`), and other
//! containers' processes are mostly not in our `/proc` at all.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::core::sockets::owner::Holder;
use crate::core::text::replaced;

/// How many descriptors are looked at in all: what a container of busy servers has, with room.
const MOST_DESCRIPTORS: usize = 400_000;

/// Who holds which socket, by inode.
#[derive(Debug, Default)]
pub struct Holders {
    /// Every inode that is asked about.
    found: Vec<(u64, Option<Holder>)>,
    /// Processes whose descriptors could not be read.
    pub unseen: usize,
    /// Why nothing or not everything was looked at.
    pub problem: Option<String>,
}

impl Holders {
    /// Who holds the socket with this inode.
    #[must_use]
    pub fn of(&self, inode: u64) -> Holder {
        let complete = self.unseen == 0 && self.problem.is_none();
        let otherwise = if complete { Holder::Nobody } else { Holder::Unseen };
        self.found
            .iter()
            .find(|found| found.0 == inode)
            .and_then(|found| found.1.clone())
            .unwrap_or(otherwise)
    }
}

/// Looks for the holders of the sockets with these inodes under `proc`, which is `/proc`.
#[must_use]
pub fn holders(proc: &Path, inodes: impl Iterator<Item = u64>) -> Holders {
    let found = inodes.map(|inode| (inode, None)).collect();
    let mut search =
        HolderSearch { left: MOST_DESCRIPTORS, holders: Holders { found, ..Holders::default() } };
    let entries = match fs::read_dir(proc) {
        Ok(entries) => entries,
        Err(error) => {
            search.holders.problem = Some(format!("{} cannot be read: {error}", proc.display()));
            return search.holders;
        }
    };
    if !proc.join("self").exists() {
        let proc = proc.display();
        search.holders.problem =
            Some(format!("{proc} shows no process, not even this one; mount /proc"));
        return search.holders;
    }
    // A container is what shares its root: in a pod with one process table the other containers'
    // differ.
    let ours = fs::read_link(proc.join("self/ns/mnt")).ok();
    // In the kernel's order, which is the processes' own: parents before their children, mostly.
    for pid in entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
    {
        search.process(&proc.join(pid.to_string()), pid, ours.as_deref());
        if search.left == 0 {
            search.holders.problem = Some(format!(
                "more than {MOST_DESCRIPTORS} descriptors are open in this container"
            ));
        }
        if search.left == 0 {
            break;
        }
    }
    search.holders
}

/// The inodes of this process's own sockets; none where `/proc` does not tell.
#[must_use]
pub fn own() -> Vec<u64> {
    let Ok(table) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let links = table.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    links.filter_map(|link| socket_inode(&link)).collect()
}

struct HolderSearch {
    left: usize,
    holders: Holders,
}

impl HolderSearch {
    /// A process that ends while it is looked at has no sockets any more.
    fn process(&mut self, directory: &Path, pid: u32, ours: Option<&Path>) {
        let table = match fs::read_dir(directory.join("fd")) {
            Ok(table) => table,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                self.holders.unseen += 1;
                return;
            }
            Err(_) => return,
        };
        let mut holder = None;
        for descriptor in table.flatten() {
            if self.left == 0 {
                return;
            }
            self.left -= 1;
            let link = match fs::read_link(descriptor.path()) {
                Ok(link) => link,
                // The same user, but with capabilities that we lack: the table opens, its entries
                // do not.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    self.holders.unseen += 1;
                    return;
                }
                Err(_) => continue,
            };
            // A pod has a dozen listening sockets: nothing is faster than to compare them all.
            let Some(inode) = socket_inode(&link) else { continue };
            let Some((_, found)) = self.holders.found.iter_mut().find(|found| found.0 == inode)
            else {
                continue;
            };
            let holder = holder.get_or_insert_with(|| whose(directory, pid, ours));
            // The first process wins: a server's parent has the socket, its workers have it, too.
            found.get_or_insert_with(|| holder.clone());
        }
    }
}

fn whose(directory: &Path, pid: u32, ours: Option<&Path>) -> Holder {
    let theirs = fs::read_link(directory.join("ns/mnt")).ok();
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if ours != theirs => Holder::Elsewhere,
        _ => Holder::Here { command: command(directory), pid },
    }
}

/// The process's name as the kernel has it, fit for a message.
fn command(directory: &Path) -> String {
    let name = fs::read(directory.join("comm")).unwrap_or_default();
    let name = replaced(String::from_utf8_lossy(&name).trim(), '?');
    if name.is_empty() { "?".to_owned() } else { name }
}

/// The inode in `socket:[12345]`.
fn socket_inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::io::sockets::listening;

    fn inode_of(listener: &TcpListener) -> u64 {
        let address = listener.local_addr().unwrap();
        listening::listening().unwrap().iter().find(|found| found.address == address).unwrap().inode
    }

    #[test]
    fn a_socket_of_this_process_is_found_with_its_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = inode_of(&listener);
        let found = holders(Path::new("/proc"), [inode].into_iter());
        let Holder::Here { command, pid } = found.of(inode) else { panic!("{found:?}") };
        assert_eq!(pid, std::process::id());
        assert!(command.starts_with("meshim"), "{command}");
    }

    #[test]
    fn our_own_sockets_are_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = inode_of(&listener);
        assert!(own().contains(&inode));
        drop(listener);
        assert!(!own().contains(&inode));
    }

    #[test]
    fn without_proc_it_says_so_and_does_not_guess() {
        let found = holders(Path::new("/no/such/proc"), [1].into_iter());
        assert!(found.problem.as_ref().unwrap().contains("/no/such/proc"));
        assert_eq!(found.of(1), Holder::Unseen);
    }

    #[test]
    fn a_socket_that_is_gone_belongs_to_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inode = inode_of(&listener);
        drop(listener);
        let found = holders(Path::new("/proc"), [inode].into_iter());
        assert!(!matches!(found.of(inode), Holder::Here { .. }));
    }
}
