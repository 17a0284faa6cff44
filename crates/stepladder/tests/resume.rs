//! Runs that are stopped, killed or out of disk space, and then continued.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{checkpoints, command, files, finish, folder, metrics, ok, run};
use stepladder_env::clock::Stopwatch;

const AGENTS: [&str; 2] = ["step_hrl", "flat"];

/// Returns the table without the line of times.
fn results(table: &str) -> &str {
    table.split_once("\ntraining: ").map_or(table, |(results, _)| results)
}

/// Starts a command, waits until `ready`, and sends it a signal; returns false if it ended before.
fn interrupted(
    mut command: Command,
    signal: &str,
    mut ready: impl FnMut() -> bool,
) -> (bool, Option<i32>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let started = Stopwatch::start();
    let mut sent = false;
    loop {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        if ready() {
            let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            sent = status.success();
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "the moment never came");
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    (sent, output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// Returns the number of the newest complete checkpoint, 0 without one.
fn newest(run: &Path, agent: &str) -> u64 {
    let last = checkpoints(run, agent).pop();
    last.map_or(0, |path| path.file_name().unwrap().to_str().unwrap()["step-".len()..].parse().unwrap())
}

/// Whether a checkpoint is being written.
fn saving(run: &Path, agent: &str) -> bool {
    let entries = fs_err::read_dir(run.join(agent).join("checkpoints"));
    entries.into_iter().flatten().flatten().any(|entry| entry.file_name().to_str().unwrap().starts_with('.'))
}

/// Checks that every complete checkpoint is readable: its tensors cover their files exactly.
fn assert_whole(run: &Path) {
    for checkpoint in AGENTS.iter().flat_map(|agent| checkpoints(run, agent)) {
        for name in ["model.safetensors", "trainer.safetensors"] {
            let bytes = fs_err::read(checkpoint.join(name)).unwrap();
            safetensors::SafeTensors::deserialize(&bytes).unwrap();
        }
        for name in [
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "trainer.json",
        ] {
            let text = fs_err::read_to_string(checkpoint.join(name)).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
}

/// Kills a run without warning again and again, and expects the result of an uninterrupted run.
fn killed_and_resumed(threads: &str) {
    let temporary = folder();
    let folder = temporary.path();
    let set = format!("threads={threads}");
    ok(folder, &["train", "tiny.toml", "--set", &set, "--run-dir", "whole"]);

    let root = folder.join("killed");
    let resume = ["train", "--resume", "killed"];
    let train = ["train", "tiny.toml", "--set", &set, "--run-dir", "killed"];
    let moments: [(&str, &dyn Fn() -> bool); 6] = [
        ("begun", &|| root.join("config.toml").exists()),
        ("before the first checkpoint", &|| root.join("step_hrl").exists()),
        ("in an early save", &|| newest(&root, "step_hrl") >= 2 && saving(&root, "step_hrl")),
        ("in a late save", &|| newest(&root, "step_hrl") >= 12 && saving(&root, "step_hrl")),
        ("in a save of the second agent", &|| newest(&root, "flat") >= 5 && saving(&root, "flat")),
        ("in the evaluation", &|| root.join("flat/trained.json").exists()),
    ];
    let mut kills = 0;
    for (name, moment) in moments {
        let arguments = if kills == 0 { &train[..] } else { &resume[..] };
        let before = AGENTS.map(|agent| newest(&root, agent));
        let (killed, ..) = interrupted(command(folder, arguments), "-KILL", moment);
        kills += usize::from(killed);
        let after = AGENTS.map(|agent| newest(&root, agent));
        assert!(before[0] <= after[0] && before[1] <= after[1], "{name}: {before:?}, then {after:?}");
        assert_whole(&root);
    }
    // A fast machine may miss some of the moments, not all.
    assert!(kills >= 4, "{kills} kills");
    ok(folder, &resume);

    for agent in AGENTS {
        assert_eq!(newest(&root, agent), 20);
        for name in ["config.json", "model.safetensors", "tokenizer.json", "trainer.safetensors"] {
            let bytes = |run| {
                fs_err::read(folder.join(run).join(agent).join("checkpoints/step-00000020").join(name))
                    .unwrap()
            };
            assert!(bytes("killed") == bytes("whole"), "{threads} threads: {agent}/{name} differs");
        }
        // Every step is in the metrics once, with the same loss as without kills.
        let losses = |run: &str| -> Vec<(u64, f64)> {
            metrics(&folder.join(run), agent)
                .iter()
                .filter_map(|line| Some((line["step"].as_u64().unwrap(), line["loss"].as_f64()?)))
                .collect()
        };
        assert_eq!(losses("killed"), losses("whole"), "{agent}");
        let probes = |run: &str| {
            metrics(&folder.join(run), agent).iter().filter(|line| line["probe/success"].is_f64()).count()
        };
        assert_eq!((probes("killed"), probes("whole")), (1, 1), "{agent}");
    }
    let table = |run: &str| fs_err::read_to_string(folder.join(run).join("table.txt")).unwrap();
    assert_eq!(results(&table("killed")), results(&table("whole")));
    let leftovers: Vec<String> = files(&root).into_iter().filter(|path| path.contains(".writing")).collect();
    assert_eq!(leftovers, Vec::<String>::new());
}

#[test]
fn a_killed_run_continues_bit_for_bit_with_one_thread() {
    killed_and_resumed("1");
}

#[test]
fn a_killed_run_continues_bit_for_bit_with_two_threads() {
    killed_and_resumed("2");
}

#[test]
fn ctrl_c_saves_and_says_how_to_continue() {
    stopped_by("-INT", 130);
}

#[test]
fn a_request_to_terminate_does_the_same() {
    stopped_by("-TERM", 143);
}

#[test]
fn two_processes_cannot_train_in_one_directory() {
    let temporary = folder();
    let folder = temporary.path();
    let endless =
        ["train", "tiny.toml", "--run-dir", "run", "--set", "agents.step_hrl.budget={ minutes = 5 }"];
    let root = folder.join("run");
    let mut second = None;
    let (sent, ..) = interrupted(command(folder, &endless), "-KILL", || {
        if newest(&root, "step_hrl") == 0 {
            return false;
        }
        second = Some(run(folder, &["train", "--resume", "run"]));
        true
    });
    assert!(sent);
    let second = second.unwrap();
    assert_eq!(second.code, Some(1), "{second:#?}");
    let message = "error: run is being trained by another process: wait for it, or stop it\n";
    assert!(second.err.ends_with(message), "{second:#?}");
}

fn stopped_by(signal: &str, expected: i32) {
    let temporary = folder();
    let folder = temporary.path();
    let root = folder.join("my run");
    let train = [
        "train",
        "tiny.toml",
        "--run-dir",
        "my run",
        "--set",
        "log.checkpoint_seconds=1000",
        "--set",
        "agents.step_hrl.budget={ steps = 400 }",
    ];
    let begun = || {
        fs_err::read_to_string(root.join("step_hrl/metrics.jsonl")).is_ok_and(|text| text.lines().count() > 3)
    };
    let (sent, code, out) = interrupted(command(folder, &train), signal, begun);
    assert!(sent);
    assert_eq!(code, Some(expected));
    assert_eq!(out, "stopped; continue with: stepladder train --resume 'my run'\n");
    let reached = newest(&root, "step_hrl");
    assert!((4..400).contains(&reached), "{reached}");

    let resumed = run(folder, &["train", "--resume", "my run"]);
    assert_eq!(resumed.code, Some(0), "{resumed:#?}");
    assert_eq!((newest(&root, "step_hrl"), newest(&root, "flat")), (400, 20));
    assert!(
        resumed.out.starts_with("household/dev, greedy, 6 steps, a sample of 4 of 200 tasks"),
        "{}",
        resumed.out
    );

    // A finished run only prints its table.
    let before = files(&root);
    let again = run(folder, &["train", "--resume", "my run"]);
    assert_eq!(again.code, Some(0), "{again:#?}");
    assert_eq!(results(&again.out), results(&resumed.out));
    assert_eq!(files(&root), before);
}

#[test]
fn a_full_disk_is_named_and_costs_nothing_that_was_saved() {
    let temporary = folder();
    let folder = temporary.path();
    // Files beyond 24 KiB cannot be written, as on a full disk; the trainer's tensors are the first to exceed it.
    let program = command(folder, &["train", "tiny.toml", "--run-dir", "run"]);
    let mut starved = Command::new("sh");
    starved.args(["-c", "trap '' XFSZ; ulimit -f 48; exec \"$0\" \"$@\""]).arg(program.get_program());
    starved.args(program.get_args()).current_dir(folder);
    starved.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    starved.env_remove("STEPLADDER_DATA");
    let outcome = finish(starved);
    assert_eq!(outcome.code, Some(1), "{outcome:#?}");
    let message = outcome.err.lines().last().unwrap();
    assert!(
        message.starts_with("error: run/step_hrl/checkpoints/.step-00000001.writing/trainer.safetensors: ")
    );
    assert!(message.contains("File too large"), "{message}");
    assert!(!saving(&folder.join("run"), "step_hrl"), "the half checkpoint is still there");
    ok(folder, &["train", "--resume", "run"]);
    assert_eq!(newest(&folder.join("run"), "flat"), 20);
}

#[test]
fn a_directory_whose_run_never_began_can_be_used() {
    let temporary = folder();
    let folder = temporary.path();
    // State after a kill between the first two files.
    fs_err::create_dir(folder.join("run")).unwrap();
    fs_err::write(folder.join("run/run.json"), "{").unwrap();
    let short = ["--set", "agents.flat=false", "--set", "agents.step_hrl.budget={ steps = 1 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &short[..]].concat());
}

/// `run.json` of a run older than sampled tasks does not record how its tasks are chosen.
#[test]
fn a_run_begun_on_the_first_tasks_goes_on_with_them() {
    let temporary = folder();
    let folder = temporary.path();
    let short = ["--set", "agents.flat=false", "--set", "agents.step_hrl.budget={ steps = 1 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &short[..]].concat());
    let path = folder.join("run/run.json");
    let mut info: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(info.as_object_mut().unwrap().remove("subsets"), Some("sample".into()));
    fs_err::write(&path, info.to_string()).unwrap();
    fs_err::remove_file(folder.join("run/expert-household-dev.jsonl.zst")).unwrap();
    fs_err::remove_file(folder.join("run/step_hrl/household-dev.json")).unwrap();
    let table = ok(folder, &["train", "--resume", "run"]);
    assert!(table.starts_with("household/dev, greedy, 6 steps, the first 4 of 200 tasks\n"), "{table}");
    let played = common::episodes(&folder.join("run/step_hrl/household-dev.jsonl.zst"));
    let tasks: Vec<String> = played.into_iter().map(|episode| episode.task.id).collect();
    assert_eq!(tasks, ["seed-0", "seed-1", "seed-2", "seed-3"]);
}

/// The number of concurrent episodes affects memory and speed only: rollouts, training and counts do not depend on it.
#[test]
fn a_run_continued_with_other_slots_ends_the_same() {
    const MORE: &str = r#"
[algo.dagger]
rounds = 1
games = 6
temperature = 0.0

[agents.dagger]
kind = "step_hrl"
algo = "dagger"
from = "step_hrl"
budget = { steps = 4 }
batch_tokens = 256
learning_rate = 1e-3
"#;
    let temporary = folder();
    let folder = temporary.path();
    let tiny = fs_err::read_to_string(folder.join("tiny.toml")).unwrap();
    fs_err::write(folder.join("mine.toml"), tiny + MORE).unwrap();
    let root = folder.join("run");
    ok(folder, &["train", "mine.toml", "--run-dir", "run"]);
    let outcome = || -> Vec<(String, Vec<u8>)> {
        let told = |path: &String| {
            path.ends_with("model.safetensors") || path.ends_with(".jsonl.zst") || path.ends_with("-dev.json")
        };
        let paths = files(&root).into_iter().filter(told);
        paths.map(|path| (path.clone(), fs_err::read(root.join(path)).unwrap())).collect()
    };
    let (before, table) = (outcome(), fs_err::read_to_string(root.join("table.txt")).unwrap());
    assert!(before.iter().any(|(path, _)| path == "dagger/round-1.jsonl.zst"));
    for name in ["flat", "dagger"] {
        fs_err::remove_dir_all(root.join(name)).unwrap();
    }
    fs_err::remove_file(root.join("step_hrl/household-dev.json")).unwrap();
    let config = fs_err::read_to_string(root.join("config.toml")).unwrap();
    assert!(config.contains("\nslots = 4\n"), "{config}");
    fs_err::write(root.join("config.toml"), config.replace("\nslots = 4\n", "\nslots = 1\n")).unwrap();
    ok(folder, &["train", "--resume", "run"]);
    let after = outcome();
    assert_eq!(before.len(), after.len());
    for ((path, one), (other_path, other)) in before.iter().zip(&after) {
        assert!(path == other_path && one == other, "{path} differs");
    }
    assert_eq!(results(&fs_err::read_to_string(root.join("table.txt")).unwrap()), results(&table));
}

#[test]
fn a_run_continued_with_other_threads_is_warned_about() {
    let temporary = folder();
    let folder = temporary.path();
    let short = ["--set", "agents.flat=false", "--set", "agents.step_hrl.budget={ steps = 1 }"];
    ok(folder, &[&["train", "tiny.toml", "--run-dir", "run"], &short[..]].concat());
    let path = folder.join("run/config.toml");
    let config = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, config.replace("threads = 1\n", "threads = 2\n")).unwrap();
    let outcome = run(folder, &["train", "--resume", "run"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    let message =
        "the run was started with 1 threads and continues with 2: its results will differ in the last bits\n";
    assert!(outcome.err.contains(message), "{}", outcome.err);
}
