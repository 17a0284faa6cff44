//! Import cycles between the files of a crate.
//!
//! A file depends on the file that defines what it names: re-exports are followed, and a parent that only declares or
//! re-exports its children depends on none of them. Code under `#[cfg(test)]` may import anything.

mod graph;
mod module;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

use crate::settings::Settings;

/// Crates whose files must form a directed acyclic graph (docs/design.md, section 3).
const CRATES: [&str; 8] = [
    "stepladder-agent",
    "stepladder-algo",
    "stepladder-cpu",
    "stepladder-data",
    "stepladder-model",
    "stepladder-rollout",
    "stepladder-scienceworld",
    "stepladder-train",
];

/// Refuses import cycles between files of [`CRATES`].
///
/// # Errors
/// One line per cycle with the imports that close it, or the file that cannot be parsed.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    let mut found = Vec::new();
    for name in CRATES {
        let root = settings.workspace.join("crates").join(name).join("src");
        for cycle in cycles(&root)? {
            found.push(format!("{name}: {cycle}"));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!(
        "import cycles between files; move what both need into a file that imports neither:\n  {}",
        found.join("\n  ")
    )
}

/// Returns the shortest cycle of every group of files that import each other, as text.
fn cycles(src: &Path) -> Result<Vec<String>> {
    let modules = module::load(src)?;
    let mut edges: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for import in module::imports(&modules) {
        let targets = edges.entry(import.from).or_default();
        targets.entry(import.to).or_insert(import.path);
    }
    Ok(graph::shortest_cycles(&edges)
        .into_iter()
        .map(|cycle| {
            let mut text = String::new();
            for (from, to) in cycle.iter().zip(cycle.iter().skip(1).chain(cycle.first())) {
                text += &format!("{from} -({})-> ", edges[from][to]);
            }
            text + &cycle[0]
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        cycles(directory.path()).unwrap()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_cycle() {
        let lib = ("lib.rs", "mod a; pub mod b;");
        let cycle =
            [lib, ("a.rs", "use crate::b::B; pub struct A(B);"), ("b.rs", "pub struct B(crate::a::A);")];
        assert_eq!(found(&cycle), ["a.rs -(crate::b::B)-> b.rs -(crate::a::A)-> a.rs"]);
        let line = [lib, ("a.rs", "use crate::b::B; pub struct A(B);"), ("b.rs", "pub struct B;")];
        assert_eq!(found(&line), [""; 0]);
    }

    #[test]
    fn re_exports_are_followed_to_the_file_that_defines_the_name() {
        let files = [
            ("lib.rs", "mod a; mod b; pub use a::A; pub use b::*;"),
            ("a.rs", "use crate::B; pub struct A(B);"),
            ("b.rs", "pub struct B;"),
        ];
        assert_eq!(found(&files), [""; 0]);
        let closed = [files[0], files[1], ("b.rs", "use super::A; pub struct B; fn f(_: A) {}")];
        assert_eq!(found(&closed), ["a.rs -(crate::B)-> b.rs -(super::A)-> a.rs"]);
    }

    #[test]
    fn a_parent_with_code_of_its_own_takes_part() {
        let files = [
            ("lib.rs", "mod p;"),
            ("p/mod.rs", "mod c; pub(crate) struct Job; pub(crate) fn run(job: Job) { c::work(job) }"),
            ("p/c.rs", "pub(super) fn work(_: super::Job) {}"),
        ];
        assert_eq!(found(&files), ["p/c.rs -(super::Job)-> p/mod.rs -(c::work)-> p/c.rs"]);
        let only_declares = [("lib.rs", "mod p;"), ("p/mod.rs", "mod c; pub(crate) struct Job;"), files[2]];
        assert_eq!(found(&only_declares), [""; 0]);
    }

    #[test]
    fn tests_may_import_anything_and_macros_are_read() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "pub fn a() { println!(\"{}\", crate::b::b()) }"),
            (
                "b.rs",
                "pub fn b() -> u8 { 1 }\n#[cfg(test)] mod tests { use crate::a::a; }\n#[cfg(test)] mod more;",
            ),
            ("b/more.rs", "use crate::a::a;"),
        ];
        assert_eq!(found(&files), [""; 0]);
        let through_macro = [files[0], files[1], ("b.rs", "pub fn b() -> u8 { crate::a::a(); 1 }"), files[3]];
        assert_eq!(found(&through_macro), ["a.rs -(crate::b::b)-> b.rs -(crate::a::a)-> a.rs"]);
    }

    #[test]
    fn the_shortest_cycle_of_a_group_is_told() {
        let files = [
            ("lib.rs", "mod a; mod b; mod c;"),
            ("a.rs", "pub struct A(crate::b::B);"),
            ("b.rs", "pub struct B(crate::c::C);"),
            ("c.rs", "pub struct C(crate::a::A, crate::b::B);"),
        ];
        assert_eq!(found(&files), ["b.rs -(crate::c::C)-> c.rs -(crate::b::B)-> b.rs"]);
    }
}
