//! Content of the archive: programs, scripts, models and games.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use fs_err as fs;
use serde_json::{Value, json};

use super::pieces::Archive;
use super::weights;
use crate::pretrained;
use crate::stage::{capture, execute};

/// Scripts of the parts, from `parity`.
const SCRIPTS: [&str; 5] = [
    "gpu/parts.py",
    "llm_speed/measure.py",
    "llm_speed/cloning.py",
    "llm_speed/generation.py",
    "llm_speed/make_requests.py",
];

/// Shapes of random models, from `parity/gpu/shapes`.
const SHAPES: [&str; 3] = ["qwen2.5-1.5b", "qwen2.5-0.5b", "qwen2.5-7b"];

/// Official games that are trained on and played.
const GAMES: &str = "alfworld/json_2.1.1";
const SPLITS: [&str; 2] = ["train", "valid_seen"];

/// Sources of the archive.
pub(super) struct Inputs<'a> {
    pub(super) workspace: &'a Path,
    pub(super) programs: &'a [PathBuf],
    /// An empty directory for files that are made.
    pub(super) scratch: &'a Path,
}

impl Inputs<'_> {
    /// Adds everything at its real size; without official games, generated households take their place.
    pub(super) fn full(&self, root: &Path, archive: &mut Archive) -> Result<()> {
        let model = self.made(&format!("data/models/{}", pretrained::MODEL))?;
        copy_texts(&pretrained::directory(root), &model)?;
        let weights = pretrained::directory(root).join("model.safetensors");
        weights::to_bf16(&weights, &model.join("model.safetensors"))?;
        let official = SPLITS.iter().all(|split| root.join(GAMES).join(split).is_dir());
        if official {
            for split in SPLITS {
                let place = format!("{GAMES}/{split}");
                archive.append_dir_all(format!("data/{place}"), root.join(&place))?;
            }
        } else {
            eprintln!("    no {GAMES} below {}: generated households take their place", root.display());
        }
        let preset = if official { "smollm2-alfworld" } else { "smollm2-household" };
        self.common(archive, &model, 300, &SHAPES, preset)
    }

    /// Adds the same kinds of inputs, as small as possible.
    pub(super) fn tiny(&self, archive: &mut Archive) -> Result<()> {
        let model = self.made("data/models/tiny")?;
        weights::tiny(&model)?;
        copy_texts(&self.workspace.join("crates/stepladder-data/tests/pretrained/gpt2"), &model)?;
        self.common(archive, &model, 2, &["qwen2.5-tiny"], "smollm2-household")
    }

    /// Adds programs, scripts, checkpoints, shapes, the rows of `games` episodes, and the model that was made in `model`.
    fn common(
        &self,
        archive: &mut Archive,
        model: &Path,
        games: usize,
        shapes: &[&str],
        preset: &str,
    ) -> Result<()> {
        let programs = self.made("bin")?;
        for program in self.programs {
            let name = program.file_name().context("a program without a name")?;
            execute(Command::new("strip").arg("-o").arg(programs.join(name)).arg(program))?;
        }
        let export = programs.join("cloning_speed");
        let rows = self.scratch.join("rows.jsonl");
        let printed =
            capture(Command::new(export).arg("export").arg(model).arg(&rows).arg(format!("games={games}")))?;
        eprint!("    rows of {games} episodes: {printed}");
        let settings: Value = json!({
            "model": model.strip_prefix(self.scratch)?.display().to_string(),
            "preset": preset,
            "shapes": shapes,
        });
        fs::write(self.scratch.join("settings.json"), settings.to_string())?;
        archive.append_dir_all(".", self.scratch)?;
        for script in SCRIPTS {
            let path = self.workspace.join("parity").join(script);
            let name = path.file_name().context("a script without a name")?;
            archive.append_path_with_name(&path, Path::new("python").join(name))?;
        }
        for shape in shapes {
            let path = self.workspace.join("parity/gpu/shapes").join(shape);
            archive.append_dir_all(format!("shapes/{shape}"), path)?;
        }
        archive
            .append_dir_all("checkpoints", self.workspace.join("crates/stepladder-model/tests/families"))?;
        Ok(())
    }

    /// Creates a directory for files of the archive that are made.
    fn made(&self, name: &str) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

/// Copies the files of a model other than its weights.
fn copy_texts(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let name = path.file_name().context("a file without a name")?;
        if path.extension().is_some_and(|extension| extension == "json") {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
