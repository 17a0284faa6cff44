//! Allowed dependencies between crates: the layering that keeps environments and agents free of tensors.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Relation "is used by", with the arrows of ARCHITECTURE.md. A crate may use everything upstream of it.
const ARROWS: &[(&str, &[&str])] = &[
    ("stepladder-core", &["stepladder-env", "stepladder-agent"]),
    (
        "stepladder-env",
        &[
            "stepladder-alfworld",
            "stepladder-sokoban",
            "stepladder-scienceworld",
            "stepladder-webshop",
            "stepladder-rollout",
            "stepladder-serve",
        ],
    ),
    ("stepladder-alfworld", &["stepladder-families"]),
    ("stepladder-sokoban", &["stepladder-families"]),
    ("stepladder-scienceworld", &["stepladder-families"]),
    ("stepladder-webshop", &["stepladder-families"]),
    ("stepladder-families", &["stepladder-train", "stepladder-python"]),
    ("stepladder-agent", &["stepladder-data", "stepladder-rollout"]),
    ("stepladder-data", &["stepladder-rollout"]),
    ("stepladder-rollout", &["stepladder-cpu"]),
    ("stepladder-cpu", &["stepladder-model", "stepladder-python"]),
    ("stepladder-serve", &["stepladder"]),
    ("stepladder-hub", &["stepladder-train"]),
    ("stepladder-model", &["stepladder-algo"]),
    ("stepladder-algo", &["stepladder-train"]),
    ("stepladder-train", &["stepladder"]),
    ("stepladder", &[]),
    ("stepladder-python", &[]),
    (TEST_SUPPORT, &[]),
    ("xtask", &[]),
];

/// Support for tests: every crate may use it in its tests, and xtask, which counts skipped tests, in its code.
const TEST_SUPPORT: &str = "stepladder-testing";

/// Crates that link libtorch.
const TENSOR_LIBRARIES: [&str; 2] = ["tch", "torch-sys"];

/// The only crates that may use the tensor library directly.
const TENSOR_CRATES: [&str; 2] = ["stepladder-model", "stepladder-algo"];

/// Whether building this workspace crate needs libtorch; true for unknown crates.
pub(crate) fn needs_tensors(name: &str) -> bool {
    let known = ARROWS.iter().any(|(used, _)| *used == name);
    !known || TENSOR_CRATES.contains(&name) || allowed(name).iter().any(|used| TENSOR_CRATES.contains(used))
}

/// Returns everything upstream of a crate.
fn allowed(name: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut queue = vec![name];
    while let Some(user) = queue.pop() {
        for (used, users) in ARROWS {
            if users.contains(&user) && found.insert(*used) {
                queue.push(used);
            }
        }
    }
    found
}

/// Refuses every edge of `cargo metadata` that the table does not allow.
pub(crate) fn check(metadata: &Value) -> Result<()> {
    let violations = violations(metadata)?;
    if violations.is_empty() {
        return Ok(());
    }
    bail!("forbidden dependencies (see ARCHITECTURE.md):\n  {}", violations.join("\n  "))
}

fn violations(metadata: &Value) -> Result<Vec<String>> {
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let members = strings(&metadata["workspace_members"]);
    let names: BTreeMap<&str, &str> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package["name"].as_str()?)))
        .collect();
    let ours: BTreeSet<&str> = members.iter().filter_map(|id| names.get(id).copied()).collect();
    let mut found = Vec::new();
    for package in packages {
        let Some(user) = package["name"].as_str().filter(|name| ours.contains(name)) else { continue };
        if !ARROWS.iter().any(|(name, _)| *name == user) {
            found.push(format!("`{user}` is not in the table of crates; add its edges to xtask/src/edges.rs and ARCHITECTURE.md"));
            continue;
        }
        let allowed = allowed(user);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let used = dependency["name"].as_str().context("a dependency has no name")?;
            let kind =
                dependency["kind"].as_str().map_or(String::new(), |kind| format!(" ({kind}-dependency)"));
            if used == TEST_SUPPORT {
                if user != "xtask" && dependency["kind"] != "dev" {
                    found.push(format!("`{user}` uses `{used}`{kind}; only tests may, as a dev-dependency"));
                }
            } else if ours.contains(used) && !allowed.contains(used) {
                let list = match allowed.iter().copied().collect::<Vec<_>>() {
                    list if list.is_empty() => "nothing of the workspace".to_owned(),
                    list => list.join(", "),
                };
                found.push(format!("`{user}` uses `{used}`{kind}; it may use {list}"));
            }
            if TENSOR_LIBRARIES.contains(&used) && !TENSOR_CRATES.contains(&user) {
                found.push(format!("`{user}` uses `{used}`{kind}; only {} may", TENSOR_CRATES.join(" and ")));
            }
        }
    }
    for id in &members {
        let Some(name) = names.get(id).filter(|name| !needs_tensors(name)) else { continue };
        if let Some(path) = path_to_tensors(metadata, id, &names) {
            found.push(format!("`{name}` must stay free of tensors, but: {path}"));
        }
    }
    Ok(found)
}

