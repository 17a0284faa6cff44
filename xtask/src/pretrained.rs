//! SmolLM2-135M-Instruct in the data root of xtask.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::cargo::{cargo, program};
use crate::edges;
use crate::run;
use crate::settings::Settings;
use crate::stage::execute;

/// Name of the model.
pub(crate) const MODEL: &str = "smollm2-135m-instruct";

/// Returns the directory of the model below a data root.
pub(crate) fn directory(root: &Path) -> PathBuf {
    root.join("models").join(MODEL)
}

/// Whether the tests of these packages (of all, if none is named) need the model.
pub(crate) fn concerns(packages: &[String]) -> bool {
    packages.is_empty() || packages.iter().any(|package| edges::needs_tensors(package))
}

/// Fetches the model with `stepladder`, unless it is present. A data root of the user is left unchanged. Without a network the
/// tests of the model are skipped, except in CI.
pub(crate) fn prepare(settings: &Settings, root: &Path) -> Result<()> {
    if settings.data.is_some() || directory(root).is_dir() {
        return Ok(());
    }
    match fetch(settings, root) {
        Err(error) if !settings.ci => {
            eprintln!("WARNING: no {MODEL}, its tests will be SKIPPED: {error:#}");
            Ok(())
        }
        ending => ending,
    }
}

fn fetch(settings: &Settings, root: &Path) -> Result<()> {
    run::tensors(settings)?;
    // Features unify as they do for the tests, and one build serves both.
    execute(cargo(settings).args(["build", "--workspace", "--bin", "stepladder"]))?;
    let mut get = Command::new(program(settings, "debug")?);
    execute(get.args(["model", "get", MODEL, "--data"]).arg(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_an_error_in_ci_alone_and_what_is_there_is_not_fetched() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        let mut settings = Settings::for_tests(root);
        prepare(&settings, root).unwrap();
        settings.ci = true;
        prepare(&settings, root).unwrap_err();
        fs_err::create_dir_all(directory(root)).unwrap();
        prepare(&settings, root).unwrap();
    }

    #[test]
    fn only_crates_with_models_wait_for_it() {
        assert!(concerns(&[]) && concerns(&["stepladder-model".to_owned()]));
        assert!(!concerns(&["stepladder-env".to_owned()]));
    }
}
