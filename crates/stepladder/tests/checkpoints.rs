//! Checkpoints: every command refuses damaged and edited ones, old ones load, and traces can hold tokens.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::{Path, PathBuf};

use common::{checkpoints, episodes, files, folder, ok, refused, run};
use serde_json::Value;

const REMEDY: &str = "restore it from an intact copy, or use another checkpoint";

/// Trains one agent, `flat`, of the smallest size, with checkpoints of its last two steps.
fn trained(folder: &Path) -> PathBuf {
    let small = ["--set", "agents.step_hrl=false", "--set", "agents.flat.budget={ steps = 3 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &small[..]].concat());
    checkpoints(&folder.join("run"), "flat").pop().unwrap()
}

/// A run by a program with trainer state version 1 (commit de8ce68): `step_hrl` trained for two steps and completed, `dagger`,
/// which starts from it, not begun.
fn old_run(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run-v1");
    let run = folder.join("old");
    for name in files(&source) {
        let target = run.join(&name);
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(source.join(&name), target).unwrap();
    }
    run
}

/// Returns the error of a command, which must fail without output.
fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let outcome = run(folder, arguments);
    assert_eq!((outcome.code, outcome.out.as_str()), (Some(1), ""), "{arguments:?}: {outcome:#?}");
    outcome.err.lines().find(|line| line.starts_with("error: ")).unwrap().to_owned()
}

#[test]
fn a_damaged_edited_or_missing_file_is_refused_by_name() {
    let temporary = folder();
    let folder = temporary.path();
    let newest = trained(folder);
    let place = "run/flat/checkpoints/step-00000003";
    let names = files(&newest);
    assert_eq!(names.len(), 7, "{names:?}");
    let evaluate = ["evaluate", "run", "--episodes", "1", "--json"];
    let whole: Value = serde_json::from_str(&ok(folder, &evaluate)).unwrap();
    for name in &names {
        let path = newest.join(name);
        let bytes = fs_err::read(&path).unwrap();
        let mut flipped = bytes.clone();
        let last = flipped.len() - 3;
        flipped[last] ^= 1;
        fs_err::write(&path, flipped).unwrap();
        let message = refusal(folder, &evaluate);
        assert!(message.starts_with(&format!("error: {place}/{name}: ")), "{message}");
        fs_err::remove_file(&path).unwrap();
        refused(
            folder,
            &evaluate,
            1,
            &format!("{place}/{name}: this file of the checkpoint is missing; {REMEDY}"),
        );
        fs_err::write(&path, bytes).unwrap();
    }
    let again: Value = serde_json::from_str(&ok(folder, &evaluate)).unwrap();
    assert_eq!(again["per_type"], whole["per_type"], "restored, it plays as before");

    // Edited weights: neither these nor older ones are used for rollouts, and training does not continue.
    let path = newest.join("model.safetensors");
    let mut bytes = fs_err::read(&path).unwrap();
    let length = bytes.len();
    bytes[length - 4..].copy_from_slice(&2f32.to_le_bytes());
    fs_err::write(&path, &bytes).unwrap();
    let changed = format!(
        "{place}/model.safetensors: damaged or edited since it was saved (its SHA-256 differs); {REMEDY}"
    );
    refused(folder, &evaluate, 1, &changed);
    refused(folder, &["collect", "run", "--count", "1", "-o", "c.jsonl"], 1, &changed);
    refused(folder, &["evaluate", place, "--env", "household", "--split", "dev"], 1, &changed);
    assert!(!folder.join("c.jsonl").exists());
    fs_err::remove_file(folder.join("run/flat/trained.json")).unwrap();
    let advice =
        format!("the newest checkpoint cannot be loaded; remove {place} to continue from step-00000002: ");
    refused(folder, &["train", "--resume", "run"], 1, &(advice + &changed));
}

#[test]
fn numbers_that_are_none_are_not_played() {
    let temporary = folder();
    let folder = temporary.path();
    let place = "old/step_hrl/checkpoints/step-00000004";
    old_run(folder);
    let path = folder.join(place).join("trainer.safetensors");
    let whole = fs_err::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let parameters = file.tensor("parameters").unwrap().data();
    let offset = parameters.as_ptr() as usize - whole.as_ptr() as usize + 4 * 100;
    for broken in [f32::NAN, f32::INFINITY] {
        let mut bytes = whole.clone();
        bytes[offset..offset + 4].copy_from_slice(&broken.to_le_bytes());
        fs_err::write(&path, bytes).unwrap();
        let message = format!(
            "{place}/trainer.safetensors: `parameters` contains NaN or infinite values; use an earlier checkpoint, or \
             train again"
        );
        refused(folder, &["evaluate", "old", "--agent", "step_hrl"], 1, &message);
    }
}

