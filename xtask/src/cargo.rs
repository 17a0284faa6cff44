//! Running cargo from inside `cargo run`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::settings::Settings;
use crate::stage;

/// A cargo command at the root of the workspace.
pub(crate) fn cargo(settings: &Settings) -> Command {
    let mut command = Command::new(&settings.cargo);
    command.current_dir(&settings.workspace);
    // `cargo run` describes the xtask package in these; the build scripts of others must not see them.
    for name in &settings.package_variables {
        command.env_remove(name);
    }
    command
}

/// What `cargo metadata` says, dependencies resolved.
pub(crate) fn metadata(settings: &Settings) -> Result<Value> {
    let text = stage::capture(cargo(settings).args(["metadata", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("`cargo metadata` printed no JSON")
}

/// Where the build puts the program `stepladder` in this profile.
pub(crate) fn program(settings: &Settings, profile_directory: &str) -> Result<PathBuf> {
    let metadata = metadata(settings)?;
    let target =
        metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(PathBuf::from(target)
        .join(profile_directory)
        .join(format!("stepladder{}", std::env::consts::EXE_SUFFIX)))
}

/// Names of the workspace's packages.
pub(crate) fn members(metadata: &Value) -> Vec<&str> {
    let ids = metadata["workspace_members"].as_array();
    packages(metadata)
        .filter(|package| ids.is_some_and(|ids| ids.contains(&package["id"])))
        .filter_map(|package| package["name"].as_str())
        .collect()
}

/// Whether a package has a library, in whose documentation there may be examples.
pub(crate) fn has_library(metadata: &Value, name: &str) -> bool {
    packages(metadata)
        .filter(|package| package["name"] == name)
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .any(|target| target["doctest"] == true)
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_and_their_libraries_are_read_from_metadata() {
        let metadata = json!({
            "workspace_members": ["1", "2"],
            "packages": [
                { "id": "1", "name": "a", "targets": [{ "doctest": false }, { "doctest": true }] },
                { "id": "2", "name": "b", "targets": [{ "doctest": false }] },
                { "id": "3", "name": "foreign", "targets": [{ "doctest": true }] },
            ],
        });
        assert_eq!(members(&metadata), ["a", "b"]);
        assert!(has_library(&metadata, "a"));
        assert!(!has_library(&metadata, "b"));
    }
}
