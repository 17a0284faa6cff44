//! Finished agents of another run, which a new run takes over in place of training them again.
//!
//! Only cloned agents are taken over, with the demonstrations that they learned from: what follows them, how they are evaluated and on which
//! tasks other agents learn may differ between the two runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use stepladder_env::names::shorten;

use crate::config::{self, Algo, Config};
use crate::directory::{RunDir, TRAINED, replace_file};
use crate::error::{Result, bail};
use crate::unchanged::{check_episodes, check_settings};

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

/// Beginnings of the names of the rollouts that [`RunDir::dropped`] counts for demonstrations.
const DEMONSTRATED: [&str; 3] = ["demonstrations", "random sub-goals", "words of "];

/// Record of the agents that a run took over, in its directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Directory of the run that they were copied from.
    pub run: PathBuf,
    /// Commit of the program that started that run.
    pub commit: String,
    /// Their names.
    pub agents: Vec<String>,
    /// The cloned agents that this run trains although that run has them, and the settings that differ; empty if there are none.
    pub trained_here: String,
}

/// Finished agents of a run, checked against the configuration that takes them over.
pub(crate) struct Source {
    run: RunDir,
    taken: Taken,
}

/// Lists the agents that a run of `config` can take over from one of `other`: cloned ones that both have with the same settings, and that
/// start from none but such agents.
///
/// # Errors
/// If the configurations differ in a value that decides what such agents learn, or have none in common.
pub fn in_common(config: &Config, other: &Config) -> Result<Vec<String>> {
    let differing = differences(&decisive(config), &decisive(other));
    if !differing.is_empty() {
        bail!("{differing}; use the same values, or train the agents here");
    }
    let mut names: Vec<String> = Vec::new();
    for (name, agent) in config.agents.iter().filter(|(_, agent)| agent.algo == Algo::Bc) {
        let source_is_taken = agent.from.as_ref().is_none_or(|from| names.contains(from));
        if source_is_taken && other.agents.get(name) == Some(agent) {
            names.push(name.clone());
        }
    }
    if names.is_empty() {
        let cloned = |config: &Config| {
            let found = config.agents.iter().filter(|(_, agent)| agent.algo == Algo::Bc);
            found.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        bail!(
            "no cloned agent has the same name and settings in both: {} here, {} there; train the agents here",
            cloned(config),
            cloned(other)
        );
    }
    Ok(names)
}

/// Describes the cloned agents that a run of `config` trains itself although the run of `other` has them; empty if there are none.
fn retrained(config: &Config, other: &Config, taken: &[String]) -> String {
    let of = |config: &Config, name: &str| -> BTreeMap<String, String> {
        let prefix = format!("agents.{name}.");
        let values = config::effective(config).into_iter().filter(|(path, _)| path.starts_with(&prefix));
        values.map(|(path, value)| (path, config::inline(&value))).collect()
    };
    let own = config.agents.iter().filter(|(name, agent)| agent.algo == Algo::Bc && !taken.contains(name));
    let both = own.filter(|(name, _)| other.agents.contains_key(*name));
    let parts: Vec<String> = both
        .map(|(name, _)| format!("{name} ({})", differences(&of(config, name), &of(other, name))))
        .collect();
    parts.join("; ")
}

/// Lists the keys in which two sets of values differ, with both values.
fn differences(here: &BTreeMap<String, String>, there: &BTreeMap<String, String>) -> String {
    let said = |values: &BTreeMap<String, String>, key: &str| {
        values.get(key).map_or_else(|| "absent".to_owned(), |value| shorten(value))
    };
    let keys: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let differing = keys.into_iter().filter(|key| here.get(*key) != there.get(*key));
    let parts: Vec<String> = differing
        .map(|key| format!("{key} is {} here, {} there", said(here, key), said(there, key)))
        .collect();
    parts.join(", ")
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
    /// As [`in_common`], or if `path` is no run, was changed since it began, or has not trained these agents to the end.
    pub(crate) fn open(path: &Path, config: &Config) -> Result<Self> {
        let (run, other, info) = RunDir::open(path)?;
        check_settings(&run, &other, &info)?;
        let refused = || format!("cannot take agents over from {}", path.display());
        let agents = in_common(config, &other).with_context(refused)?;
        if let Some(name) = agents.iter().find(|name| !run.agent(name).join(TRAINED).exists()) {
            bail!("{name} is not trained to the end yet: stepladder train --resume {}", path.display());
        }
        for episodes in [run.demonstrations(), run.wandering()] {
            if episodes.exists() {
                check_episodes(&episodes).with_context(refused)?;
            }
        }
        let trained_here = retrained(config, &other, &agents);
        Ok(Self { run, taken: Taken { run: path.to_owned(), commit: info.commit, agents, trained_here } })
    }

    /// Copies agents and demonstrations into the run directory `root`. The record comes first: it says what a stopped command left
    /// ([`clear`]).
    ///
    /// # Errors
    /// If `root` lies in the other run, or a file cannot be copied.
    pub(crate) fn copy(&self, root: &Path) -> Result<()> {
        let (here, there) = (fs_err::canonicalize(root)?, fs_err::canonicalize(&self.run.root)?);
        if here.starts_with(&there) {
            bail!("{} lies in {}: choose another --run-dir", root.display(), self.run.root.display());
        }
        replace_file(&root.join(RECORD), &(serde_json::to_string_pretty(&self.taken)? + "\n"))?;
        for entry in fs_err::read_dir(&self.run.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if DEMONSTRATIONS.contains(&name.as_str()) || is_words(&name) {
                fs_err::copy(entry.path(), root.join(&name))?;
            }
        }
        let own = RunDir { root: root.to_owned() };
        let mut dropped = self.run.dropped()?;
        dropped.retain(|what, _| DEMONSTRATED.iter().any(|start| what.starts_with(start)));
        if !dropped.is_empty() {
            own.write_dropped(&dropped)?;
        }
        for agent in &self.taken.agents {
            let (from, to) = (self.run.agent(agent), own.agent(agent));
            fs_err::create_dir_all(&to)?;
            for entry in fs_err::read_dir(&from)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // The other files are evaluations, which this run makes itself.
                if entry.path().is_dir() {
                    copy_folder(&entry.path(), &to.join(&name))?;
                } else if [TRAINED, "metrics.jsonl"].contains(&name.as_str()) {
                    fs_err::copy(entry.path(), to.join(&name))?;
                }
            }
        }
        Ok(())
    }
}

