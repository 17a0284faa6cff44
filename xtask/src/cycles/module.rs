//! Modules of a crate, and the imports of each file from the others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, Macro, UseTree};

/// Limit on chains of re-exports.
const DEPTH: usize = 16;

/// A module path from the crate root; the root itself is empty.
type Place = Vec<String>;

/// A module, in its own file or in that of an ancestor.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// Relative to the source folder, with `/`.
    file: String,
    children: BTreeSet<String>,
    /// Names of items defined in it.
    items: BTreeSet<String>,
    /// Imported and re-exported names with the path behind each.
    names: BTreeMap<String, Vec<String>>,
    /// Paths of glob imports.
    globs: Vec<Vec<String>>,
    /// Paths written in it: imports, and paths in code.
    paths: Vec<Written>,
}

/// A path as written.
#[derive(Debug)]
struct Written {
    segments: Vec<String>,
    /// Whether it is in a public `use`.
    exported: bool,
}

/// An import from one file to another.
#[derive(Debug)]
pub(super) struct Import {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) path: String,
}

/// Reads all modules of a crate without its tests.
///
/// # Errors
/// If a file cannot be read or parsed.
pub(super) fn load(src: &Path) -> Result<BTreeMap<Place, Module>> {
    let mut modules = BTreeMap::new();
    let root = if src.join("lib.rs").exists() { "lib.rs" } else { "main.rs" };
    read(src, root, Vec::new(), &mut modules)?;
    Ok(modules)
}

fn read(src: &Path, file: &str, place: Place, modules: &mut BTreeMap<Place, Module>) -> Result<()> {
    let path = src.join(file);
    let text = fs_err::read_to_string(&path)?;
    let parsed = syn::parse_file(&text).with_context(|| path.display().to_string())?;
    let files = fill(file, &place, &parsed.items, modules);
    for child in files {
        // The children of `a/mod.rs`, `lib.rs` and `main.rs` are in the same folder, those of `a.rs` in the folder `a`.
        let own = PathBuf::from(file);
        let stem = own.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut folder = own.parent().map(Path::to_path_buf).unwrap_or_default();
        if !matches!(stem.as_str(), "mod" | "lib" | "main") {
            folder.push(stem);
        }
        let name = child.last().cloned().unwrap_or_default();
        let inner = place.len()..child.len() - 1;
        folder.extend(&child[inner]);
        let flat = folder.join(format!("{name}.rs"));
        let nested = folder.join(&name).join("mod.rs");
        let found = if src.join(&flat).exists() { flat } else { nested };
        read(src, &found.to_string_lossy().replace('\\', "/"), child, modules)?;
    }
    Ok(())
}

/// Adds the module at `place` and its inline modules; returns the paths of children in files.
fn fill(file: &str, place: &Place, items: &[Item], modules: &mut BTreeMap<Place, Module>) -> Vec<Place> {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    let mut files = Vec::new();
    for item in items {
        if is_test(attributes(item)) {
            continue;
        }
        match item {
            Item::Mod(child) => {
                let name = child.ident.to_string();
                module.children.insert(name.clone());
                let below: Place = place.iter().cloned().chain([name]).collect();
                match &child.content {
                    Some((_, items)) => files.extend(fill(file, &below, items, modules)),
                    None => files.push(below),
                }
            }
            Item::Use(import) => module.import(import),
            _ => {
                module.items.extend(name(item));
                Paths(&mut module).visit_item(item);
            }
        }
    }
    modules.insert(place.clone(), module);
    files
}

impl Module {
    fn import(&mut self, import: &ItemUse) {
        let exported = !matches!(import.vis, syn::Visibility::Inherited);
        let mut leaves = Vec::new();
        spread(&import.tree, &mut Vec::new(), &mut leaves);
        for (path, name) in leaves {
            match name {
                Some(name) => {
                    self.names.insert(name, path.clone());
                }
                None => self.globs.push(path.clone()),
            }
            self.paths.push(Written { segments: path, exported });
        }
    }
}

