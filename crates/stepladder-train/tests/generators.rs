//! A caller's own source of generators: a run and a player open every generator through it.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use stepladder_core::trace::Episode;
use stepladder_data::PromptEncoder;
use stepladder_model::{GeneratorSource, ModelError, Weights};
use stepladder_rollout::Generator;
use stepladder_train::evaluate::{Player, Settings, Source};
use stepladder_train::{Place, Run, RunEnding, Silent, config, trace_file};

/// Agents of `all.toml` that train in a way that another one covers.
const OTHERS: [&str; 9] = [
    "flat",
    "flat_dagger",
    "no_planner",
    "no_progress",
    "blueprints",
    "himac",
    "himac_parts",
    "gigpo",
    "ppo",
];

/// Source that records the policies that it opens.
struct Recording {
    inner: Arc<dyn GeneratorSource>,
    opened: Arc<Mutex<Vec<String>>>,
}

impl GeneratorSource for Recording {
    fn open(
        &self,
        weights: &Weights,
        encoder: Arc<dyn PromptEncoder>,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError> {
        self.opened.lock().unwrap().push(policy.clone());
        self.inner.open(weights, encoder, policy)
    }
}

/// Source that opens nothing.
struct Refusing;

impl GeneratorSource for Refusing {
    fn open(
        &self,
        _weights: &Weights,
        _encoder: Arc<dyn PromptEncoder>,
        policy: String,
    ) -> Result<Box<dyn Generator>, ModelError> {
        Err(ModelError::Config(format!("{policy} is refused")))
    }
}

fn start(directory: &Path, more: &[&str]) -> Run {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("../stepladder/tests/all.toml");
    let removed = OTHERS.map(|name| format!("agents.{name}=false"));
    let sets = ["log.checkpoint_seconds=100", "threads=1"].iter().chain(more).map(|set| (*set).to_owned());
    let sets: Vec<String> = removed.into_iter().chain(sets).collect();
    let loaded = config::load(all.to_str().unwrap(), &sets).unwrap();
    Run::start(&loaded, "all", Place { directory: Some(directory), ..Place::default() }).unwrap()
}

fn finish(run: &Run) {
    assert_eq!(run.train(&Silent, &AtomicBool::new(false)).unwrap(), RunEnding::Complete);
}

/// Traces and weights below a directory, by path.
fn results(root: &Path) -> (BTreeMap<PathBuf, Vec<Episode>>, BTreeMap<PathBuf, Vec<u8>>) {
    let (mut traces, mut weights) = (BTreeMap::new(), BTreeMap::new());
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let place = path.strip_prefix(root).unwrap().to_owned();
            match path.file_name().unwrap().to_str().unwrap() {
                _ if path.is_dir() => folders.push(path),
                name if name.ends_with(".jsonl.zst") => {
                    traces.insert(place, trace_file::load(&path).unwrap());
                }
                "model.safetensors" => {
                    weights.insert(place, fs_err::read(&path).unwrap());
                }
                _ => {}
            }
        }
    }
    (traces, weights)
}

/// Whether a file of a run is in an agent's directory, and so a trace of its policy.
fn in_agent(path: &Path) -> bool {
    path.components().count() > 1
}

/// Counts the probes of all agents.
fn probes(root: &Path) -> usize {
    let metrics = |agent: &Path| fs_err::read_to_string(agent.join("metrics.jsonl")).unwrap_or_default();
    let agents = fs_err::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let folders = agents.flat_map(|agent| {
        let roles = ["planner", "executor", "progress"].map(|role| agent.join(role));
        roles.into_iter().chain([agent])
    });
    folders.map(|folder| metrics(&folder).lines().filter(|line| line.contains("probe/success")).count()).sum()
}

#[test]
fn a_run_and_a_player_open_every_generator_through_the_callers_source() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, own) = (folder.path().join("plain"), folder.path().join("own"));
    finish(&start(&plain, &[]));
    let opened: Arc<Mutex<Vec<String>>> = Arc::default();
    let taken = || std::mem::take(&mut *opened.lock().unwrap());
    let run = start(&own, &[]);
    let inner = run.generators().clone();
    let run = run.with_generators(Arc::new(Recording { inner, opened: opened.clone() }));
    finish(&run);
    let (traces, weights) = results(&own);
    assert!((traces, weights) == results(&plain));

    // A trace has the policy of each role as ROLE:POLICY.
    let opened_by_run = taken();
    let known: BTreeSet<&str> = opened_by_run.iter().map(String::as_str).collect();
    let (traces, _) = results(&own);
    let mut evaluated = 0;
    for (path, episodes) in &traces {
        for episode in episodes.iter().filter(|_| in_agent(path)) {
            let parts = episode.policy.split('+').map(|part| part.rsplit(':').next().unwrap());
            for part in parts {
                assert!(known.contains(part), "{}: {part} of {known:?}", path.display());
            }
        }
        evaluated += usize::from(path.ends_with("household-dev.jsonl.zst"));
    }
    assert_eq!(evaluated, run.config().agents.len());
    // Probes and the rollouts between phases are named after the step.
    let named = opened_by_run.iter().filter(|policy| policy.starts_with("step-")).count();
    let played = traces.keys().filter(|path| !path.ends_with("household-dev.jsonl.zst") && in_agent(path));
    assert_eq!(named, probes(&own) + played.count());

    let stop = AtomicBool::new(false);
    let mut player = Player::open(&Source::run(&own), |config| &config.eval.split, &Silent).unwrap();
    let games = player.evaluation(3, 1, None).unwrap();
    let before = player.play(&games, Settings::default(), &Silent, &stop).unwrap().episodes;
    assert!(taken().is_empty());
    player.generators = Arc::new(Recording { inner: player.generators.clone(), opened: opened.clone() });
    let after = player.play(&games, Settings::default(), &Silent, &stop).unwrap().episodes;
    assert!(before == after);
    assert_eq!(taken(), [after[0].policy.clone()]);
    player.generators = Arc::new(Refusing);
    let message = player.play(&games, Settings::default(), &Silent, &stop).unwrap_err().to_string();
    assert!(message.contains("is refused"), "{message}");
}
