//! Requests that would never end or exceed the memory are refused before anything is played.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

#[cfg(target_os = "linux")]
use common::within;
use common::{files, folder, ok, refused, run};

#[test]
fn horizon_checks_its_goals_and_its_output_before_it_plays() {
    let temporary = folder();
    let folder = temporary.path();
    let small = ["--set", "agents.flat=false", "--set", "agents.step_hrl.budget={ steps = 1 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &small[..]].concat());
    let before = files(folder);
    let outcome = run(folder, &["horizon", "run", "--goals", "1,77", "--episodes", "2", "-o", "h"]);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    assert!(outcome.err.starts_with("error: --goals: "), "{outcome:#?}");
    assert!(outcome.err.contains("dev-goals-77"), "{outcome:#?}");
    refused(
        folder,
        &["horizon", "run", "--goals", "1", "--episodes", "2", "-o", "new/folder/h"],
        1,
        "cannot write new/folder/h.md: No such file or directory (os error 2)",
    );
    // Nothing was played, and no folder was created.
    assert_eq!(files(folder), before);
    assert!(!folder.join("new").exists());
    ok(folder, &["horizon", "run", "--goals", "1", "--episodes", "2", "-o", "h"]);
    assert!(folder.join("h.md").exists() && folder.join("h.svg").exists());
}

#[test]
fn counts_have_bounds() {
    let temporary = folder();
    let folder = temporary.path();
    let small = ["--set", "agents.flat=false", "--set", "agents.step_hrl.budget={ steps = 1 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &small[..]].concat());
    refused(
        folder,
        &["evaluate", "run", "--episodes", "3", "--temperature", "1", "--seeds", "100000000000"],
        2,
        "--seeds 100000000000 on 3 tasks are 300000000000 episodes; at most 1000000 are played at a time",
    );
    for (key, value, most) in [
        ("data.noisy_passes", "9223372036854775807", 1000),
        ("eval.probes", "4294967295", 10_000),
        ("threads", "1000000", 1024),
    ] {
        let outcome = run(folder, &["config", "check", "tiny.toml", "--set", &format!("{key}={value}")]);
        assert_eq!(outcome.code, Some(2), "{key}: {outcome:#?}");
        assert!(outcome.err.contains(&format!("{key} is {value}")), "{outcome:#?}");
        assert!(outcome.err.contains(&format!("it must be at most {most}")), "{outcome:#?}");
    }
    // The largest number, which still selects at most all tasks.
    let many = "18446744073709551615";
    let outcome = run(folder, &["evaluate", "run", "--episodes", "2", "--slots", many]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
}

#[test]
#[cfg(target_os = "linux")]
fn too_little_memory_is_said_before_it_runs_out() {
    let temporary = folder();
    let folder = temporary.path();
    let before = files(folder);
    let train = ["train", "tiny.toml", "--run-dir", "run"];
    let large = ["model.width=4096", "model.heads=32", "model.layers=8", "model.ffn=16384"];
    let large: Vec<&str> = train.into_iter().chain(large.iter().flat_map(|set| ["--set", set])).collect();
    let outcome = within(4 << 20, folder, &large);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let start = "error: not enough memory: training ";
    assert!(outcome.err.starts_with(start), "{outcome:#?}");
    assert!(outcome.err.contains(" million parameters needs at least "), "{outcome:#?}");
    assert_eq!(files(folder), before);
    // With any amount of memory the command works or prints one sentence. Below this limit the loader cannot even map libtorch.
    let mut refused = 0;
    for mib in [520, 560, 600, 640, 680] {
        let outcome = within(mib << 10, folder, &["evaluate", "nowhere"]);
        assert_eq!((outcome.code, outcome.err.lines().count()), (Some(1), 1), "{mib}: {outcome:#?}");
        refused += u32::from(outcome.err.starts_with("error: not enough memory: "));
    }
    assert!(refused > 0);
}
