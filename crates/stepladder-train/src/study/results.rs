//! Results of the runs of a study as one file, so that runs of several machines or sittings make one report.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Arm, Study};
use crate::config::{self, Config};
use crate::envs::Chosen;
use crate::error::{Result, bail};

/// Version of the file.
const VERSION: u32 = 2;

/// Result of one agent of a run on one split: counts, no texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Played {
    /// Name of the arm.
    pub arm: String,
    /// [`fingerprint`] of its configuration, or of the arguments of an untrained model's evaluation.
    pub configuration: String,
    /// Agent.
    pub agent: String,
    /// Environment and split, as `ENV/SPLIT`.
    pub target: String,
    /// Options of the environment that differ from their defaults.
    #[serde(default, skip_serializing_if = "Chosen::is_empty")]
    pub options: Chosen,
    /// Run seed; none for an untrained model.
    pub seed: Option<u64>,
    /// Names of the tasks with their seeds.
    pub tasks: Vec<String>,
    /// Whether each was solved.
    pub won: Vec<bool>,
    /// Score of each as a fraction of its range; empty where the environment has no scores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<f64>,
    /// Environment steps of all episodes.
    pub steps: u64,
    /// Prompt tokens of all episodes.
    pub prompt_tokens: u64,
    /// Environment steps after the tenth of their episodes.
    pub late_steps: u64,
    /// Prompt tokens of these steps.
    pub late_prompt_tokens: u64,
    /// New tokens of all episodes.
    pub new_tokens: u64,
    /// Replies.
    pub turns: u64,
    /// Replies that could not be parsed.
    pub unparsable: u64,
    /// Seconds of playing, where they were kept.
    pub seconds: Option<f64>,
    /// Training minutes of the agent and of those that it started from.
    pub training_minutes: f64,
    /// Trained tokens in millions, of the same agents.
    pub training_mtokens: f64,
}

/// The file: task names are written once per list.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    tasks: Vec<Vec<String>>,
    results: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    /// Place of its list of tasks.
    task_list: usize,
    #[serde(flatten)]
    played: Played,
}

/// Returns the SHA-256 of everything in a configuration that determines its results, but for the seed, as hexadecimal digits.
pub fn fingerprint(config: &Config) -> String {
    fingerprint_of(&decisive(config))
}

/// Returns the values that determine results, a line each. Values that runs had before their key existed are left out, so that a later
/// version, which has more keys, still knows the results of an earlier one.
fn decisive(config: &Config) -> String {
    let config = Config { seed: 0, ..config.clone() };
    let is_news = |(path, value): &(String, toml::Value)| {
        config::earlier_text(path).is_none_or(|earlier| earlier != config::inline(value))
    };
    let values = config::effective(&config).into_iter().filter(is_news);
    values.map(|(path, value)| format!("{path} = {}\n", config::inline(&value))).collect()
}

