//! Adapters merged into their pretrained model, through the program.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{episodes, files, folder, ok, run, tiny_llama};
use serde_json::Value;
use stepladder_core::trace::Episode;

/// A folder with a run of `step_hrl` and `flat` over the model `llama`.
fn place() -> tempfile::TempDir {
    let temporary = folder();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let text = fs_err::read_to_string(tests.join("pretrained.toml")).unwrap();
    let (head, _) = text.split_once("[agents.dagger]").unwrap();
    let rest = "[eval]\nepisodes = 2\nslots = 4\nprobes = 0\ntransfer = []\n";
    let flat =
        "[agents.flat]\nhistory = 1\nbudget = { steps = 3 }\nbatch_tokens = 2048\nlearning_rate = 0.02\n";
    fs_err::write(temporary.path().join("run.toml"), format!("{head}{flat}{rest}")).unwrap();
    tiny_llama::write(temporary.path(), "llama", 4096, 1);
    ok(temporary.path(), &["train", "run.toml", "--run-dir", "run"]);
    temporary
}

fn config(model: &Path) -> Value {
    serde_json::from_str(&fs_err::read_to_string(model.join("config.json")).unwrap()).unwrap()
}

#[test]
fn a_merged_model_plays_like_its_adapter() {
    let temporary = place();
    let folder = temporary.path();
    let said = ok(folder, &["model", "merge", "run", "served", "--agent", "flat"]);
    assert!(said.starts_with("served: ") && said.contains("run/flat/checkpoints/step-00000003"), "{said}");
    let model = folder.join("served");
    // Everything but the tensors is that of the base.
    assert_eq!(config(&model), config(&folder.join("llama")));
    assert_eq!(files(&model), files(&folder.join("llama")));
    ok(folder, &["model", "check", "served"]);
    let play = |model: &str, more: &[&str], trace: &str| -> Vec<Episode> {
        let fixed =
            ["evaluate", model, "--agent", "flat:history=1", "--style", "instruct", "--env", "household"];
        let rest = ["--split", "dev", "--episodes", "2", "--max-steps", "3", "--trace", trace];
        ok(folder, &[&fixed[..], &rest, more].concat());
        episodes(&folder.join(trace))
    };
    let replies = |played: &[Episode]| -> Vec<String> {
        played.iter().flat_map(Episode::turns).map(|turn| turn.reply.clone()).collect()
    };
    let adapted = replies(&play("llama", &["--adapter", "run/flat/checkpoints/step-00000003"], "a.jsonl"));
    assert_eq!(replies(&play("served", &[], "b.jsonl")), adapted);
    assert_ne!(replies(&play("llama", &[], "c.jsonl")), adapted);

    // A checkpoint by its path, in half the bytes.
    ok(folder, &["model", "merge", "run/flat/checkpoints/step-00000003", "small", "--dtype", "bf16"]);
    let bytes = |name: &str| folder.join(name).join("model.safetensors").metadata().unwrap().len() as f64;
    assert!((bytes("small") / bytes("served") - 0.5).abs() < 0.05);
    assert_eq!(config(&folder.join("small"))["torch_dtype"], "bfloat16");
    ok(folder, &["model", "check", "small"]);
}

#[test]
fn what_cannot_be_merged_is_refused_and_leaves_nothing() {
    let temporary = place();
    let folder = temporary.path();
    let before = files(folder);
    let said = |arguments: &[&str], code: i32| {
        let outcome = run(folder, &[&["model", "merge"], arguments].concat());
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert_eq!(files(folder), before, "{arguments:?}");
        outcome.err
    };
    let several = said(&["run", "served"], 2);
    assert!(several.contains("step_hrl, flat: pass --agent"), "{several}");
    let unknown = said(&["run", "served", "--agent", "mine"], 1);
    assert!(unknown.contains("mine"), "{unknown}");
    let whole = said(&["llama", "served"], 1);
    assert!(whole.contains("complete Hugging Face directory already"), "{whole}");
    let none = said(&[".", "served"], 1);
    assert!(none.contains("no PEFT directory"), "{none}");
    let exists = said(&["run", "llama", "--agent", "flat"], 1);
    assert!(exists.contains("exists already"), "{exists}");
    let elsewhere = said(&["run", "served", "--agent", "flat", "--base", "absent"], 2);
    assert!(elsewhere.contains("absent"), "{elsewhere}");
}
