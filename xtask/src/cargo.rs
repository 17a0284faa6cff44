//! Cargo commands from inside `cargo run`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::settings::Settings;
use crate::stage;

/// Prepares a cargo command at the root of the workspace.
pub(crate) fn cargo(settings: &Settings) -> Command {
    let mut command = Command::new(&settings.cargo);
    command.current_dir(&settings.workspace);
    // `cargo run` describes the xtask package in these variables; build scripts of other packages must not see them.
    for name in &settings.package_variables {
        command.env_remove(name);
    }
    command
}

/// Returns the output of `cargo metadata`, with resolved dependencies.
pub(crate) fn metadata(settings: &Settings) -> Result<Value> {
    let text = stage::capture(cargo(settings).args(["metadata", "--format-version", "1"]))?;
    serde_json::from_str(&text).context("`cargo metadata` printed no JSON")
}

/// Returns the target directory.
pub(crate) fn target(settings: &Settings) -> Result<PathBuf> {
    let metadata = metadata(settings)?;
    let target =
        metadata["target_directory"].as_str().context("`cargo metadata` names no target directory")?;
    Ok(PathBuf::from(target))
}

/// Returns the path of the program `stepladder` in this profile.
pub(crate) fn program(settings: &Settings, profile_directory: &str) -> Result<PathBuf> {
    Ok(target(settings)?.join(profile_directory).join(format!("stepladder{}", std::env::consts::EXE_SUFFIX)))
}

/// Whether a package has a library, whose documentation may contain examples.
pub(crate) fn has_library(metadata: &Value, name: &str) -> bool {
    let packages = metadata["packages"].as_array();
    packages
        .into_iter()
        .flatten()
        .filter(|package| package["name"] == name)
        .flat_map(|package| package["targets"].as_array().into_iter().flatten())
        .any(|target| target["doctest"] == true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_library_is_told_from_a_program() {
        let metadata = json!({
            "packages": [
                { "name": "both", "targets": [{ "doctest": false }, { "doctest": true }] },
                { "name": "program", "targets": [{ "doctest": false }] },
            ],
        });
        assert!(has_library(&metadata, "both"));
        assert!(!has_library(&metadata, "program"));
        assert!(!has_library(&metadata, "absent"));
    }
}
