//! Owns what is refused: files outside of every room, arrows up, circles, names of types with two
//! meanings, crates and effects where they do not belong. Each refusal is one line that names the
//! file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::tree::{self, Source};
use super::uses::{self, Use, Used};

/// A part of the crate.
pub(crate) struct Room {
    /// How messages and other rooms call it.
    pub(crate) name: &'static str,
    /// Folders (with a slash at the end: the files directly in it) and files. A file that is named
    /// belongs where it is named.
    pub(crate) holds: &'static [&'static str],
    /// The rooms it may use beside itself. They stand before it in the table.
    pub(crate) uses: &'static [&'static str],
}

/// A path of std, or a crate, and where it may be named.
pub(crate) struct Place {
    pub(crate) path: &'static str,
    pub(crate) allowed: &'static [&'static str],
}

/// What holds for a tree.
pub(crate) struct House {
    pub(crate) library: &'static str,
    pub(crate) rooms: &'static [Room],
    /// Every crate of `[dependencies]`.
    pub(crate) crates: &'static [Place],
    /// Parts of std that do something to the world.
    pub(crate) effects: &'static [Place],
}

/// A tree that was read: `Cargo.toml` and `src/` below one folder.
pub(crate) struct Read<'a> {
    house: &'a House,
    sources: Vec<Source>,
    uses: Vec<Use>,
    dependencies: BTreeSet<String>,
}

impl<'a> Read<'a> {
    pub(crate) fn new(house: &'a House, folder: &Path) -> Read<'a> {
        let sources = tree::read(&folder.join("src"));
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        Read {
            house,
            uses: uses::all(&sources, house.library),
            sources,
            dependencies: dependencies(&manifest),
        }
    }

    pub(crate) fn files(&self) -> usize {
        self.sources.len()
    }

    fn room_of(&self, file: &str) -> Option<&'a Room> {
        let folder = file.rfind('/').map_or("", |end| &file[..=end]);
        let holding =
            |place: &str| self.house.rooms.iter().find(|room| room.holds.contains(&place));
        holding(file).or_else(|| holding(folder))
    }

    /// Files of tests belong to the module that they test.
    pub(crate) fn without_a_room(&self) -> Vec<String> {
        let files = self.sources.iter().filter(|source| !source.is_test);
        let files = files.filter(|source| self.room_of(&source.name).is_none());
        files.map(|source| format!("{}: stands in no room", source.name)).collect()
    }

    /// A reader who sees a type's name must not have to look which of two it is.
    pub(crate) fn types_defined_twice(&self) -> Vec<String> {
        let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for source in self.sources.iter().filter(|source| !source.is_test) {
            for (name, line) in &source.types {
                places.entry(name).or_default().push(format!("{}:{line}", source.name));
            }
        }
        places.retain(|_, at| at.len() > 1);
        places.into_iter().map(|(name, at)| format!("{name}: {}", at.join(", "))).collect()
    }

    /// `(from, to, line)` between files of ours.
    fn arrows(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.uses.iter().filter_map(|used| match &used.to {
            Used::File(to) => Some((used.from.as_str(), to.as_str(), used.line)),
            Used::Foreign(_) => None,
        })
    }

    pub(crate) fn arrows_up(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (from, to, line) in self.arrows() {
            if let (Some(room), Some(used)) = (self.room_of(from), self.room_of(to))
                && room.name != used.name
                && !room.uses.contains(&used.name)
            {
                wrong
                    .push(format!("{from}:{line}: {} may not use {to} ({})", room.name, used.name));
            }
        }
        wrong
    }

    /// The table itself: a room names only rooms above it, so that rooms make no circle.
    pub(crate) fn rooms_out_of_order(&self) -> Vec<String> {
        let mut before = BTreeSet::new();
        let mut wrong = Vec::new();
        for room in self.house.rooms {
            for used in room.uses.iter().filter(|used| !before.contains(*used)) {
                wrong.push(format!("{}: {used} does not stand before it", room.name));
            }
            before.insert(room.name);
        }
        wrong
    }

    /// Files that reach each other: one line for each such group, with a shortest way around.
    pub(crate) fn circles(&self) -> Vec<String> {
        let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to, _) in self.arrows() {
            next.entry(from).or_default().push(to);
        }
        let mut told = BTreeSet::new();
        let mut circles = Vec::new();
        for file in next.keys().copied() {
            if !told.contains(file)
                && let Some(way) = way_around(file, &next)
            {
                let leads_back = |other: &&str| reachable(other, &next).contains(file);
                told.extend(reachable(file, &next).into_iter().filter(leads_back));
                circles.push(way.join(" -> "));
            }
        }
        circles
    }

    fn foreign(&self) -> impl Iterator<Item = (&Use, &str)> {
        self.uses.iter().filter_map(|used| match &used.to {
            Used::Foreign(path) => Some((used, path.as_str())),
            Used::File(_) => None,
        })
    }

    pub(crate) fn effects(&self) -> Vec<String> {
        self.misplaced(self.house.effects)
    }

    pub(crate) fn crates(&self) -> Vec<String> {
        let mut wrong = self.misplaced(self.house.crates);
        let listed: BTreeSet<&str> = self.house.crates.iter().map(|place| place.path).collect();
        for name in &self.dependencies {
            if !listed.contains(name.as_str()) {
                wrong.push(format!("Cargo.toml: {name} is not in the list of crates"));
            } else if !self.foreign().any(|(_, path)| leads_into(path, name)) {
                wrong.push(format!("Cargo.toml: {name} is used nowhere"));
            }
        }
        for name in listed.into_iter().filter(|name| !self.dependencies.contains(*name)) {
            wrong.push(format!("the list of crates: {name} is not in Cargo.toml"));
        }
        wrong
    }

    fn misplaced(&self, places: &[Place]) -> Vec<String> {
        let mut wrong = Vec::new();
        for place in places {
            let fits = |file: &str| place.allowed.iter().any(|allowed| file.starts_with(allowed));
            for (used, path) in self.foreign() {
                if leads_into(path, place.path) && !fits(&used.from) {
                    wrong.push(format!("{}:{}: {path} does not belong here", used.from, used.line));
                }
            }
        }
        wrong
    }
}

fn leads_into(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn reachable<'a>(start: &str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = next.get(start).into_iter().flatten().copied().collect();
    while let Some(file) = open.pop() {
        if reached.insert(file) {
            open.extend(next.get(file).into_iter().flatten());
        }
    }
    reached
}

/// A shortest way from the file back to itself.
fn way_around<'a>(start: &'a str, next: &BTreeMap<&'a str, Vec<&'a str>>) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in &ways {
            let end = way.last().expect("a way has a start");
            for to in next.get(end).into_iter().flatten() {
                let along = [way.as_slice(), &[*to]].concat();
                if *to == start {
                    return Some(along);
                }
                if seen.insert(*to) {
                    longer.push(along);
                }
            }
        }
        ways = longer;
    }
    None
}

/// The names in `[dependencies]` and `[dependencies.NAME]`, as code writes them.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        if let Some(head) = line.strip_prefix('[') {
            let head = head.trim_end_matches(']');
            inside = head == "dependencies";
            names.extend(head.strip_prefix("dependencies.").map(str::to_owned));
        } else if inside && let Some((name, _)) = line.split_once('=') {
            names.insert(name.trim().split('.').next().unwrap_or_default().to_owned());
        }
    }
    names.into_iter().map(|name| name.replace('-', "_")).collect()
}
