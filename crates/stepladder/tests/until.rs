//! Training until a probe reaches a success (`agents.NAME.until`).
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{checkpoints, folder, metrics, ok, run};

/// A clone that solves some boards within its first probes.
const CONFIG: &str = r#"
preset = "himac-sokoban"
threads = 1
data.games = 12
agents.himac = false

[agents.warm]
kind = "flat"
history = 0
budget = { steps = 200 }
batch_tokens = 512

[model.scratch]
width = 32
layers = 1
heads = 2
kv_heads = 1
ffn = 48

[eval]
episodes = 60
probes = 10
probe_episodes = 60
final_episodes = 4
"#;

/// Returns step and success of each probe.
fn probes(run: &Path) -> Vec<(u64, f64)> {
    let lines = metrics(run, "warm");
    let probe = |line: &serde_json::Value| Some((line["step"].as_u64()?, line["probe/success"].as_f64()?));
    lines.iter().filter_map(probe).collect()
}

fn newest(run: &Path) -> String {
    checkpoints(run, "warm").pop().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_clone_ends_at_the_first_probe_that_is_good_enough() {
    let temporary = folder();
    let folder = temporary.path();
    fs_err::write(folder.join("c.toml"), CONFIG).unwrap();
    let until = |value: &str| format!("agents.warm.until={value}");

    let outcome = run(folder, &["train", "c.toml", "--run-dir", "run", "--set", &until("0.05")]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(outcome.err.contains("\nwarm ends here: agents.warm.until is 0.05\n"), "{}", outcome.err);
    let root = folder.join("run");
    let found = probes(&root);
    let (&(step, success), before) = found.split_last().unwrap();
    assert!(success >= 0.05 && step < 200, "{found:?}");
    assert!(before.iter().all(|(_, success)| *success < 0.05), "{found:?}");
    assert_eq!(newest(&root), format!("step-{step:08}"));

    // A kill between the last checkpoint and the record of the end: the continuation takes no further step.
    fs_err::remove_file(root.join("warm/trained.json")).unwrap();
    let outcome = run(folder, &["train", "--resume", "run"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert_eq!((newest(&root), probes(&root)), (format!("step-{step:08}"), found));

    // Without a probe that reaches it, the whole budget is used.
    let short = ["--set", "agents.warm.budget={ steps = 20 }", "--set", "eval.probes=1"];
    let high = until("0.99");
    let arguments = [&["train", "c.toml", "--run-dir", "short", "--set", &high], &short[..]].concat();
    let outcome = run(folder, &arguments);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let warned = "warning: warm used its budget up, but no probe reached agents.warm.until = 0.99 (best: 0.";
    assert!(outcome.err.contains(warned), "{}", outcome.err);
    assert_eq!(newest(&folder.join("short")), "step-00000020");
    let refused = run(folder, &["train", "c.toml", "--set", &until("1")]);
    let message = "agents.warm.until is 1.0 (--set); it must be strictly between 0 and 1";
    assert!(refused.code == Some(2) && refused.err.contains(message), "{refused:#?}");
    ok(folder, &["config", "show", "c.toml", "--set", &until("0.5")]);
}
