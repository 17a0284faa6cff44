//! A file that names an agent's kind and algorithm is a complete configuration.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use common::{folder, ok};

/// Every kind with every algorithm that trains it, and whether the agent starts from a clone.
const PAIRS: [(&str, &str, bool); 14] = [
    ("step_hrl", "bc", false),
    ("flat", "bc", false),
    ("himac", "bc", false),
    ("step_hrl", "dagger", false),
    ("flat", "dagger", false),
    ("step_hrl", "offline_ac", true),
    ("step_hrl", "more_bc", true),
    ("step_hrl", "filtered_bc", true),
    ("step_hrl", "top_bc", true),
    ("himac", "himac", true),
    ("flat", "grpo", true),
    ("flat", "rloo", true),
    ("flat", "gigpo", true),
    ("flat", "ppo", true),
];

/// Settings of the smallest run.
const SMALL: [&str; 20] = [
    "threads=1",
    "env.max_steps=6",
    "data.games=6",
    "data.noisy_passes=0",
    "model.scratch.width=16",
    "model.scratch.layers=1",
    "model.scratch.heads=2",
    "model.scratch.kv_heads=1",
    "model.scratch.ffn=24",
    "algo.bc.budget={ steps = 2 }",
    "algo.dagger.budget={ steps = 2 }",
    "algo.dagger.rounds=1",
    "algo.dagger.games=2",
    "algo.offline_ac.budget={ steps = 2 }",
    "algo.offline_ac.games=2",
    "algo.online.budget={ epochs = 1 }",
    "algo.online.tasks_per_iteration=2",
    "algo.online.group=2",
    "algo.online.mini_batch=64",
    "eval.episodes=2",
];

#[test]
fn every_kind_trains_with_every_algorithm_from_two_keys() {
    let temporary = folder();
    let folder = temporary.path();
    let mut all = String::new();
    for (kind, algo, _) in PAIRS {
        let agent = format!("[agents.{kind}_{algo}]\nkind = {kind:?}\nalgo = {algo:?}\n");
        fs_err::write(folder.join("one.toml"), &agent).unwrap();
        assert_eq!(ok(folder, &["config", "check", "one.toml"]).trim_end(), "one: ok");
        all.push_str(&agent);
    }
    fs_err::write(folder.join("all.toml"), all).unwrap();
    let sets: Vec<&str> = SMALL.iter().flat_map(|set| ["--set", set]).collect();
    ok(folder, &[&["train", "all.toml", "--run-dir", "run"], sets.as_slice()].concat());
    for (kind, algo, starts) in PAIRS {
        let trained = |name: String| folder.join("run").join(name).join("trained.json").exists();
        assert!(trained(format!("{kind}_{algo}")), "{kind} {algo}");
        assert_eq!(trained(format!("{kind}_{algo}_start")), starts, "{kind} {algo}");
    }
    // A complete run resumes, and its directory is the origin of its values.
    ok(folder, &["train", "--resume", "run"]);
    let shown = ok(folder, &["config", "show", "run", "--set", "eval.episodes=3"]);
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    assert!(line("width = 16").ends_with("# run run"), "{shown}");
    assert!(line("episodes = 3").ends_with("# --set"), "{shown}");
}
