//! Owns the reading of a source tree: which module each file is, what it defines, imports and
//! names. Must never decide whether that is allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, Meta, UseTree};

/// A path as it is written, with the module that it is written in.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) module: Vec<String>,
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// One file, outside of its tests.
#[derive(Debug, Default)]
pub(crate) struct Source {
    /// Below `src`, as `core/envoy/stats.rs`.
    pub(crate) name: String,
    /// As `["core", "envoy", "stats"]`.
    pub(crate) module: Vec<String>,
    /// What the file defines itself.
    pub(crate) items: BTreeSet<String>,
    /// The types and traits among them, also those inside of a function, and where they begin.
    pub(crate) types: Vec<(String, usize)>,
    /// By the name that an import gives.
    pub(crate) imports: BTreeMap<String, Named>,
    /// The modules that a glob opens.
    pub(crate) globs: Vec<Named>,
    /// Every path: the imports, and what expressions, types, patterns, attributes and macros name.
    pub(crate) paths: Vec<Named>,
    /// Is it a part of the tests as a whole (`#[cfg(test)] mod tests;`)?
    pub(crate) is_test: bool,
}

/// Every `.rs` file below the folder, in the order of their names.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    files_that(root, &has_extension("rs"))
}

/// The files below the folder that are wanted, in the order of their names.
pub(crate) fn files_that(root: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(root, wanted, &mut files);
    files.sort();
    files
}

pub(crate) fn has_extension(wanted: &str) -> impl Fn(&Path) -> bool {
    move |path| path.extension().is_some_and(|extension| extension == wanted)
}

/// All of them, read.
pub(crate) fn read(root: &Path) -> Vec<Source> {
    let mut tests = BTreeSet::new();
    let mut sources: Vec<Source> =
        files(root).iter().map(|path| read_file(root, path, &mut tests)).collect();
    for source in &mut sources {
        source.is_test = tests.iter().any(|test| source.module.starts_with(test));
    }
    sources
}

fn collect(folder: &Path, wanted: &dyn Fn(&Path) -> bool, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of ours") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(&path, wanted, files);
        } else if wanted(&path) {
            files.push(path);
        }
    }
}

fn read_file(root: &Path, path: &Path, tests: &mut BTreeSet<Vec<String>>) -> Source {
    let name = path.strip_prefix(root).expect("below src").display().to_string();
    let text = fs::read_to_string(path).expect("a source is text");
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let module = module_of(&name);
    let source = Source { name, module: module.clone(), ..Source::default() };
    let mut reader = Reader { source, inside: module, tests };
    reader.visit_file(&file);
    reader.source
}

/// `lib.rs` is the crate itself, `main.rs` a crate of its own.
fn module_of(name: &str) -> Vec<String> {
    let path = name.strip_suffix(".rs").expect("only such files are read");
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

struct Reader<'a> {
    source: Source,
    /// The module that is being read: the file's own, or one that stands inside of it.
    inside: Vec<String>,
    tests: &'a mut BTreeSet<Vec<String>>,
}

impl Reader<'_> {
    fn named(&self, segments: Vec<String>, line: usize) -> Named {
        Named { module: self.inside.clone(), segments, line }
    }

    fn import(&mut self, tree: &UseTree, before: &[String], line: usize) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (segments, known_as) = match tree {
            UseTree::Path(path) => return self.import(&path.tree, &with(&path.ident), line),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.import(tree, before, line));
            }
            UseTree::Glob(_) => {
                let named = self.named(before.to_vec(), line);
                self.source.globs.push(named.clone());
                return self.source.paths.push(named);
            }
            UseTree::Name(name) if name.ident == "self" => {
                (before.to_vec(), before.last().cloned().unwrap_or_default())
            }
            UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
            UseTree::Rename(rename) if rename.ident == "self" => {
                (before.to_vec(), rename.rename.to_string())
            }
            UseTree::Rename(rename) => (with(&rename.ident), rename.rename.to_string()),
        };
        let named = self.named(segments, line);
        self.source.imports.insert(known_as, named.clone());
        self.source.paths.push(named);
    }

    /// Tokens that are not parsed, as a macro's: each `a::b::c` among them.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let (mut line, mut colons) = (0, 0);
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) if colons == 2 && !path.is_empty() => {
                    path.push(ident.to_string());
                }
                TokenTree::Ident(ident) => {
                    self.path(&mut path, line);
                    path.push(ident.to_string());
                    line = token.span().start().line;
                }
                TokenTree::Group(group) => {
                    self.path(&mut path, line);
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.path(&mut path, line),
            }
            colons = 0;
        }
        self.path(&mut path, line);
    }

    /// A single word may be anything, so only what has two parts is a path.
    fn path(&mut self, path: &mut Vec<String>, line: usize) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            let named = self.named(path, line);
            self.source.paths.push(named);
        }
    }

    fn define(&mut self, item: &Item) {
        let (name, is_type) = match item {
            Item::Const(item) => (&item.ident, false),
            Item::Fn(item) => (&item.sig.ident, false),
            Item::Static(item) => (&item.ident, false),
            Item::Enum(item) => (&item.ident, true),
            Item::Struct(item) => (&item.ident, true),
            Item::Trait(item) => (&item.ident, true),
            Item::Type(item) => (&item.ident, true),
            Item::Union(item) => (&item.ident, true),
            _ => return,
        };
        if is_type {
            self.source.types.push((name.to_string(), name.span().start().line));
        }
        if self.inside == self.source.module {
            self.source.items.insert(name.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if let Item::Mod(module) = item {
            return self.visit_item_mod(module);
        }
        if !is_for_tests(attributes_of(item)) {
            self.define(item);
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let module = [self.inside.as_slice(), &[item.ident.to_string()]].concat();
        if is_for_tests(&item.attrs) {
            self.tests.insert(module);
            return;
        }
        let outside = std::mem::replace(&mut self.inside, module);
        visit::visit_item_mod(self, item);
        self.inside = outside;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, &[], item.use_token.span.start().line);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let mut segments = path.segments.iter().map(|part| part.ident.to_string()).collect();
        let line = path.segments.first().map_or(0, |part| part.ident.span().start().line);
        self.path(&mut segments, line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast Macro) {
        self.tokens(invoked.tokens.clone());
        visit::visit_macro(self, invoked);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta {
            self.tokens(list.tokens.clone());
        }
        visit::visit_attribute(self, attribute);
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Is it `#[cfg(test)]`?
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        matches!(&attribute.meta, Meta::List(list)
            if list.path.is_ident("cfg") && list.tokens.to_string() == "test")
    })
}