/// Collects the paths of a `use` tree with the name that each imports; `None` for a glob.
fn spread(tree: &UseTree, before: &mut Vec<String>, leaves: &mut Vec<(Vec<String>, Option<String>)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            spread(&path.tree, before, leaves);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            leaves.push((before.clone(), before.last().cloned()));
        }
        UseTree::Name(name) => {
            let path = before.iter().cloned().chain([name.ident.to_string()]).collect();
            leaves.push((path, Some(name.ident.to_string())));
        }
        UseTree::Rename(rename) => {
            let path = before.iter().cloned().chain([rename.ident.to_string()]).collect();
            leaves.push((path, Some(rename.rename.to_string())));
        }
        UseTree::Glob(_) => leaves.push((before.clone(), None)),
        UseTree::Group(group) => group.items.iter().for_each(|tree| spread(tree, before, leaves)),
    }
}

/// Visitor that collects the paths of an item's code.
struct Paths<'a>(&'a mut Module);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.0.paths.push(Written { segments, exported: false });
        visit::visit_path(self, path);
    }

    // `pub(super)` and `pub(in …)` name a module without importing from it.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_item_use(&mut self, import: &'ast ItemUse) {
        self.0.import(import);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        tokens(call.tokens.clone(), self.0);
    }
}

/// Collects paths in the arguments of a macro: names joined by `::`.
fn tokens(stream: TokenStream, module: &mut Module) {
    let mut segments: Vec<String> = Vec::new();
    let mut colons = 0;
    let mut end = |segments: &mut Vec<String>| {
        if segments.len() > 1 {
            module.paths.push(Written { segments: std::mem::take(segments), exported: false });
        }
        segments.clear();
    };
    let mut inner = Vec::new();
    for token in stream {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut segments);
                }
                segments.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            other => {
                end(&mut segments);
                colons = 0;
                if let TokenTree::Group(group) = other {
                    inner.push(group.stream());
                }
            }
        }
    }
    end(&mut segments);
    for stream in inner {
        tokens(stream, module);
    }
}

/// Returns the imports of each file from other files.
pub(super) fn imports(modules: &BTreeMap<Place, Module>) -> Vec<Import> {
    let mut found = Vec::new();
    for (place, module) in modules {
        for written in &module.paths {
            let Some(target) = resolve(modules, place, &written.segments, DEPTH) else { continue };
            let below = target.len() > place.len() && target.starts_with(place);
            let to = &modules[&target].file;
            if *to != module.file && !(written.exported && below) {
                found.push(Import {
                    from: module.file.clone(),
                    to: to.clone(),
                    path: written.segments.join("::"),
                });
            }
        }
    }
    found
}

/// Returns the module that defines the target of a path in `from`; `None` for a path into another crate.
fn resolve(modules: &BTreeMap<Place, Module>, from: &Place, path: &[String], depth: usize) -> Option<Place> {
    let depth = depth.checked_sub(1)?;
    let mut place = from.clone();
    let mut rest = path;
    let mut anchored = false;
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => place.clear(),
            "super" => {
                place.pop();
            }
            "self" => {}
            _ => break,
        }
        anchored = true;
        rest = after;
    }
    if !anchored {
        // A relative path: a child module, or an imported name.
        let first = path.first()?;
        let module = &modules[from];
        if !module.children.contains(first) {
            let before = module.names.get(first).filter(|before| before.first() != Some(first))?;
            let whole: Vec<String> = before.iter().chain(&path[1..]).cloned().collect();
            return resolve(modules, from, &whole, depth);
        }
    }
    for (at, segment) in rest.iter().enumerate() {
        let module = modules.get(&place)?;
        if module.children.contains(segment) {
            place.push(segment.clone());
        } else if module.items.contains(segment) {
            return Some(place);
        } else if let Some(behind) = module.names.get(segment) {
            let whole: Vec<String> = behind.iter().chain(&rest[at + 1..]).cloned().collect();
            return resolve(modules, &place, &whole, depth);
        } else {
            let through = module.globs.iter().find_map(|glob| {
                let whole: Vec<String> = glob.iter().chain(&rest[at..]).cloned().collect();
                let found = resolve(modules, &place, &whole, depth)?;
                modules[&found].items.contains(segment).then_some(found)
            });
            return Some(through.unwrap_or(place));
        }
    }
    modules.contains_key(&place).then_some(place)
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}
