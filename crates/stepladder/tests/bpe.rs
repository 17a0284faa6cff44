//! Models with random weights and a tokenizer of pieces of words.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use common::{files, folder, ok, refused};

#[test]
fn a_run_with_byte_pair_encoding_trains_plays_and_goes_on() {
    let temporary = folder();
    let folder = temporary.path();
    let set = ["model.tokenizer=\"bpe\"", "model.tokens=520", "model.scratch.max_positions=2048"];
    let mut arguments = vec!["train", "tiny.toml", "--run-dir", "run"];
    arguments.extend(set.iter().flat_map(|set| ["--set", set]));
    ok(folder, &arguments);
    let root = folder.join("run");
    let checkpoints = files(&root.join("step_hrl/checkpoints"));
    let newest = checkpoints.iter().rfind(|path| path.ends_with("/trainer.json")).unwrap();
    let newest = root.join("step_hrl/checkpoints").join(newest);
    let state: serde_json::Value = serde_json::from_slice(&fs_err::read(&newest).unwrap()).unwrap();
    assert_eq!((&state["model"]["vocab"], &state["model"]["factors"]), (&520.into(), &0.into()));
    assert!(state["style"].as_str().unwrap().starts_with("bpe/1+compact/1+"), "{}", state["style"]);
    // The same run again gives the same tokenizer, and a finished one can be evaluated and continued.
    arguments[3] = "again";
    ok(folder, &arguments);
    for name in ["tokenizer.json", "model.safetensors"] {
        let at = |run: &str| {
            let path = newest.parent().unwrap().strip_prefix(&root).unwrap();
            fs_err::read(folder.join(run).join(path).join(name)).unwrap()
        };
        assert!(at("run") == at("again"), "{name}");
    }
    ok(folder, &["evaluate", "run", "--agent", "flat", "--split", "train", "--episodes", "2"]);
    for file in ["flat/trained.json", "flat/household-dev.json"] {
        fs_err::remove_file(root.join(file)).unwrap();
    }
    ok(folder, &["train", "--resume", "run"]);
    refused(
        folder,
        &[
            "train",
            "tiny.toml",
            "--run-dir",
            "few",
            "--set",
            "model.tokenizer=\"bpe\"",
            "--set",
            "model.tokens=100",
        ],
        2,
        "tiny.toml: model.tokens is 100 (--set); it must be from 512 to 1048576",
    );
}