/// Returns the SHA-256 of a text as hexadecimal digits.
pub fn fingerprint_of(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes results as a file's content.
///
/// # Errors
/// If a number cannot be written.
pub fn write(results: &[Played]) -> Result<String> {
    let mut tasks: Vec<Vec<String>> = Vec::new();
    let mut entries = Vec::new();
    for played in results {
        let known = tasks.iter().position(|list| *list == played.tasks);
        let task_list = known.unwrap_or_else(|| {
            tasks.push(played.tasks.clone());
            tasks.len() - 1
        });
        entries.push(Entry { task_list, played: Played { tasks: Vec::new(), ..played.clone() } });
    }
    Ok(serde_json::to_string(&File { version: VERSION, tasks, results: entries })? + "\n")
}

/// Reads a file of results.
///
/// # Errors
/// If it cannot be read, is of another version, belongs to another study, or an entry contradicts itself.
pub fn read(path: &Path, study: &Study, configurations: &[String]) -> Result<Vec<Played>> {
    let place = || path.display().to_string();
    let text = fs_err::read_to_string(path)?;
    let version = serde_json::from_str::<serde_json::Value>(&text).with_context(place)?["version"].clone();
    if version != VERSION {
        bail!("{}: results of version {version}; this program reads version {VERSION}", place());
    }
    let file: File = serde_json::from_str(&text).with_context(place)?;
    let mut seen = BTreeSet::new();
    let mut results = Vec::new();
    for Entry { task_list, played } in file.results {
        let what = format!("{}: arm {}, agent {}, seed {:?}", place(), played.arm, played.agent, played.seed);
        let Some(tasks) = file.tasks.get(task_list).filter(|tasks| tasks.len() == played.won.len()) else {
            bail!("{what}: its list of tasks is missing or has another length than `won`");
        };
        let fraction = |score: &f64| (0.0..=1.0).contains(score);
        if !(played.scores.is_empty()
            || played.scores.len() == tasks.len() && played.scores.iter().all(fraction))
        {
            bail!("{what}: `scores` has another length than `won`, or a value that is no fraction");
        }
        let known = study.arms.iter().zip(configurations).find(|(arm, _)| arm.name == played.arm);
        let Some((arm, configuration)) = known else { bail!("{what}: the study has no such arm") };
        if *configuration != played.configuration {
            bail!(
                "{what}: made with another configuration; leave this file out, or use the same configuration"
            );
        }
        let numbers = [played.seconds.unwrap_or(0.0), played.training_minutes, played.training_mtokens];
        if numbers.iter().any(|number| !number.is_finite() || *number < 0.0) {
            bail!("{what}: a duration or a number of tokens is negative or no number");
        }
        if !seen.insert((played.arm.clone(), played.agent.clone(), played.target.clone(), played.seed)) {
            bail!("{what}: on {} twice", played.target);
        }
        if played.seed.is_some_and(|seed| !arm.seeds.contains(&seed)) {
            bail!("{what}: the arm has the seeds {:?}", arm.seeds);
        }
        results.push(Played { tasks: tasks.clone(), ..played });
    }
    Ok(results)
}

/// Whether results hold everything that the run of an arm with this seed would add.
pub fn covers(results: &[Played], arm: &Arm, config: &Config, seed: u64) -> bool {
    let targets = config.targets();
    config.agents.keys().all(|agent| {
        targets.iter().all(|target| {
            let mut of_arm = results.iter().filter(|played| played.arm == arm.name);
            of_arm
                .any(|played| played.agent == *agent && played.target == *target && played.seed == Some(seed))
        })
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tests::study;
    use super::*;

    pub(in super::super) fn played(seed: u64) -> Played {
        Played {
            arm: "a".to_owned(),
            configuration: "c".to_owned(),
            agent: "step_hrl".to_owned(),
            target: "household/dev".to_owned(),
            options: Chosen::new(),
            seed: Some(seed),
            tasks: vec!["one 0".to_owned(), "two 0".to_owned()],
            won: vec![true, false],
            scores: vec![1.0, 0.25],
            steps: 30,
            prompt_tokens: 900,
            late_steps: 10,
            late_prompt_tokens: 310,
            new_tokens: 60,
            turns: 60,
            unparsable: 1,
            seconds: Some(0.1),
            training_minutes: 1.0 / 3.0,
            training_mtokens: 0.7,
        }
    }

    fn reading(text: &str) -> Result<Vec<Played>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs_err::write(&path, text).unwrap();
        let study = study("seeds = [1, 2]\n[[arms]]\nname = \"a\"\nconfig = \"demo\"");
        read(&path, &study, &["c".to_owned()])
    }

    #[test]
    fn what_is_written_is_read() {
        let results = [played(1), played(2)];
        let text = write(&results).unwrap();
        assert_eq!(text.matches("two 0").count(), 1, "{text}");
        assert_eq!(reading(&text).unwrap(), results);
        // Most environments have no scores.
        let bare = [Played { scores: Vec::new(), ..played(1) }];
        let text = write(&bare).unwrap();
        assert!(!text.contains("scores"));
        assert_eq!(reading(&text).unwrap(), bare);
    }

    #[test]
    fn results_of_another_study_are_refused_by_name() {
        let refused = |results: &[Played]| reading(&write(results).unwrap()).unwrap_err().to_string();
        assert!(refused(&[Played { arm: "b".to_owned(), ..played(1) }]).contains("no such arm"));
        assert!(
            refused(&[Played { configuration: "d".to_owned(), ..played(1) }]).contains(
                "results.json: arm a, agent step_hrl, seed Some(1): made with another configuration"
            )
        );
        assert!(refused(&[played(3)]).contains("the arm has the seeds [1, 2]"));
        assert!(refused(&[played(1), played(1)]).contains("household/dev twice"));
        assert!(refused(&[Played { won: vec![true], ..played(1) }]).contains("another length than `won`"));
        for scores in [vec![1.0], vec![1.0, 1.25]] {
            assert!(refused(&[Played { scores, ..played(1) }]).contains("`scores` has another length"));
        }
        assert!(refused(&[Played { training_minutes: -1.0, ..played(1) }]).contains("negative"));
        let text = write(&[played(1)]).unwrap();
        let error = reading(&text.replacen("\"version\":2", "\"version\":3", 1)).unwrap_err().to_string();
        assert!(error.contains("results of version 3"), "{error}");
        assert!(reading(&text[..text.len() / 2]).unwrap_err().to_string().contains("results.json"));
    }

    #[test]
    fn a_later_key_that_changes_nothing_is_not_in_the_fingerprint() {
        let of = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
            decisive(&config::load("alfworld-cpu", &sets).unwrap().config)
        };
        assert!(!of(&[]).contains("prompt_loss") && !of(&[]).contains("returns ="), "{}", of(&[]));
        assert!(of(&["algo.bc.prompt_loss=0.5"]).contains("algo.bc.prompt_loss = 0.5\n"));
        // A default that changed results is, and the value that earlier runs had is not.
        assert!(of(&[]).contains("algo.offline_ac.truncation = \"terminal\"\n"), "{}", of(&[]));
        assert!(!of(&["algo.offline_ac.truncation=bootstrap"]).contains("truncation"));
    }

    #[test]
    fn a_fingerprint_ignores_the_seed_and_nothing_else() {
        let of = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
            fingerprint(&config::load("demo", &sets).unwrap().config)
        };
        assert_eq!(of(&["seed=1"]), of(&["seed=2"]));
        assert_ne!(of(&[]), of(&["data.games=30"]));
        assert_eq!(of(&[]).len(), 64);
    }

    #[test]
    fn a_run_is_covered_by_results_of_all_its_agents() {
        let config = config::load("demo", &[]).unwrap().config;
        let study = study("seeds = [1]\n[[arms]]\nname = \"a\"\nconfig = \"demo\"");
        let mut results = Vec::new();
        for target in config.targets() {
            for agent in config.agents.keys() {
                assert!(!covers(&results, &study.arms[0], &config, 1));
                results.push(Played { agent: agent.clone(), target: target.clone(), ..played(1) });
            }
        }
        assert!(covers(&results, &study.arms[0], &config, 1));
        assert!(!covers(&results, &study.arms[0], &config, 2));
    }
}
