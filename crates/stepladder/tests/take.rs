//! Cloned agents of another run in place of new ones (`train --take`, arms of a study with `take`).
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use common::{checkpoints, folder, json, ok, run};
use serde_json::Value;

/// HiMAC from a clone, in chains of goals, at the smallest size.
const CONFIG: &str = r#"
preset = "rl-chains"
agents.no_coevolution = false
agents.macro_only = false
agents.micro_only = false
data = { split = "train-goals-1-3", games = 6, wander = 1, word_games = 4 }
model.scratch = { width = 16, layers = 1, heads = 2, kv_heads = 1, ffn = 24 }
algo.bc.budget = { steps = 20 }
algo.bc.batch_tokens = 512
algo.online = { budget = { env_steps = 400 }, tasks_per_iteration = 2, group = 2 }

[eval]
episodes = 2
final_episodes = 2
probes = 1
probe_episodes = 2
"#;

/// GRPO from a clone that solves some boards, so that it learns.
const BOARDS: &str = r#"
preset = "himac-sokoban"
threads = 1
data.games = 12
agents.himac = false
agents.warm = { kind = "flat", history = 0, budget = { steps = 100 }, batch_tokens = 512 }
agents.grpo = { kind = "flat", algo = "grpo", from = "warm", history = 0, learning_rate = 1e-3 }
model.scratch = { width = 32, layers = 1, heads = 2, kv_heads = 1, ffn = 48 }
algo.online = { budget = { env_steps = 1000 }, tasks_per_iteration = 4, group = 4 }

[eval]
episodes = 8
probes = 1
probe_episodes = 4
final_episodes = 4
"#;

const GOALS_1: [&str; 6] = [
    "--set",
    "algo.online.tasks=household/train-goals-1",
    "--set",
    "eval.split=dev-goals-1",
    "--set",
    "eval.final=test-goals-1",
];

fn place() -> tempfile::TempDir {
    let temporary = folder();
    fs_err::write(temporary.path().join("c.toml"), CONFIG).unwrap();
    temporary
}

fn bytes(path: &Path) -> Vec<u8> {
    fs_err::read(path).unwrap()
}

