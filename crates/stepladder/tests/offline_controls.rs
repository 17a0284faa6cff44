//! Offline actor-critic and its controls through the binary: shared episodes, measurements of the critics, what each learns from.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{episodes, files, folder, metrics, ok, run};
use serde_json::Value;

/// The preset as it is, but for its size.
const SMALL: [&str; 15] = [
    "env.max_steps=6",
    "data.games=12",
    "model.scratch.width=16",
    "model.scratch.layers=1",
    "model.scratch.heads=2",
    "model.scratch.kv_heads=1",
    "model.scratch.ffn=24",
    "algo.bc.batch_tokens=256",
    "algo.offline_ac.games=5",
    "algo.offline_ac.budget={ steps = 8 }",
    "algo.offline_ac.batch_tokens=256",
    "algo.offline_ac.critic_warmup=3",
    "algo.offline_ac.held_out=0.3",
    "agents.step_hrl.budget={ steps = 10 }",
    "eval.episodes=3",
];

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_preset_compares_offline_learning_with_more_filtered_and_top_cloning() {
    let temporary = folder();
    let folder = temporary.path();
    let sets: Vec<&str> = SMALL.iter().flat_map(|set| ["--set", *set]).collect();
    let table = ok(folder, &[&["train", "offline-controls", "--run-dir", "run"], sets.as_slice()].concat());
    let run = &folder.join("run");
    for agent in ["step_hrl", "more_bc", "filtered_bc", "top_bc", "awr"] {
        assert!(table.contains(agent), "{agent}: {table}");
        assert!(run.join(agent).join("trained.json").exists(), "{agent}");
    }
    // One collection, four samples of each of five tasks, for all of them.
    let collected: Vec<String> =
        files(run).into_iter().filter(|path| path.ends_with("collected.jsonl.zst")).collect();
    assert_eq!(collected, ["step_hrl/collected.jsonl.zst"]);
    assert_eq!(episodes(&run.join(&collected[0])).len(), 20);
    // As many steps for the controls as for offline learning.
    let steps = |agent: &str| read(&run.join(agent).join("trained.json"))["step"].as_u64().unwrap();
    for agent in ["more_bc", "filtered_bc", "top_bc", "awr"] {
        assert_eq!(steps(agent), 8, "{agent}");
    }
    // The critics are measured before the policy learns, and at the end; only those.
    let gates: Vec<String> = files(run).into_iter().filter(|path| path.ends_with("gate.json")).collect();
    assert_eq!(gates, ["awr/gate.json"]);
    let gate = read(&run.join("awr/gate.json"));
    assert_eq!((&gate["before_actor"]["step"], &gate["end"]["step"]), (&3.into(), &8.into()));
    // 0.3 of 20 episodes are two tasks.
    assert_eq!(gate["held_out"]["episodes"], 8);
    for moment in ["before_actor", "end"] {
        for level in ["planner", "executor", "progress"] {
            let found = &gate[moment]["levels"][level];
            assert!(found["rows"].as_u64().unwrap() > 0, "{gate}");
            assert!(found["q"]["deciles"].as_array().unwrap().len() <= 10);
            assert!(found["v"]["calibration_error"].as_f64().unwrap() >= 0.0);
        }
    }
    let measured = metrics(run, "awr");
    let lines: Vec<&Value> = measured.iter().filter(|line| line.get("auc_q/planner").is_some()).collect();
    assert_eq!(lines.iter().map(|line| &line["step"]).collect::<Vec<_>>(), [3, 8]);
    // A finished run is left as it is.
    let before = fs_err::read(run.join("awr/gate.json")).unwrap();
    ok(folder, &["train", "--resume", "run"]);
    assert!(before == fs_err::read(run.join("awr/gate.json")).unwrap());
}