/// Removes what a stopped command copied into a directory that did not become a run.
///
/// # Errors
/// If a file cannot be read or removed.
pub(crate) fn clear(root: &Path) -> Result<()> {
    let run = RunDir { root: root.to_owned() };
    let Some(taken) = Taken::read(&run)? else { return Ok(()) };
    for agent in taken.agents.iter().map(|agent| run.agent(agent)).filter(|agent| agent.exists()) {
        fs_err::remove_dir_all(agent)?;
    }
    let demonstrations = DEMONSTRATIONS.iter().map(|name| root.join(name));
    for file in demonstrations.chain([run.dropped_file()]).chain(words(&run)?).filter(|file| file.exists()) {
        fs_err::remove_file(file)?;
    }
    Ok(fs_err::remove_file(root.join(RECORD))?)
}

impl Taken {
    /// Describes what was taken over, and what was not.
    pub(crate) fn describe(&self) -> String {
        let Self { run, agents, trained_here, .. } = self;
        let rest =
            if trained_here.is_empty() { String::new() } else { format!("; trained here: {trained_here}") };
        format!("taken over from {}: {}{rest}", run.display(), agents.join(", "))
    }

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
        if entry.path().is_dir() {
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
        let taken = in_common(&here, &other).unwrap();
        assert_eq!(taken, ["warm_flat"]);
        assert_eq!(retrained(&here, &other, &taken), "warm (agents.warm.until is 0.15 here, 0.5 there)");
        assert_eq!(retrained(&here, &config(&[]), &["warm".to_owned(), "warm_flat".to_owned()]), "");
    }

    #[test]
    fn what_starts_from_an_agent_that_is_trained_again_is_too() {
        let chain = "agents.later={ kind = \"flat\", algo = \"bc\", history = 1, from = \"warm_flat\" }";
        let there = config(&[chain]);
        assert_eq!(in_common(&there, &there).unwrap(), ["warm", "warm_flat", "later"]);
        let here = config(&[chain, "agents.warm_flat.until=0.5"]);
        assert_eq!(in_common(&here, &there).unwrap(), ["warm"]);
    }

    #[test]
    fn what_the_clones_read_must_not() {
        let refused = |set: &str| in_common(&config(&[set]), &config(&[])).unwrap_err().to_string();
        assert!(refused("seed=2").starts_with("seed is 2 here, 1 there; "), "{}", refused("seed=2"));
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
        let none = in_common(&config(&["agents.warm.until=0.5"]), &config(&["agents.warm_flat.until=0.5"]));
        let none = none.unwrap_err().to_string();
        assert!(
            none.contains("no cloned agent has the same") && none.contains("warm, warm_flat there"),
            "{none}"
        );
    }
}
