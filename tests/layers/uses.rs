//! Owns what a path means: the file of ours, the crate or the part of std that it leads to. Must
//! never decide whether that is allowed.

use std::collections::BTreeMap;

use super::tree::{Named, Source};

/// One file names something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Use {
    pub(crate) from: String,
    pub(crate) to: Used,
    pub(crate) line: usize,
}

/// What is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Used {
    /// Another file of this crate.
    File(String),
    /// Something of a crate or of std, as `std::time::Instant`.
    Foreign(String),
}

/// Imports of imports: more than this is a circle of names, which the compiler refuses anyway.
const DEPTH: usize = 16;

/// Every use of another file or crate, outside of tests, each once, in the order of the files.
pub(crate) fn all(sources: &[Source], library: &str) -> Vec<Use> {
    let modules = Modules::of(sources, library);
    let mut uses = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        for named in &source.paths {
            let to = match modules.resolve(source, named, DEPTH) {
                Some(Found::File(file)) if file.name != source.name => {
                    Used::File(file.name.clone())
                }
                Some(Found::Foreign(path)) => Used::Foreign(path.join("::")),
                _ => continue,
            };
            uses.push(Use { from: source.name.clone(), to, line: named.line });
        }
    }
    uses.sort();
    uses.dedup_by(|one, other| one.from == other.from && one.to == other.to);
    uses
}

struct Modules<'a> {
    by_path: BTreeMap<&'a [String], &'a Source>,
    library: &'a str,
}

enum Found<'a> {
    File(&'a Source),
    Foreign(Vec<String>),
}

impl<'a> Modules<'a> {
    fn of(sources: &'a [Source], library: &'a str) -> Modules<'a> {
        let by_path = sources.iter().map(|source| (source.module.as_slice(), source)).collect();
        Modules { by_path, library }
    }

    /// `None` is a name of the file itself, of the prelude or of a type: nothing that is used.
    fn resolve(&self, source: &'a Source, named: &Named, depth: usize) -> Option<Found<'a>> {
        let (first, rest) = named.segments.split_first()?;
        let within = |module: &[String], rest: &[String]| [module, rest].concat();
        let depth = depth.checked_sub(1)?;
        match first.as_str() {
            "crate" => self.find(rest, depth),
            "self" => self.find(&within(&named.module, rest), depth),
            "super" => {
                let (_, outer) = named.module.split_last()?;
                let is_outer = |part: &&String| part.as_str() == "super";
                let more = rest.iter().take_while(is_outer).count();
                let outer = &outer[..outer.len().checked_sub(more)?];
                self.find(&within(outer, &rest[more..]), depth)
            }
            name => {
                let child = within(&named.module, std::slice::from_ref(first));
                if let Some(import) = source.imports.get(name)
                    && import.segments != named.segments
                    && (import.segments.len() > 1 || import.segments[0] != name)
                {
                    let segments = within(&import.segments, rest);
                    let named = Named { segments, ..import.clone() };
                    self.resolve(source, &named, depth)
                } else if self.by_path.contains_key(child.as_slice()) {
                    self.find(&within(&child, rest), depth)
                } else if source.items.contains(name) {
                    None
                } else if name == self.library {
                    self.find(rest, depth)
                } else {
                    Some(Found::Foreign(named.segments.clone()))
                }
            }
        }
    }

    /// The file that defines what this path of the crate names. A name that a module only imports
    /// and passes on belongs to the file that defines it.
    fn find(&self, path: &[String], depth: usize) -> Option<Found<'a>> {
        let length = (0..=path.len()).rev().find(|end| self.by_path.contains_key(&path[..*end]))?;
        let file = self.by_path[&path[..length]];
        let Some(name) = path.get(length) else { return Some(Found::File(file)) };
        if file.items.contains(name) {
            return Some(Found::File(file));
        }
        if let Some(import) = file.imports.get(name) {
            let segments = [&import.segments, &path[length + 1..]].concat();
            return self.resolve(file, &Named { segments, ..import.clone() }, depth);
        }
        let defines = |glob: &Named| match self.resolve(file, glob, depth) {
            Some(Found::File(opened)) if opened.items.contains(name) => Some(opened),
            _ => None,
        };
        Some(Found::File(file.globs.iter().find_map(defines).unwrap_or(file)))
    }
}