#[test]
fn critics_alone_and_nothing_held_out() {
    let temporary = folder();
    let folder = temporary.path();
    let sets: Vec<&str> = SMALL.iter().flat_map(|set| ["--set", *set]).collect();
    let more = [
        "agents.more_bc=false",
        "agents.filtered_bc=false",
        "agents.top_bc=false",
        "agents.oracle={ kind = \"step_hrl\", algo = \"offline_ac\", from = \"step_hrl\", actor_mode = \"oracle\" }",
        "algo.offline_ac.critic_warmup=1000000000",
        "algo.offline_ac.returns=monte_carlo",
        "algo.offline_ac.intrinsic=task",
        "algo.offline_ac.level_share=equal",
    ];
    let more: Vec<&str> = more.iter().flat_map(|set| ["--set", *set]).collect();
    let train = ["train", "offline-controls", "--run-dir", "run"];
    ok(folder, &[&train[..], sets.as_slice(), more.as_slice()].concat());
    let weights = |agent: &str| {
        let path = common::checkpoints(&folder.join("run"), agent).pop().unwrap().join("model.safetensors");
        fs_err::read(path).unwrap()
    };
    assert!(weights("awr") == weights("step_hrl"), "critics alone move no policy");
    let gate = read(&folder.join("run/awr/gate.json"));
    assert!(gate.get("before_actor").is_none() && gate["end"]["step"] == 8, "{gate}");

    let none = [
        "algo.offline_ac.held_out=0",
        "agents.more_bc=false",
        "agents.filtered_bc=false",
        "agents.top_bc=false",
    ];
    let none: Vec<&str> = none.iter().flat_map(|set| ["--set", *set]).collect();
    let train = ["train", "offline-controls", "--run-dir", "none"];
    // The measurement is the only thing that the fraction 0 takes away.
    ok(folder, &[&train[..], sets.as_slice(), none.as_slice()].concat());
    assert!(!folder.join("none/awr/gate.json").exists());
    assert!(folder.join("none/awr/trained.json").exists());
}

/// A run with agents of offline actor-critic alone, `(name, keys)`.
fn offline_run(folder: &Path, name: &str, agents: &[(&str, &str)], table: &[&str]) {
    let mut sets: Vec<String> = SMALL.iter().chain(table).map(|set| (*set).to_owned()).collect();
    sets.extend(["more_bc", "filtered_bc", "top_bc", "awr"].map(|agent| format!("agents.{agent}=false")));
    sets.extend(agents.iter().map(|(agent, keys)| {
        format!("agents.{agent}={{ kind = \"step_hrl\", algo = \"offline_ac\", from = \"step_hrl\"{keys} }}")
    }));
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    ok(folder, &[&["train", "offline-controls", "--run-dir", name], sets.as_slice()].concat());
}

fn weights(folder: &Path, run: &str, agent: &str) -> Vec<u8> {
    let path = common::checkpoints(&folder.join(run), agent).pop().unwrap().join("model.safetensors");
    fs_err::read(path).unwrap()
}

#[test]
fn a_key_of_an_agent_stands_for_that_of_the_table() {
    let temporary = folder();
    let folder = temporary.path();
    let keys = [
        ("returns", "returns = \"monte_carlo\"", "algo.offline_ac.returns=monte_carlo"),
        ("intrinsic", "intrinsic = \"task\"", "algo.offline_ac.intrinsic=task"),
        ("levels", "actor_levels = \"planner\"", "algo.offline_ac.actor_levels=planner"),
    ];
    let own = keys.map(|(name, key, _)| (name, format!(", {key}")));
    let mut agents: Vec<(&str, &str)> = own.iter().map(|(name, key)| (*name, key.as_str())).collect();
    agents.push(("plain", ""));
    offline_run(folder, "agents", &agents, &[]);
    let plain = weights(folder, "agents", "plain");
    for (name, _, set) in keys {
        // As the same agent of a table with the key, and otherwise than without it.
        offline_run(folder, name, &[(name, "")], &[set]);
        assert!(weights(folder, name, name) == weights(folder, "agents", name), "{name}");
        assert!(plain != weights(folder, "agents", name), "{name}");
    }
}

#[test]
fn a_control_is_for_what_offline_actor_critic_is_for() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::write(folder.join("one.toml"), "[agents.a]\nkind = \"flat\"\nalgo = \"filtered_bc\"\n").unwrap();
    let outcome = run(folder, &["config", "check", "one.toml"]);
    let said = "agents.a.algo is \"filtered_bc\" (one.toml:3); it is for kind = \"step_hrl\"";
    assert!(outcome.code == Some(2) && outcome.err.contains(said), "{}", outcome.err);
    for key in
        ["actor_mode = \"awr\"", "returns = \"td\"", "actor_levels = \"planner\"", "intrinsic = \"task\""]
    {
        let of_cloning = format!("[agents.a]\nkind = \"step_hrl\"\nalgo = \"bc\"\n{key}\n");
        fs_err::write(folder.join("one.toml"), of_cloning).unwrap();
        let outcome = run(folder, &["config", "check", "one.toml"]);
        let name = key.split(' ').next().unwrap();
        let said = format!("agents.a.algo is \"bc\" (one.toml:3); {name} is for algo = \"offline_ac\"");
        assert!(outcome.code == Some(2) && outcome.err.contains(&said), "{}", outcome.err);
    }
    ok(folder, &["config", "check", "offline-controls"]);
}
