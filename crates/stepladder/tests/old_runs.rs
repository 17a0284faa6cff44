//! Runs of earlier versions: `run-v2` was made by commit da51293, with settings under the names of that time, critics of
//! offline actor-critic and PPO's value network.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::{Path, PathBuf};

use common::{files, folder, ok};
use serde_json::Value;

const AGENTS: [&str; 2] = ["offline_ac", "ppo"];
const LAST: &str = "checkpoints/step-00000004";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run-v2")
}

/// A copy of the fixture without the files for which `left_out` says so.
fn copy(folder: &Path, left_out: impl Fn(&str) -> bool) {
    for name in files(&fixture()).iter().filter(|name| !left_out(name)) {
        let target = folder.join("old").join(name);
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(fixture().join(name), target).unwrap();
    }
}

/// The run stood at the second last checkpoint of both agents: training goes on from there and ends in the bytes that the
/// earlier version wrote, with its networks, moments and evaluations.
#[test]
fn a_run_of_an_earlier_version_is_continued_bit_for_bit() {
    let temporary = folder();
    let folder = temporary.path();
    copy(folder, |name| {
        AGENTS.iter().any(|agent| {
            name.strip_prefix(&format!("{agent}/")).is_some_and(|below| {
                below.starts_with(LAST) || below == "trained.json" || below.starts_with("sokoban-")
            })
        })
    });
    ok(folder, &["train", "--resume", "old"]);
    for agent in AGENTS {
        for name in ["model.safetensors", "trainer.safetensors"] {
            let file = format!("{agent}/{LAST}/{name}");
            let [then, now] =
                [fixture(), folder.join("old")].map(|run| fs_err::read(run.join(&file)).unwrap());
            assert!(then == now, "{file} differs");
        }
        let table = format!("{agent}/sokoban-dev-6x6-1.json");
        let [then, now] =
            [fixture(), folder.join("old")].map(|run| fs_err::read_to_string(run.join(&table)).unwrap());
        let success = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            (value["success"].clone(), value["mean_steps"].clone(), value["tokens_per_step"].clone())
        };
        assert_eq!(success(&then), success(&now), "{table}");
    }
    // The lines of both versions have one name of the metric that was renamed since.
    let metrics = fs_err::read_to_string(folder.join("old/ppo/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| &line["step"]).collect::<Vec<_>>(), [2, 4]);
    assert!(lines.iter().all(|line| line["degenerate_groups"] == 0.0 && line.get("flat_groups").is_none()));
}

#[test]
fn a_run_of_an_earlier_version_is_evaluated_and_shown() {
    let temporary = folder();
    let folder = temporary.path();
    copy(folder, |_| false);
    for agent in ["step_hrl", "offline_ac", "flat", "ppo"] {
        let found = ok(folder, &["evaluate", "old", "--agent", agent, "--episodes", "1", "--json"]);
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!((&found["env"], &found["n"]), (&"sokoban".into(), &1.into()), "{agent}");
    }
    assert!(fs_err::read_to_string(folder.join("old/ppo/metrics.jsonl")).unwrap().contains("flat_groups"));
    ok(folder, &["curves", "old", "-o", "curves"]);
    let curves = fs_err::read_to_string(folder.join("curves.md")).unwrap();
    assert!(curves.lines().any(|line| line.starts_with("| ppo |")), "{curves}");
    let shown = ok(folder, &["config", "show", "old"]);
    let line =
        |key: &str| shown.lines().find(|line| line.contains(key)).map(str::to_owned).unwrap_or_default();
    // Keys that have moved since are shown under their present names with the run's values.
    assert!(line("beta2").contains("0.98"), "{shown}");
    assert!(line("ffn").contains('4'), "{shown}");
}
