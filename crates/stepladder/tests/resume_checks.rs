//! A continued run refuses files of another run.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;

use common::{checkpoints, folder, ok, refused, run};
use serde_json::{Value, json};

const RESUME: [&str; 3] = ["train", "--resume", "run"];

/// Creates a finished run whose second agent appears not begun.
fn begun(folder: &Path) {
    let short =
        ["--set", "agents.step_hrl.budget={ steps = 2 }", "--set", "agents.flat.budget={ steps = 2 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &short[..]].concat());
    let other = ["--set", "seed=4", "--set", "data.games=6"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "other"], &short[..], &other].concat());
    fs_err::remove_dir_all(folder.join("run/flat")).unwrap();
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs_err::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs_err::write(path, text.replacen(from, to, 1)).unwrap();
}

/// Rewrites the record of a run as before settings and checksums were recorded.
fn make_old(root: &Path) {
    let path = root.join("run.json");
    let mut info: Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    info.as_object_mut().unwrap().remove("settings").unwrap();
    fs_err::write(path, info.to_string()).unwrap();
    fs_err::remove_file(root.join("demonstrations.sha256")).unwrap();
}

fn changed(keys: &str) -> String {
    format!(
        "run/config.toml: the configuration was changed since the run was started: {keys}; put it back as it was, or \
         start a new run (only threads, eval.slots, eval.prefix_mib, eval.remembered_tokens, eval.constrained, eval.final, eval.transfer, \
         log.every_seconds, log.checkpoint_seconds, log.keep may change)"
    )
}

#[test]
fn a_changed_configuration_is_named_key_by_key() {
    let temporary = folder();
    let folder = temporary.path();
    begun(folder);
    let config = folder.join("run/config.toml");
    let whole = fs_err::read_to_string(&config).unwrap();
    edit(&config, "seed = 3", "seed = 5");
    refused(folder, &RESUME, 1, &changed("seed is 5, was 3"));
    edit(&config, "games = 12", "games = 13\npractice = \"dev\"");
    refused(
        folder,
        &RESUME,
        1,
        &changed("data.games is 13, was 12, data.practice is \"dev\", was absent, seed is 5, was 3"),
    );
    assert!(!folder.join("run/flat").exists());
    // Configuration of another run.
    fs_err::copy(folder.join("other/config.toml"), &config).unwrap();
    refused(folder, &RESUME, 1, &changed("data.games is 6, was 12, seed is 4, was 3"));

    // The keys that may change.
    fs_err::write(&config, whole).unwrap();
    edit(&config, "slots = 4", "slots = 3\nprefix_mib = 8");
    edit(&config, "remembered_tokens = 4000000", "remembered_tokens = 0");
    edit(&config, "keep = 2", "keep = 1");
    ok(folder, &RESUME);
    assert_eq!(checkpoints(&folder.join("run"), "flat").len(), 1);
}

#[test]
fn demonstrations_of_another_run_are_refused() {
    let temporary = folder();
    let folder = temporary.path();
    begun(folder);
    let file = folder.join("run/demonstrations.jsonl.zst");
    let own = fs_err::read(&file).unwrap();
    fs_err::copy(folder.join("other/demonstrations.jsonl.zst"), &file).unwrap();
    let outcome = run(folder, &RESUME);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let message = "error: run/demonstrations.jsonl.zst are not the demonstrations that this run began with: their SHA-256 is ";
    assert!(outcome.err.starts_with(message), "{}", outcome.err);
    assert!(!folder.join("run/flat").exists());
    // With the files restored, or played again, the run continues.
    fs_err::write(&file, &own).unwrap();
    ok(folder, &RESUME);
    fs_err::remove_file(&file).unwrap();
    ok(folder, &RESUME);
    assert!(fs_err::read(&file).unwrap() == own);
}

#[test]
fn run_directories_of_other_versions_are_told_apart() {
    let temporary = folder();
    let folder = temporary.path();
    begun(folder);
    let path = folder.join("run/run.json");
    let whole = fs_err::read_to_string(&path).unwrap();
    for version in [json!(99), json!(0), json!("1"), json!(null)] {
        let mut info: Value = serde_json::from_str(&whole).unwrap();
        info["version"] = version.clone();
        fs_err::write(&path, info.to_string()).unwrap();
        let message =
            format!("run/run.json: run directory of version {version}; this program reads version 1");
        for command in [&RESUME[..], &["evaluate", "run"], &["compare", "run"], &["curves", "run", "-o", "c"]]
        {
            refused(folder, command, 1, &message);
        }
    }
    // A run of an older version has a record of its seed, not of its settings.
    fs_err::write(&path, &whole).unwrap();
    make_old(&folder.join("run"));
    let config = folder.join("run/config.toml");
    edit(&config, "seed = 3", "seed = 5");
    refused(folder, &RESUME, 1, &changed("seed is 5, was 3"));
    edit(&config, "seed = 5", "seed = 3");
    edit(&config, "width = 16", "width = 32");
    ok(folder, &["compare", "run"]);
    edit(&config, "width = 32", "width = 16");
    ok(folder, &RESUME);
    // From then on its demonstrations are recorded.
    let other = folder.join("other/demonstrations.jsonl.zst");
    fs_err::copy(other, folder.join("run/demonstrations.jsonl.zst")).unwrap();
    assert_eq!(run(folder, &RESUME).code, Some(1));
}

#[test]
fn an_evaluation_of_something_else_is_not_compared() {
    let temporary = folder();
    let folder = temporary.path();
    let short =
        ["--set", "agents.step_hrl.budget={ steps = 2 }", "--set", "agents.flat.budget={ steps = 2 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &short[..]].concat());
    let compare = ["compare", "run"];
    ok(folder, &compare);
    let file = folder.join("run/flat/household-dev.json");
    let whole = fs_err::read_to_string(&file).unwrap();
    for (key, value, message) in [
        (
            "agent",
            json!("step_hrl"),
            "an evaluation of step_hrl on household/dev, not of flat on household/dev",
        ),
        ("split", json!("test"), "an evaluation of flat on household/test, not of flat on household/dev"),
        ("env", json!(null), "an evaluation of flat on ?/dev, not of flat on household/dev"),
        ("success", json!(1.5), "`success` is 1.5; expected a fraction from 0 to 1"),
        ("success", json!(null), "`success` is null; expected a fraction from 0 to 1"),
    ] {
        let mut other: Value = serde_json::from_str(&whole).unwrap();
        other[key] = value;
        fs_err::write(&file, other.to_string()).unwrap();
        let outcome = run(folder, &compare);
        assert_eq!(outcome.code, Some(1), "{outcome:#?}");
        let start = format!("error: run/flat/household-dev.json: {message}");
        assert!(outcome.err.starts_with(&start), "{}", outcome.err);
    }
}
