//! ScienceWorld's simulator in the data root of xtask.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::cargo::{cargo, program};
use crate::run;
use crate::settings::Settings;
use crate::stage::execute;

/// Versions that tests play.
const VERSIONS: [&str; 2] = ["1.2.3", "1.1.3"];

/// Whether the tests of these packages (of all, if none is named) need the simulator.
pub(crate) fn concerns(packages: &[String]) -> bool {
    let users = ["stepladder", "stepladder-scienceworld", "stepladder-python"];
    packages.is_empty() || packages.iter().any(|package| users.contains(&package.as_str()))
}

/// Fetches missing files with `stepladder`. A data root of the user is left unchanged. Without a network the tests of the
/// simulator are skipped, except in CI.
pub(crate) fn prepare(settings: &Settings, root: &Path) -> Result<()> {
    if settings.data.is_some() {
        return Ok(());
    }
    let missing: Vec<&str> = VERSIONS.into_iter().filter(|version| !present(root, version)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    match missing.into_iter().try_for_each(|version| fetch(settings, root, version)) {
        Err(error) if !settings.ci => {
            eprintln!("WARNING: no ScienceWorld simulator, its tests will be SKIPPED: {error:#}");
            Ok(())
        }
        ending => ending,
    }
}

fn present(root: &Path, version: &str) -> bool {
    root.join("scienceworld").join(version).join("scienceworld.jar").is_file()
}

fn fetch(settings: &Settings, root: &Path, version: &str) -> Result<()> {
    run::tensors(settings)?;
    // Features unify as they do for the tests, and one build serves both.
    execute(cargo(settings).args(["build", "--workspace", "--bin", "stepladder"]))?;
    let mut get = Command::new(program(settings, "debug")?);
    execute(
        get.args(["data", "get", "scienceworld", "--option", &format!("version={version}"), "--data"])
            .arg(root),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_play_it_wait_for_the_simulator() {
        assert!(concerns(&[]));
        assert!(concerns(&["stepladder-env".to_owned(), "stepladder".to_owned()]));
        assert!(!concerns(&["stepladder-env".to_owned()]));
    }

    #[test]
    fn a_failure_is_an_error_in_ci_alone_and_what_is_there_is_not_fetched() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let mut settings = Settings::for_tests(root);
        prepare(&settings, root).unwrap();
        settings.ci = true;
        prepare(&settings, root).unwrap_err();
        for version in VERSIONS {
            fs_err::create_dir_all(root.join("scienceworld").join(version)).unwrap();
            fs_err::write(root.join("scienceworld").join(version).join("scienceworld.jar"), "").unwrap();
        }
        prepare(&settings, root).unwrap();
    }
}