/// Hash of the weights of the last checkpoint of an agent.
fn weights(run: &Path, agent: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes(&checkpoints(run, agent).pop().unwrap().join("model.safetensors")).hash(&mut hasher);
    hasher.finish()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_learns_from_a_clone_that_was_taken_over_is_the_same_bit_for_bit() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::write(folder.join("b.toml"), BOARDS).unwrap();
    ok(folder, &["train", "b.toml", "--run-dir", "one"]);
    let outcome = run(folder, &["train", "b.toml", "--run-dir", "two", "--take", "one"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.err.contains("taken over from one: warm\n"), "{}", outcome.err);
    let [one, two] = ["one", "two"].map(|run| folder.join(run));
    assert_ne!(weights(&one, "grpo"), weights(&one, "warm"));
    for agent in ["warm", "grpo"] {
        assert_eq!(weights(&two, agent), weights(&one, agent), "{agent}");
    }
    assert_eq!(bytes(&two.join("warm/metrics.jsonl")), bytes(&one.join("warm/metrics.jsonl")));

    // A continued run needs the other one no more.
    let before = weights(&one, "grpo");
    fs_err::remove_dir_all(&one).unwrap();
    fs_err::remove_dir_all(two.join("grpo")).unwrap();
    ok(folder, &["train", "--resume", "two"]);
    assert_eq!(weights(&two, "grpo"), before);
}

#[test]
fn a_clone_is_taken_over_for_other_tasks_and_evaluated_there() {
    let temporary = place();
    let folder = temporary.path();
    ok(folder, &["train", "c.toml", "--run-dir", "one"]);
    let arguments = [&["train", "c.toml", "--run-dir", "two", "--take", "one"][..], &GOALS_1].concat();
    ok(folder, &arguments);
    let [one, two] = ["one", "two"].map(|run| folder.join(run));
    assert_eq!(weights(&two, "warm"), weights(&one, "warm"));
    // The clone has its own words, not those of the other tasks.
    let words = |run: &Path| -> Vec<String> {
        names(run).into_iter().filter(|name| name.starts_with("words-")).collect()
    };
    assert_eq!(words(&one), ["words-household-train-goals-3.jsonl.zst"]);
    assert_eq!(words(&two), words(&one));
    let evaluations: Vec<String> =
        names(&two.join("warm")).into_iter().filter(|name| name.ends_with(".json")).collect();
    assert_eq!(evaluations, ["household-dev-goals-1.json", "household-test-goals-1.json", "trained.json"]);
    let record: Value = serde_json::from_slice(&bytes(&two.join("taken.json"))).unwrap();
    assert_eq!((&record["run"], &record["agents"]), (&"one".into(), &serde_json::json!(["warm"])));
}

#[test]
fn what_cannot_be_taken_over_is_refused_before_anything_is_written() {
    let temporary = place();
    let folder = temporary.path();
    ok(folder, &["train", "c.toml", "--run-dir", "one", "--set", "agents.himac=false"]);
    let refused = |more: &[&str], code: i32, expected: &str| {
        let arguments = [&["train", "c.toml", "--run-dir", "two"][..], more].concat();
        let outcome = run(folder, &arguments);
        assert!(outcome.code == Some(code) && outcome.err.contains(expected), "{outcome:#?}");
        assert!(!folder.join("two").exists());
    };
    refused(&["--take", "nothing"], 1, "nothing is not a run directory");
    refused(&["--take", "one", "--set", "seed=2"], 1, "seed is 2 here, 1 there");
    refused(&["--take", "one", "--set", "data.games=5"], 1, "data.games is 5 here, 6 there");
    let other = ["--take", "one", "--set", "agents.warm.history=2", "--set", "agents.himac=false"];
    refused(&other, 1, "no cloned agent has the same name and settings in both: warm here, warm there");
    let inside = run(folder, &["train", "c.toml", "--take", "one", "--run-dir", "one/warm/new"]);
    assert!(inside.code == Some(1) && inside.err.contains("one/warm/new lies in one"), "{inside:#?}");
    fs_err::remove_file(folder.join("one/warm/trained.json")).unwrap();
    refused(&["--take", "one"], 1, "warm is not trained to the end yet: stepladder train --resume one");
    let outcome = run(folder, &["train", "--resume", "one", "--take", "one"]);
    assert!(outcome.code == Some(2) && outcome.err.contains("cannot be used with"), "{outcome:#?}");
}

#[test]
fn what_a_stopped_copy_left_is_not_used() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::write(folder.join("b.toml"), BOARDS).unwrap();
    let short = ["--set", "agents.grpo=false"];
    let train = |more: &[&str]| ok(folder, &[&["train", "b.toml"][..], &short, more].concat());
    train(&["--run-dir", "one"]);
    train(&["--run-dir", "fresh", "--set", "seed=2"]);
    for place in ["two", "three"] {
        train(&["--run-dir", place, "--take", "one"]);
        // As if killed before the configuration was written, with a later checkpoint than the next command trains.
        fs_err::remove_file(folder.join(place).join("config.toml")).unwrap();
        let kept = checkpoints(&folder.join(place), "warm").pop().unwrap();
        fs_err::rename(&kept, kept.with_file_name("step-99999999")).unwrap();
    }
    train(&["--run-dir", "two", "--set", "seed=2"]);
    let [one, two, three, fresh] = ["one", "two", "three", "fresh"].map(|run| folder.join(run));
    assert!(!two.join("taken.json").exists());
    assert_eq!(weights(&two, "warm"), weights(&fresh, "warm"));
    let demonstrations = |run: &Path| bytes(&run.join("demonstrations.sha256"));
    assert!(demonstrations(&two) == demonstrations(&fresh) && demonstrations(&two) != demonstrations(&one));
    train(&["--run-dir", "three", "--take", "one"]);
    assert_eq!(names(&three.join("warm/checkpoints")), names(&one.join("warm/checkpoints")));
}