#[test]
fn checkpoints_of_the_first_version_are_played_and_trained_further() {
    let temporary = folder();
    let folder = temporary.path();
    let old = old_run(folder);
    let weights = || -> Vec<f32> {
        let path = old.join("step_hrl/checkpoints/step-00000004/model.safetensors");
        let bytes = fs_err::read(path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors = file.tensors();
        tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        let chunks = tensors.iter().flat_map(|(_, view)| view.data().as_chunks::<4>().0);
        chunks.map(|chunk| f32::from_le_bytes(*chunk)).collect()
    };
    let last = weights();

    // The policy that played, by the bits of its parameters; the old program wrote this number.
    let evaluate = ["evaluate", "old", "--agent", "step_hrl", "--episodes", "1", "--trace", "t.jsonl"];
    ok(folder, &evaluate);
    assert_eq!(episodes(&folder.join("t.jsonl"))[0].policy, "c0f306f2180fffe7");

    // Another agent starts from it.
    ok(folder, &["train", "--resume", "old"]);
    let version = |path: &Path| {
        let text = fs_err::read_to_string(path.join("trainer.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["version"].as_u64().unwrap()
    };
    let started = checkpoints(&old, "dagger").pop().unwrap();
    assert_eq!(version(&started), 2);

    // Training continues from an earlier step and ends with the same result; the last bits of another machine may differ.
    fs_err::remove_dir_all(old.join("step_hrl/checkpoints/step-00000004")).unwrap();
    fs_err::remove_file(old.join("step_hrl/trained.json")).unwrap();
    ok(folder, &["train", "--resume", "old"]);
    let again = checkpoints(&old, "step_hrl").pop().unwrap();
    assert!(again.ends_with("step-00000004") && version(&again) == 2);
    let (again, mut worst) = (weights(), 0f32);
    assert_eq!(again.len(), last.len());
    for (now, then) in again.iter().zip(&last) {
        worst = worst.max((now - then).abs());
    }
    assert!(worst < 1e-5, "{worst}");
}

#[test]
fn a_trace_holds_tokens_if_asked() {
    let temporary = folder();
    let folder = temporary.path();
    let newest = trained(folder);
    let evaluate = ["evaluate", "run", "--episodes", "2", "--trace"];
    ok(folder, &[&evaluate[..], &["plain.jsonl"]].concat());
    ok(folder, &[&evaluate[..], &["tokens.jsonl", "--trace-tokens"]].concat());
    let outcome = run(folder, &["evaluate", "run", "--trace-tokens"]);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    assert!(outcome.err.contains("--trace <FILE>"), "{}", outcome.err);

    let tokenizer = stepladder_data::tokenizer::WordTokenizer::load(&newest.join("tokenizer.json")).unwrap();
    let (plain, full) = (episodes(&folder.join("plain.jsonl")), episodes(&folder.join("tokens.jsonl")));
    let mut turns = 0;
    for (plain, full) in plain.iter().zip(&full) {
        for (plain, full) in plain.turns().zip(full.turns()) {
            let tokens = full.tokens.as_deref().unwrap();
            assert_eq!(tokenizer.encode(&full.prompt), tokens.prompt);
            assert_eq!(
                (full.prompt_tokens, full.new_tokens),
                (tokens.prompt.len() as u32, tokens.reply.len() as u32)
            );
            let logprobs = tokens.logprobs.as_ref().unwrap();
            let sum: f64 = logprobs.iter().map(|&value| f64::from(value)).sum();
            assert_eq!(logprobs.len(), tokens.reply.len());
            // Reading a number back may cost its last bit.
            assert!((full.logprob.unwrap() - sum).abs() < 1e-9, "{:?} for {sum}", full.logprob);
            assert!(plain.tokens.is_none());
            assert_eq!(
                (&plain.prompt, &plain.reply, plain.logprob),
                (&full.prompt, &full.reply, full.logprob)
            );
            turns += 1;
        }
    }
    assert!(turns > 2, "{turns} turns");
}

#[test]
fn a_checkpoint_inside_a_run_plays_with_the_token_limits_of_the_run() {
    let temporary = folder();
    let folder = temporary.path();
    let limits = ["--set", "agents.step_hrl=false", "--set", "agents.flat.budget={ steps = 3 }"];
    let short = ["--set", "generation.short=1"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &limits[..], &short].concat());
    let newest = checkpoints(&folder.join("run"), "flat").pop().unwrap();
    let longest = |policy: &str, trace: &str| {
        let split = ["--env", "household", "--split", "dev", "--episodes", "1", "--max-steps", "3"];
        ok(folder, &[&["evaluate", policy], &split[..], &["--trace", trace, "--trace-tokens"]].concat());
        let episodes = episodes(&folder.join(trace));
        episodes.iter().flat_map(|episode| episode.turns()).map(|turn| turn.new_tokens).max().unwrap()
    };
    assert_eq!(longest("run", "run.jsonl"), 1);
    assert_eq!(longest(newest.to_str().unwrap(), "checkpoint.jsonl"), 1);
    let copy = folder.join("copy");
    fs_err::create_dir_all(&copy).unwrap();
    for name in files(&newest) {
        fs_err::copy(newest.join(&name), copy.join(&name)).unwrap();
    }
    assert!(longest("copy", "copy.jsonl") > 1);
}
