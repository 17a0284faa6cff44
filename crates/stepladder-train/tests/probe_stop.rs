//! Runs that are stopped inside a probe, and then continued.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use stepladder_core::codec::Plain;
use stepladder_core::label::Expert;
use stepladder_core::{End, Query, Role, Start, Step, TaskKey};
use stepladder_env::{Env, EnvError, EnvSpec, Family, TaskSet};
use stepladder_train::{Place, Reporter, Run, RunEnding, Silent, StatusLine, config};

/// An agent that is cloned, and one that goes on from it by playing.
const AGENTS: [&str; 2] = ["flat", "later"];
const SETTINGS: &str = "env.id=bells env.max_steps=4 data.games=0 data.noisy_passes=0 threads=1 model.width=16 \
    model.layers=1 model.heads=2 model.kv_heads=1 model.ffn=24 model.max_positions=128 agents.step_hrl=false \
    agents.flat.budget={steps=12} agents.flat.batch_tokens=128 agents.later.kind=flat agents.later.algo=grpo \
    agents.later.from=flat agents.later.budget={epochs=4} agents.later.batch_tokens=128 \
    algo.online.tasks_per_iteration=2 algo.online.group=2 eval.split=test eval.probes=2 eval.probe_episodes=3 \
    eval.transfer=[] log.every_seconds=1e-9 log.checkpoint_seconds=1e-9";

static SPEC: EnvSpec = EnvSpec {
    id: "bells",
    summary: "ring three times",
    version: 1,
    upstream: "none",
    data_licence: "none needed",
    splits: &["train", "test"],
    max_steps: 4,
    reward_range: (0.0, 1.0),
    score_range: None,
    deterministic: true,
};
static BELLS: Family = Family {
    expert: Some(|| Box::new(Ringer)),
    ..Family::new(&SPEC, |_data_root, _options| Ok(Box::new(Tasks)), || Arc::new(Plain))
};

/// The caller's flag. The environment sets it.
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether the next action in the test split sets it. During training only probes play that split.
static ARMED: AtomicBool = AtomicBool::new(false);

struct Tasks;

impl TaskSet for Tasks {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn tasks(&self, split: &str) -> Result<Vec<TaskKey>, EnvError> {
        SPEC.known_split(split)?;
        Ok(["ding", "dong", "dang"].map(|bell| TaskKey::new("bells", split, bell)).into())
    }

    fn make(&self) -> Result<Box<dyn Env>, EnvError> {
        Ok(Box::new(Bells { bell: String::new(), left: 0, tested: false }))
    }
}

struct Bells {
    bell: String,
    left: u32,
    tested: bool,
}

impl Env for Bells {
    fn spec(&self) -> &EnvSpec {
        &SPEC
    }

    fn reset(&mut self, task: &TaskKey, _seed: u64) -> Result<Start, EnvError> {
        *self = Self { bell: task.id.clone(), left: 3, tested: task.split == "test" };
        let text = format!("bell {}", self.bell);
        Ok(Start { text, task: "ring".to_owned(), context: String::new(), family: "bells".to_owned() })
    }

    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        if self.tested && ARMED.swap(false, Ordering::Relaxed) {
            STOP.store(true, Ordering::Relaxed);
        }
        self.left -= 1;
        let right = action == format!("ring {}", self.bell);
        let won = right && self.left == 0;
        // No reply ends an episode before its third step, so that the first one is never the last of a probe.
        let end = (self.left == 0).then_some(End::Terminated);
        let observation = format!("bell {}", self.bell);
        let reward = f64::from(u8::from(right));
        Ok(Step { observation, reward, won, unknown_action: false, context: None, end })
    }
}

struct Ringer;

impl Expert for Ringer {
    fn reply(&self, query: &Query) -> Option<String> {
        match query {
            Query::Planner { .. } => Some("ring".to_owned()),
            Query::Executor { observation, .. } => {
                Some(format!("{}; False", observation.text().replace("bell", "ring")))
            }
            Query::Progress { .. } => Some("None".to_owned()),
            _ => None,
        }
    }

    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Executor | Role::Progress)
    }
}

