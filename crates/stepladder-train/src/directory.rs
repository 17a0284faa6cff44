//! The run directory.
//!
//! ```text
//! config.toml               every value, resolved
//! run.json                  versions, commit, device, threads, what was typed
//! demonstrations.jsonl.zst  what the expert did
//! demonstrations.sha256     its checksum, for `sha256sum -c`
//! expert-<env>-<split>.jsonl.zst    what it does on the tasks of an evaluation
//! <agent>/metrics.jsonl  <agent>/tensorboard/  <agent>/checkpoints/step-*/   one more level where every role has weights
//! <agent>/trained.json      present when training is complete
//! <agent>/round-N.jsonl.zst what the learner played in a round of imitation
//! <agent>/<env>-<split>.json        evaluation      <agent>/<env>-<split>.jsonl.zst   its episodes
//! dropped.json              episodes that broke off while something was played to learn from, by what was played
//! subsets.json              of which tasks the demonstrations are, where those are not all of a split
//! words-<env>-<split>.jsonl.zst     the expert's episodes in a split that learners practise in, for their words
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

/// Values by key, as a configuration file would have them.
pub type Settings = BTreeMap<String, String>;

/// What a run was started with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Format of the run directory.
    pub version: u32,
    /// Version of this program.
    pub stepladder: String,
    /// Commit it was built from.
    pub commit: String,
    /// Version of the libtorch that was loaded.
    pub libtorch: String,
    /// Preset or file that was typed.
    pub preset: String,
    /// Run seed.
    pub seed: u64,
    /// Worker threads; bit-exact continuation needs the same number.
    pub threads: usize,
    /// Device.
    pub device: String,
    /// How tasks are chosen where not all of a split are used.
    #[serde(default)]
    pub subsets: Choice,
    /// Values of the configuration that a continuation must not change; runs of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
    /// Unix time of the start.
    pub started: f64,
}

impl RunInfo {
    /// The format of run directories that this program writes, and the newest that it reads.
    pub const VERSION: u32 = 1;
}

/// A run directory that can be written.
#[derive(Debug, Clone)]
pub struct RunDir {
    /// Its path.
    pub root: PathBuf,
}

/// The commit that this binary was built from.
pub fn commit() -> &'static str {
    option_env!("STEPLADDER_COMMIT").unwrap_or("unknown")
}

/// Writes a file in one go: a kill leaves the old file or the new one ([`Output`]).
///
/// # Errors
/// If it cannot be written; the old content stays then.
pub fn replace_file(path: &Path, text: &str) -> Result<()> {
    let mut file = Output::create(path)?;
    file.write_all(text.as_bytes())?;
    file.finish()
}

impl RunDir {
    /// A new directory; refuses one that already holds a run.
    ///
    /// # Errors
    /// If the directory holds a run already or cannot be written.
    pub fn create(path: Option<&Path>, name: &str, resolved: &str, info: &RunInfo) -> Result<Self> {
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
        // The configuration comes last: its presence says that the directory is a run.
        replace_file(&root.join(CONFIG), resolved).with_context(unwritable)?;
        Ok(Self { root })
    }

    /// An existing run.
    ///
    /// # Errors
    /// If it is no run directory, or a file of it cannot be read.
    pub fn open(root: &Path) -> Result<(Self, Config, RunInfo)> {
        let path = root.join(CONFIG);
        if !path.exists() {
            bail!("{} is no run directory: it has no {CONFIG}", root.display());
        }
        let text = fs_err::read_to_string(&path)?;
        let config = config::from_resolved(&text, &path.display().to_string())?;
        let run_path = root.join(RUN);
        let text = fs_err::read_to_string(&run_path)?;
        let place = || run_path.display().to_string();
        let value: serde_json::Value = serde_json::from_str(&text).with_context(place)?;
        // Before the rest, which may look different there.
        if value["version"] != RunInfo::VERSION {
            bail!(
                "{}: version {} of a run directory; this program knows version {}",
                place(),
                value["version"],
                RunInfo::VERSION
            );
        }
        let info = serde_json::from_value(value).with_context(place)?;
        Ok((Self { root: root.to_owned() }, config, info))
    }

    /// Keeps other processes from training here for as long as the answer lives.
    ///
    /// # Errors
    /// If another process trains there.
    pub fn lock(&self) -> Result<fs_err::File> {
        let path = self.root.join("lock");
        let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        match file.file().try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => {
                bail!("{} is being trained by another process: wait for it, or stop it", self.root.display())
            }
            // Some network file systems have no locks; the run is then as safe as it was without one.
            Err(std::fs::TryLockError::Error(_)) => Ok(file),
        }
    }

    /// Directory of one agent.
    pub fn agent(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Refuses the name of an agent that the run does not have.
    ///
    /// # Errors
    /// If the run lacks it; the message lists those it has.
    pub fn check_agent(&self, config: &Config, name: &str) -> Result<()> {
        if !config.agents.contains_key(name) {
            let known: Vec<&str> = config.agents.keys().map(String::as_str).collect();
            bail!("{} has no agent `{name}`; it has {}", self.root.display(), known.join(", "));
        }
        Ok(())
    }

    fn dropped_file(&self) -> PathBuf {
        self.root.join("dropped.json")
    }

    /// Episodes that broke off while something was played to learn from, by what was played.
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

    /// Warns of dropped episodes and keeps their number, if there are any.
    ///
    /// # Errors
    /// If the record cannot be read or written.
    pub fn note_dropped(&self, what: &str, dropped: Dropped, reporter: &dyn Reporter) -> Result<()> {
        let mut all = self.dropped()?;
        if dropped.is_none() {
            // Played again without a break.
            if all.remove(what).is_none() {
                return Ok(());
            }
        } else {
            reporter.warn(&format!("{what}: {dropped}"));
            all.insert(what.to_owned(), dropped);
        }
        replace_file(&self.dropped_file(), &(serde_json::to_string_pretty(&all)? + "\n"))
    }

    fn subsets_file(&self) -> PathBuf {
        self.root.join("subsets.json")
    }

    /// Of which tasks the demonstrations are, for every split of which not all were played.
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

    /// Keeps that, if there is any such split.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn note_subsets(&self, subsets: &[String]) -> Result<()> {
        if subsets.is_empty() {
            return Ok(());
        }
        replace_file(&self.subsets_file(), &(serde_json::to_string_pretty(subsets)? + "\n"))
    }

    /// The expert's episodes.
    pub fn demonstrations(&self) -> PathBuf {
        self.root.join("demonstrations.jsonl.zst")
    }
}