/// Returns the path from a package to the tensor library, over dependencies of every kind.
fn path_to_tensors(metadata: &Value, from: &str, names: &BTreeMap<&str, &str>) -> Option<String> {
    let nodes: BTreeMap<&str, Vec<&str>> = metadata["resolve"]["nodes"]
        .as_array()?
        .iter()
        .filter_map(|node| Some((node["id"].as_str()?, strings(&node["dependencies"]))))
        .collect();
    let mut seen = BTreeSet::from([from]);
    let mut queue = vec![vec![from]];
    while let Some(path) = queue.pop() {
        let last = *path.last()?;
        if names.get(last).is_some_and(|name| TENSOR_LIBRARIES.contains(name)) {
            let words: Vec<&str> = path.iter().filter_map(|id| names.get(id).copied()).collect();
            return Some(words.join(" → "));
        }
        for next in nodes.get(last).into_iter().flatten() {
            if seen.insert(next) {
                queue.push([path.as_slice(), &[next]].concat());
            }
        }
    }
    None
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Builds the metadata of a workspace in which each line `a -> b` (or `a -dev> b`) is a dependency.
    fn workspace(lines: &[&str]) -> Value {
        let mut packages: BTreeMap<&str, Vec<(&str, Option<&str>)>> = BTreeMap::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            let kind = (words[1] == "-dev>").then_some("dev");
            packages.entry(words[0]).or_default().push((words[2], kind));
            packages.entry(words[2]).or_default();
        }
        let list: Vec<Value> = packages
            .iter()
            .map(|(name, uses)| {
                let uses: Vec<Value> =
                    uses.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
                json!({ "id": format!("id:{name}"), "name": name, "dependencies": uses })
            })
            .collect();
        let nodes: Vec<Value> = packages
            .iter()
            .map(|(name, uses)| {
                let uses: Vec<String> = uses.iter().map(|(name, _)| format!("id:{name}")).collect();
                json!({ "id": format!("id:{name}"), "dependencies": uses })
            })
            .collect();
        let ours = |name: &&&str| name.starts_with("stepladder") || **name == "xtask";
        let members: Vec<String> = packages.keys().filter(ours).map(|name| format!("id:{name}")).collect();
        json!({ "packages": list, "workspace_members": members, "resolve": { "nodes": nodes } })
    }

    fn complaints(lines: &[&str]) -> Vec<String> {
        violations(&workspace(lines)).unwrap()
    }

    #[test]
    fn the_layering_itself_passes() {
        let lines = [
            "stepladder-env -> stepladder-core",
            "stepladder-alfworld -> stepladder-env",
            "stepladder-alfworld -> stepladder-core",
            "stepladder-agent -> stepladder-core",
            "stepladder-data -> stepladder-agent",
            "stepladder-rollout -> stepladder-env",
            "stepladder-rollout -> stepladder-data",
            "stepladder-model -> stepladder-rollout",
            "stepladder-model -> tch",
            "stepladder-algo -> stepladder-model",
            "stepladder-algo -> stepladder-env",
            "stepladder -> stepladder-algo",
            "stepladder -dev> stepladder-alfworld",
            "stepladder-alfworld -dev> stepladder-testing",
            "xtask -> stepladder-testing",
            "tch -> torch-sys",
            "xtask -> anyhow",
        ];
        assert_eq!(complaints(&lines), Vec::<String>::new());
    }

    #[test]
    fn an_environment_must_not_use_another_one() {
        let found = complaints(&["stepladder-alfworld -> stepladder-sokoban"]);
        assert_eq!(
            found,
            ["`stepladder-alfworld` uses `stepladder-sokoban`; it may use stepladder-core, stepladder-env"]
        );
    }

    #[test]
    fn tests_are_held_to_the_same_edges() {
        let found = complaints(&["stepladder-agent -dev> stepladder-env"]);
        assert_eq!(
            found,
            ["`stepladder-agent` uses `stepladder-env` (dev-dependency); it may use stepladder-core"]
        );
        let found = complaints(&["stepladder-core -> stepladder-env"]);
        assert_eq!(found, ["`stepladder-core` uses `stepladder-env`; it may use nothing of the workspace"]);
    }

    #[test]
    fn support_for_tests_stays_out_of_the_product() {
        let found = complaints(&["stepladder-core -> stepladder-testing"]);
        assert_eq!(
            found,
            ["`stepladder-core` uses `stepladder-testing`; only tests may, as a dev-dependency"]
        );
        let found = complaints(&["stepladder-testing -> stepladder-core"]);
        assert_eq!(
            found,
            ["`stepladder-testing` uses `stepladder-core`; it may use nothing of the workspace"]
        );
    }

    #[test]
    fn tensors_are_found_behind_other_packages() {
        let found = complaints(&["stepladder-data -> tokenizer", "tokenizer -> nice", "nice -> torch-sys"]);
        assert_eq!(
            found,
            [
                "`stepladder-data` must stay free of tensors, but: stepladder-data → tokenizer → nice → torch-sys"
            ]
        );
        let found = complaints(&["stepladder -> tch"]);
        assert_eq!(found, ["`stepladder` uses `tch`; only stepladder-model and stepladder-algo may"]);
    }

    #[test]
    fn a_new_crate_must_be_placed() {
        let found = complaints(&["stepladder-new -> anyhow"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("`stepladder-new` is not in the table of crates"), "{found:?}");
    }

    #[test]
    fn only_what_lies_above_the_model_needs_libtorch() {
        let needing: Vec<&str> =
            ARROWS.iter().map(|(name, _)| *name).filter(|name| needs_tensors(name)).collect();
        assert_eq!(needing, ["stepladder-model", "stepladder-algo", "stepladder-train", "stepladder"]);
        assert!(needs_tensors("stepladder-unheard-of"));
    }
}
