//! Layout of a run directory.
//!
//! ```text
//! config.toml               every value, resolved
//! run.json                  versions, commit, device, threads, command line
//! demonstrations.jsonl.zst  demonstrations of the expert
//! demonstrations.sha256     its checksum, for `sha256sum -c`
//! wandering.jsonl.zst  wandering.sha256     episodes with random sub-goals (`data.wander`), and their checksum
//! expert-<env>-<split>.jsonl.zst    the expert's episodes of an evaluation
//! <agent>/metrics.jsonl  <agent>/tensorboard/  <agent>/checkpoints/step-*/   below a folder per role if every role has weights
//! <agent>/trained.json      present when training is complete
//! <agent>/round-N.jsonl.zst episodes of the policy in a round of DAgger
//! <agent>/<env>-<split>.json        evaluation      <agent>/<env>-<split>.jsonl.zst   its episodes
//! dropped.json              numbers of aborted episodes that were dropped from training data, by rollout
//! subsets.json              descriptions of the demonstrated tasks, where they are not all of a split
//! words-<env>-<split>.jsonl.zst     the expert's episodes in a split of online training or DAgger, for their words
//! taken.json                the run that agents were taken over from (`train --take`), and their names
//! table.txt                 the last table that was printed
//! lock                      held by the process that trains
//! ```

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::output::Output;
use super::report::Reporter;
use crate::config::{self, Config};
use crate::error::{Result, bail};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use stepladder_rollout::Dropped;

const CONFIG: &str = "config.toml";
const RUN: &str = "run.json";

/// File that marks an agent's training as complete, with its counters.
pub(crate) const TRAINED: &str = "trained.json";

/// Values by key, as TOML text.
pub type Settings = BTreeMap<String, String>;

/// Record of the start of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Format version of the run directory.
    pub version: u32,
    /// Version of this program.
    pub stepladder: String,
    /// Commit of the program.
    pub commit: String,
    /// Version of the loaded libtorch.
    pub libtorch: String,
    /// Preset or file on the command line.
    pub preset: String,
    /// Run seed.
    pub seed: u64,
    /// Worker threads; bit-exact continuation needs the same number.
    pub threads: usize,
    /// Device, as `cpu` or `cuda[:N]`.
    pub device: String,
    /// Rule by which tasks are selected.
    #[serde(default)]
    pub subsets: Choice,
    /// Values of the configuration that a continuation must not change; absent in runs of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// Unix time of the start, in seconds.
    pub started: f64,
}

impl RunInfo {
    /// Format version that this program writes, and the newest that it reads.
    pub const VERSION: u32 = 1;
}

/// A run directory on disk.
#[derive(Debug, Clone)]
pub struct RunDir {
    /// Path of the directory.
    pub root: PathBuf,
}

/// Returns the commit that this binary was built from.
pub fn commit() -> &'static str {
    option_env!("STEPLADDER_COMMIT").unwrap_or("unknown")
}

/// Writes a file atomically: a kill leaves the old file or the new one ([`Output`]).
///
/// # Errors
/// If the file cannot be written; the old content is then unchanged.
pub fn replace_file(path: &Path, text: &str) -> Result<()> {
    let mut file = Output::create(path)?;
    file.write_all(text.as_bytes())?;
    file.finish()
}

impl RunDir {
    /// Creates a run directory. What it begins with is put into it by `fill`.
    ///
    /// # Errors
    /// If the directory holds a run already or cannot be written, or that of `fill`.
    pub fn create(
        path: Option<&Path>,
        name: &str,
        resolved: &str,
        info: &RunInfo,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let root = match path {
            Some(path) => path.to_owned(),
            None => (1..)
                .map(|number| PathBuf::from("runs").join(format!("{name}-{number}")))
                .find(|path| !path.exists())
                .unwrap_or_else(|| PathBuf::from("runs")),
        };
        if root.join(CONFIG).exists() {
            bail!(
                "{} already holds a run: continue it with `stepladder train --resume {}` or choose another --run-dir",
                root.display(),
                root.display()
            );
        }
        let unwritable =
            || format!("cannot write the run directory {}: choose another with --run-dir", root.display());
        fs_err::create_dir_all(&root).with_context(unwritable)?;
        replace_file(&root.join(RUN), &(serde_json::to_string_pretty(info)? + "\n"))
            .with_context(unwritable)?;
        fill(&root)?;
        // The configuration comes last: its presence marks the directory as a run.
        replace_file(&root.join(CONFIG), resolved).with_context(unwritable)?;
        Ok(Self { root })
    }

