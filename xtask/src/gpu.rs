//! `cargo xtask gpu`: a folder with the GPU measurements, to be copied to a machine with a GPU (docs/gpu.md).

mod inputs;
mod pieces;
mod weights;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use fs_err as fs;
use inputs::Inputs;
use pieces::Pieces;
use serde_json::json;

use crate::cargo::{cargo, metadata};
use crate::settings::Settings;
use crate::stage::{capture, execute, stage};
use crate::{data, pretrained, run};

/// The script and the description of the pieces, beside them.
const SCRIPT: &str = "run.py";
const MANIFEST: &str = "pieces.json";

/// Bytes of a piece: below the 60 MB that a transfer may have.
const PIECE: usize = 55_000_000;

/// Examples that measure; `stepladder` itself trains and evaluates.
const EXAMPLES: [&str; 3] = ["device_parity", "cloning_speed", "generation_speed"];

/// Writes the folder: into `out`, or into `gpu` of the target directory. With `tiny` everything is as small as possible, and
/// programs are those of the tests.
pub(crate) fn prepare(settings: &Settings, out: Option<PathBuf>, tiny: bool) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!("the programs must run on the Linux machine with the GPU: run this on Linux");
    }
    run::tensors(settings)?;
    let target = metadata(settings)?["target_directory"].as_str().map(PathBuf::from);
    let target = target.context("`cargo metadata` names no target directory")?;
    let out = out.unwrap_or_else(|| target.join("gpu"));
    clear(&out)?;
    let programs = stage("programs (the first build takes minutes)", || build(settings, &target, tiny))?;
    let root = match tiny {
        true => None,
        false => Some(stage("data and SmolLM2", || official(settings))?),
    };
    let count = stage("inputs", || {
        let scratch = out.join("scratch");
        fs::create_dir(&scratch)?;
        let inputs = Inputs { workspace: &settings.workspace, programs: &programs, scratch: &scratch };
        let mut archive = Pieces::archive(&out.join("pieces"), PIECE)?;
        match &root {
            None => inputs.tiny(&mut archive)?,
            Some(root) => inputs.full(root, &mut archive)?,
        }
        let pieces = pieces::finish(archive)?;
        let commit = capture(
            Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(&settings.workspace),
        );
        let commit = commit.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
        let count = pieces.len();
        let manifest = json!({ "commit": commit, "tiny": tiny, "pieces": pieces });
        fs::write(out.join(MANIFEST), serde_json::to_string_pretty(&manifest)?)?;
        fs::copy(settings.workspace.join("parity/gpu").join(SCRIPT), out.join(SCRIPT))?;
        fs::remove_dir_all(&scratch)?;
        Ok(count)
    })?;
    eprintln!("    {count} piece(s) in {}; on the machine with the GPU: python3 {SCRIPT}", out.display());
    Ok(())
}

/// Creates the folder, or empties one that this command wrote.
fn clear(out: &Path) -> Result<()> {
    if out.exists() {
        let mut entries = fs::read_dir(out)?;
        if entries.next().is_some() && !out.join(SCRIPT).exists() && !out.join("scratch").exists() {
            bail!(
                "{} is not empty and was not written by this command: choose another folder",
                out.display()
            );
        }
        fs::remove_dir_all(out)?;
    }
    fs::create_dir_all(out)?;
    Ok(())
}

/// Builds the programs and returns their paths.
fn build(settings: &Settings, target: &Path, tiny: bool) -> Result<Vec<PathBuf>> {
    let mut command = cargo(settings);
    // Features unify as they do for the tests, and one build serves both.
    command.args(["build", "--workspace", "--bin", "stepladder"]);
    command.args(EXAMPLES.iter().flat_map(|name| ["--example", name]));
    if !tiny {
        command.arg("--release");
    }
    execute(&mut command)?;
    let profile = target.join(if tiny { "debug" } else { "release" });
    let examples = EXAMPLES.iter().map(|name| profile.join("examples").join(name));
    Ok(std::iter::once(profile.join("stepladder")).chain(examples).collect())
}

/// Returns the data root, with SmolLM2 in it.
fn official(settings: &Settings) -> Result<PathBuf> {
    let root = data::prepare(settings)?.context(
        "no data root: set STEPLADDER_DATA to a folder, and run `stepladder model get smollm2-135m-instruct`",
    )?;
    pretrained::prepare(settings, &root)?;
    if !pretrained::directory(&root).is_dir() {
        bail!(
            "{} is missing: run `stepladder model get smollm2-135m-instruct`",
            pretrained::directory(&root).display()
        );
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        clear(&out).unwrap();
        clear(&out).unwrap();
        fs::write(out.join("thesis.tex"), "").unwrap();
        let message = clear(&out).unwrap_err().to_string();
        assert!(message.contains("was not written by this command"), "{message}");
        fs::write(out.join(SCRIPT), "").unwrap();
        clear(&out).unwrap();
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
    }
}
