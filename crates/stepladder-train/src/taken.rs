//! Finished agents of another run, which a new run takes over in place of training them again.
//!
//! Only cloned agents are taken over, with the demonstrations that they learned from: what follows them, how they are evaluated and on which
//! tasks other agents learn may differ between the two runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use stepladder_env::names::shorten;

use crate::config::{self, Algo, Config};
use crate::directory::{RunDir, replace_file};
use crate::error::{Result, bail};
use crate::training::TRAINED;

const RECORD: &str = "taken.json";

/// Tables whose values decide what a cloned agent learns from demonstrations.
const DECISIVE: [&str; 8] =
    ["env", "data", "model", "model.scratch", "model.lora", "generation", "algo.adamw", "algo.bc"];

/// Files of a run directory that belong to its demonstrations.
const DEMONSTRATIONS: [&str; 5] = [
    "demonstrations.jsonl.zst",
    "demonstrations.sha256",
    "wandering.jsonl.zst",
    "wandering.sha256",
    "subsets.json",
];

/// Record of the agents that a run took over, in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Directory of the run that trained them.
    pub run: PathBuf,
    /// Commit of the program that started it.
    pub commit: String,
    /// Their names.
    pub agents: Vec<String>,
}

/// Finished agents of a run, checked against the configuration that takes them over.
pub(crate) struct Source {
    run: RunDir,
    taken: Taken,
}

/// Lists the agents that a run of `config` can take over from one of `other`: cloned ones that both have with the same settings.
///
/// # Errors
/// If the configurations differ in a value that decides what such agents learn, or have none in common.
pub fn in_common(config: &Config, other: &Config) -> Result<Vec<String>> {
    let (here, there) = (decisive(config), decisive(other));
    let said = |values: &BTreeMap<String, String>, key: &str| {
        values.get(key).map_or_else(|| "absent".to_owned(), |value| shorten(value))
    };
    let mut keys: Vec<&String> = here.keys().chain(there.keys()).collect();
    keys.sort();
    keys.dedup();
    let differing: Vec<String> = keys
        .into_iter()
        .filter(|key| here.get(*key) != there.get(*key))
        .map(|key| format!("{key} is {} here, {} there", said(&here, key), said(&there, key)))
        .collect();
    if !differing.is_empty() {
        bail!(
            "agents are taken over from a run with the same demonstrations and model; {}",
            differing.join(", ")
        );
    }
    let cloned = config.agents.iter().filter(|(_, agent)| agent.algo == Algo::Bc);
    let both = cloned.filter(|(name, agent)| other.agents.get(*name) == Some(agent));
    let names: Vec<String> = both.map(|(name, _)| name.clone()).collect();
    if names.is_empty() {
        bail!("the two runs have no cloned agent of the same name with the same settings");
    }
    Ok(names)
}

fn decisive(config: &Config) -> BTreeMap<String, String> {
    let decides = |path: &str| {
        path == "seed" || path.rsplit_once('.').is_some_and(|(table, _)| DECISIVE.contains(&table))
    };
    let values = config::effective(config).into_iter().filter(|(path, _)| decides(path));
    values.map(|(path, value)| (path, config::inline(&value))).collect()
}

impl Source {
    /// Opens the run at `path` and checks that a run of `config` can take agents over from it.
    ///
    /// # Errors
    /// As [`in_common`], or if `path` is no run or has not trained these agents to the end.
    pub(crate) fn open(path: &Path, config: &Config) -> Result<Self> {
        let (run, other, info) = RunDir::open(path)?;
        let agents = in_common(config, &other).with_context(|| path.display().to_string())?;
        if let Some(name) = agents.iter().find(|name| !run.agent(name).join(TRAINED).exists()) {
            bail!("{name} is not trained to the end yet: stepladder train --resume {}", path.display());
        }
        Ok(Self { run, taken: Taken { run: path.to_owned(), commit: info.commit, agents } })
    }

    /// Copies agents and demonstrations into the run directory `root`; the record comes last.
    ///
    /// # Errors
    /// If a file cannot be copied.
    pub(crate) fn copy(&self, root: &Path) -> Result<()> {
        for entry in fs_err::read_dir(&self.run.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if DEMONSTRATIONS.contains(&name.as_str()) || is_words(&name) {
                fs_err::copy(entry.path(), root.join(&name))?;
            }
        }
        for agent in &self.taken.agents {
            let (from, to) = (self.run.agent(agent), root.join(agent));
            fs_err::create_dir_all(&to)?;
            for entry in fs_err::read_dir(&from)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // The other files are evaluations, which this run makes itself.
                if entry.file_type()?.is_dir() {
                    copy_folder(&entry.path(), &to.join(&name))?;
                } else if [TRAINED, "metrics.jsonl"].contains(&name.as_str()) {
                    fs_err::copy(entry.path(), to.join(&name))?;
                }
            }
        }
        replace_file(&root.join(RECORD), &(serde_json::to_string_pretty(&self.taken)? + "\n"))
    }
}

impl Taken {
    /// Reads the record of a run; none if it took nothing over.
    ///
    /// # Errors
    /// If the record cannot be read.
    pub fn read(run: &RunDir) -> Result<Option<Self>> {
        let path = run.root.join(RECORD);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs_err::read_to_string(&path)?;
        Ok(Some(serde_json::from_str(&text).with_context(|| path.display().to_string())?))
    }
}

/// Whether a file of a run directory holds episodes that the expert played for their words.
fn is_words(name: &str) -> bool {
    name.starts_with("words-") && name.ends_with(".jsonl.zst")
}

/// Returns the paths of the episodes that were played for their words, in alphabetical order.
///
/// # Errors
/// If the directory cannot be read.
pub(crate) fn words(run: &RunDir) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(&run.root)? {
        let entry = entry?;
        if is_words(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &place)?;
        } else {
            fs_err::copy(entry.path(), &place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        config::load("rl-sokoban-7x7", &sets).unwrap().config
    }

    #[test]
    fn what_the_clones_do_not_read_may_differ() {
        let here = config(&[
            "agents.grpo=false",
            "algo.online.tasks=sokoban/train-6x6-1",
            "algo.online.learning_rate=0.1",
            "algo.himac.explore_mini_batch=8",
            "eval.split=dev-6x6-1",
            "eval.final=test-6x6-1",
            "log.keep=1",
        ]);
        assert_eq!(in_common(&here, &config(&[])).unwrap(), ["warm", "warm_flat"]);
        // An agent with other settings is trained.
        let other = config(&["agents.warm.until=0.5"]);
        assert_eq!(in_common(&here, &other).unwrap(), ["warm_flat"]);
    }

    #[test]
    fn what_the_clones_read_must_not() {
        let refused = |set: &str| in_common(&config(&[set]), &config(&[])).unwrap_err().to_string();
        assert!(refused("seed=2").ends_with("seed is 2 here, 1 there"), "{}", refused("seed=2"));
        for set in [
            "data.games=9",
            "env.max_steps=20",
            "model.scratch.width=32",
            "algo.adamw.clip=2.0",
            "algo.bc.floor=0.5",
        ] {
            let (key, value) = set.split_once('=').unwrap();
            assert!(refused(set).contains(&format!("{key} is {value} here, ")), "{}", refused(set));
        }
        let none = in_common(&config(&["agents.warm.until=0.5"]), &config(&["agents.warm_flat.until=0.5"]))
            .unwrap_err();
        assert!(none.to_string().contains("no cloned agent"), "{none}");
    }
}