    /// Opens an existing run directory.
    ///
    /// # Errors
    /// If it is not a run directory, or a file of it cannot be read.
    pub fn open(root: &Path) -> Result<(Self, Config, RunInfo)> {
        let path = root.join(CONFIG);
        if !path.exists() {
            bail!("{} is not a run directory: it has no {CONFIG}", root.display());
        }
        let text = fs_err::read_to_string(&path)?;
        let config = config::from_resolved(&text, &path.display().to_string())?;
        let run_path = root.join(RUN);
        let text = fs_err::read_to_string(&run_path)?;
        let place = || run_path.display().to_string();
        let value: serde_json::Value = serde_json::from_str(&text).with_context(place)?;
        // Before the other fields, which may differ in another version.
        if value["version"] != RunInfo::VERSION {
            bail!(
                "{}: run directory of version {}; this program reads version {}",
                place(),
                value["version"],
                RunInfo::VERSION
            );
        }
        let info = serde_json::from_value(value).with_context(place)?;
        Ok((Self { root: root.to_owned() }, config, info))
    }

    /// Locks the run against training by other processes until the returned file is dropped.
    ///
    /// # Errors
    /// If another process trains the run.
    pub fn lock(&self) -> Result<fs_err::File> {
        let path = self.root.join("lock");
        let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        match file.file().try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {
                bail!("{} is being trained by another process: wait for it, or stop it", self.root.display())
            }
            // Some network file systems have no locks; the run then relies on the user.
            Err(std::fs::TryLockError::Error(_)) => Ok(file),
        }
    }

    /// Returns the directory of one agent.
    pub fn agent(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Refuses the name of an agent that the run does not have.
    ///
    /// # Errors
    /// If the run lacks the agent; the message lists its agents.
    pub fn check_agent(&self, config: &Config, name: &str) -> Result<()> {
        if !config.agents.contains_key(name) {
            let known: Vec<&str> = config.agents.keys().map(String::as_str).collect();
            bail!("{} has no agent `{name}`; it has {}", self.root.display(), known.join(", "));
        }
        Ok(())
    }

    pub(crate) fn dropped_file(&self) -> PathBuf {
        self.root.join("dropped.json")
    }

    /// Reads the numbers of aborted episodes that were dropped from training data, by the name of the rollout.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn dropped(&self) -> Result<BTreeMap<String, Dropped>> {
        let path = self.dropped_file();
        if !path.exists() {
            return Ok(BTreeMap::new());
        }
        Ok(serde_json::from_str(&fs_err::read_to_string(&path)?)
            .with_context(|| path.display().to_string())?)
    }

    /// Warns of dropped episodes and records their number, if there are any.
    ///
    /// # Errors
    /// If the record cannot be read or written.
    pub fn note_dropped(&self, what: &str, dropped: Dropped, reporter: &dyn Reporter) -> Result<()> {
        let mut all = self.dropped()?;
        if dropped.is_none() {
            // A repeated rollout without an aborted episode clears the record.
            if all.remove(what).is_none() {
                return Ok(());
            }
        } else {
            reporter.warn(&format!("{what}: {dropped}"));
            all.insert(what.to_owned(), dropped);
        }
        self.write_dropped(&all)
    }

    /// Replaces the record of dropped episodes.
    pub(crate) fn write_dropped(&self, all: &BTreeMap<String, Dropped>) -> Result<()> {
        replace_file(&self.dropped_file(), &(serde_json::to_string_pretty(all)? + "\n"))
    }

    fn subsets_file(&self) -> PathBuf {
        self.root.join("subsets.json")
    }

    /// Reads the descriptions of the demonstrated tasks, for every split that was not played completely.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn subsets(&self) -> Result<Vec<String>> {
        let path = self.subsets_file();
        if !path.exists() {
            return Ok(Vec::new());
        }
        Ok(serde_json::from_str(&fs_err::read_to_string(&path)?)
            .with_context(|| path.display().to_string())?)
    }

    /// Records the descriptions, if there are any.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn note_subsets(&self, subsets: &[String]) -> Result<()> {
        if subsets.is_empty() {
            return Ok(());
        }
        replace_file(&self.subsets_file(), &(serde_json::to_string_pretty(subsets)? + "\n"))
    }

    /// Returns the path of the episodes with random sub-goals.
    pub(crate) fn wandering(&self) -> PathBuf {
        self.root.join("wandering.jsonl.zst")
    }

    /// Returns the path of the demonstrations.
    pub fn demonstrations(&self) -> PathBuf {
        self.root.join("demonstrations.jsonl.zst")
    }
}