#[test]
fn clones_with_other_settings_are_named_and_trained() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::write(folder.join("b.toml"), BOARDS).unwrap();
    let short = [
        "--set",
        "agents.grpo=false",
        "--set",
        "agents.other={ kind = \"flat\", algo = \"bc\", history = 0, budget = { steps = 20 } }",
    ];
    ok(folder, &[&["train", "b.toml", "--run-dir", "one"][..], &short].concat());
    let more = ["--take", "one", "--set", "agents.warm.budget={ steps = 30 }"];
    let outcome = run(folder, &[&["train", "b.toml", "--run-dir", "two"][..], &short, &more].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let said = "taken over from one: other; trained here: warm (agents.warm.budget is { steps = 30 } here, { steps = 100 } there)\n";
    assert!(outcome.err.contains(said), "{}", outcome.err);
    let [one, two] = ["one", "two"].map(|run| folder.join(run));
    assert_eq!(weights(&two, "other"), weights(&one, "other"));
    assert!(two.join("warm/checkpoints/step-00000030").exists());
}

#[test]
fn arms_of_a_study_take_over_from_earlier_ones() {
    let temporary = place();
    let folder = temporary.path();
    let study = r#"
seeds = [1]
baseline = "himac"

[[arms]]
name = "three"
config = "c.toml"

[[arms]]
name = "random"
config = "c.toml"
set = ["agents.himac.selection=random"]
label = "random"
take = "three"
"#;
    fs_err::write(folder.join("s.toml"), study).unwrap();
    let table = ok(folder, &["study", "s.toml", "--dir", "runs"]);
    assert!(table.contains("| random | himac | 1: "), "{table}");
    let [three, other] = ["three", "random"].map(|arm| folder.join("runs").join(arm).join("seed-1"));
    assert!(other.join("taken.json").exists());
    assert_eq!(weights(&other, "warm"), weights(&three, "warm"));
    let cells = json(folder, &["compare", "runs/random/seed-1", "--on", "household/dev-goals-3", "--json"]);
    assert_eq!(cells.as_array().unwrap().len(), 2, "{cells}");

    // Results from elsewhere in place of the earlier arm's run: that run is made here as well, since the later arm needs its clone.
    let first = study.split("[[arms]]\nname = \"random\"").next().unwrap();
    fs_err::write(folder.join("first.toml"), first).unwrap();
    ok(folder, &["study", "first.toml", "--dir", "first"]);
    ok(folder, &["study", "s.toml", "--dir", "there", "--results", "first/results.json"]);
    let there = ["three", "random"].map(|arm| folder.join("there").join(arm).join("seed-1"));
    assert!(there[1].join("taken.json").exists());
    for (here, there) in [three, other].iter().zip(&there) {
        assert_eq!(weights(there, "himac"), weights(here, "himac"));
    }
    // Where the later arm has its results, neither runs.
    ok(folder, &["study", "s.toml", "--dir", "none", "--results", "there/results.json"]);
    assert!(names(&folder.join("none")).iter().all(|name| !["three", "random"].contains(&name.as_str())));

    // Arms whose clones differ are refused before the first run.
    let differing = study.replace("selection=random", "selection=random\", \"data.games=5");
    fs_err::write(folder.join("s.toml"), differing).unwrap();
    let outcome = run(folder, &["study", "s.toml", "--dir", "new"]);
    assert!(outcome.code == Some(1) && !folder.join("new").exists(), "{outcome:#?}");
    assert!(outcome.err.contains("arm random takes over from three"), "{outcome:#?}");
    assert!(outcome.err.contains("data.games is 5 here, 6 there"), "{outcome:#?}");
}