/// Moment after which the first action of a probe stops the run.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// Training of this agent begins.
    Begin(&'static str),
    /// A step or an iteration of this agent's training is logged.
    Step(&'static str),
}

impl Reporter for Moment {
    fn begin(&self, name: &str, _: u64) -> Box<dyn StatusLine + '_> {
        if matches!(self, Self::Begin(agent) if *agent == name) {
            ARMED.store(true, Ordering::Relaxed);
        }
        let arms = matches!(self, Self::Step(agent) if *agent == name);
        Box::new(Line { arms })
    }

    fn note(&self, _: &str) {}

    fn warn(&self, _: &str) {}

    fn table(&self, _: &str) {}
}

struct Line {
    arms: bool,
}

impl StatusLine for Line {
    fn at(&self, _: u64, _: &str) {
        if self.arms {
            ARMED.store(true, Ordering::Relaxed);
        }
    }

    fn note(&self, _: &str) {}
}

/// Returns the values of an agent's metrics that do not depend on time, line by line.
fn metrics(root: &Path, agent: &str) -> Vec<Value> {
    let Ok(text) = fs_err::read_to_string(root.join(agent).join("metrics.jsonl")) else { return Vec::new() };
    let timed = ["seconds", "tokens_per_second", "time"];
    let line = |line: &str| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let values = value.as_object_mut().unwrap();
        values.retain(|name, _| !timed.contains(&&**name) && !name.starts_with("share/"));
        value
    };
    text.lines().map(line).collect()
}

fn probes(root: &Path, agent: &str) -> usize {
    metrics(root, agent).iter().filter(|line| line["probe/success"].is_f64()).count()
}

/// Returns the bytes of the last checkpoint.
fn last(root: &Path, agent: &str) -> [Vec<u8>; 2] {
    let entries = fs_err::read_dir(root.join(agent).join("checkpoints")).unwrap();
    let newest = entries.map(|entry| entry.unwrap().path()).max().unwrap();
    ["model.safetensors", "trainer.safetensors"].map(|name| fs_err::read(newest.join(name)).unwrap())
}

#[test]
fn a_run_stopped_inside_a_probe_repeats_the_probe_and_ends_the_same() {
    stepladder_families::register(&BELLS).unwrap();
    let settings: Vec<String> = SETTINGS.split_whitespace().map(str::to_owned).collect();
    let loaded = config::load("demo", &settings).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| temporary.path().join(name));
    let start = |root: &Path| {
        Run::start(&loaded, "demo", Place { directory: Some(root), ..Place::default() }).unwrap()
    };
    assert_eq!(start(&whole).train(&Silent, &STOP).unwrap(), RunEnding::Complete);
    // Two during training, and in online training one of the starting policy.
    assert_eq!(AGENTS.map(|agent| probes(&whole, agent)), [2, 3]);

    let mut run = start(&stopped);
    let moments = [Moment::Step("flat"), Moment::Begin("later"), Moment::Step("later")];
    for (moment, finished) in moments.iter().zip([[0, 0], [2, 0], [2, 1]]) {
        assert_eq!(run.train(moment, &STOP).unwrap(), RunEnding::Interrupted, "{moment:?}");
        assert!(STOP.swap(false, Ordering::Relaxed), "{moment:?}: stopped elsewhere");
        assert_eq!(AGENTS.map(|agent| probes(&stopped, agent)), finished, "{moment:?}");
        ARMED.store(false, Ordering::Relaxed);
        drop(run);
        run = Run::resume(&stopped, None, None, &Silent).unwrap();
    }
    assert_eq!(run.train(&Silent, &STOP).unwrap(), RunEnding::Complete);
    for agent in AGENTS {
        assert_eq!(metrics(&stopped, agent), metrics(&whole, agent), "{agent}");
        assert!(last(&stopped, agent) == last(&whole, agent), "the weights of {agent} differ");
    }
}
