//! Kills of runs with every algorithm, without warning, at random moments: `STEPLADDER_KILLS` of them if set.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{command, files, folder, metrics, ok, tiny_llama};
use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_env::clock::Stopwatch;
use tempfile::TempDir;

/// Lists the models of the run, by the directories of their checkpoints.
fn models(run: &Path) -> Vec<String> {
    let newest = files(run).into_iter().filter(|path| path.ends_with("/trainer.json"));
    let mut found: Vec<String> =
        newest.filter_map(|path| Some(path.split_once("/checkpoints/")?.0.to_owned())).collect();
    found.dedup();
    found
}

/// Collects the results of a complete run by path: evaluations, final weights and trainer states, losses; without times.
fn outcome(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for path in files(run) {
        let kept = path.ends_with("safetensors")
            || path.ends_with("tokenizer.json")
            || path.ends_with("gate.json")
            || (path.ends_with(".jsonl.zst") && !path.contains("tensorboard"));
        if kept {
            let bytes = fs_err::read(run.join(&path)).unwrap();
            found.push((
                path,
                if bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) { unpack(&bytes) } else { bytes },
            ));
        }
    }
    for model in models(run) {
        let losses: Vec<String> = metrics(run, &model)
            .iter()
            .filter_map(|line| {
                Some(format!("{} {}", line["step"], line.get("loss").or(line.get("probe/success"))?))
            })
            .collect();
        found.push((format!("{model} losses"), losses.join("\n").into_bytes()));
    }
    let table = fs_err::read_to_string(run.join("table.txt")).unwrap();
    let timeless: Vec<&str> = table.lines().filter(|line| !line.starts_with("training: ")).collect();
    found.push(("table".to_owned(), timeless.join("\n").into_bytes()));
    found
}

fn unpack(bytes: &[u8]) -> Vec<u8> {
    zstd::decode_all(bytes).unwrap()
}

/// Number of kills that `STEPLADDER_KILLS` asks for.
fn wanted(unset: usize) -> usize {
    stepladder_testing::variable("STEPLADDER_KILLS")
        .map_or(unset, |count| count.to_str().unwrap().parse().unwrap())
}

#[test]
fn a_run_killed_at_random_moments_ends_as_if_nothing_had_happened() {
    killed(&folder(), "all.toml", 17, wanted(20));
}

/// With running means of the actor's weights, and with measurements of the critics.
#[test]
fn controls_of_offline_learning_outlive_kills() {
    killed(&folder(), "controls.toml", 7, wanted(8));
}

#[test]
fn adapters_of_every_method_outlive_kills() {
    let temporary = folder();
    tiny_llama::write(temporary.path(), "llama", 4096, 1);
    // Eleven agents, one of them with three models.
    killed(&temporary, "pretrained.toml", 13, wanted(8));
}

/// Completes the run of a configuration, and runs that are killed until there were `wanted` kills; compares all results.
fn killed(temporary: &TempDir, configuration: &str, count: usize, wanted: usize) {
    let folder = temporary.path();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    fs_err::copy(tests.join(configuration), folder.join(configuration)).unwrap();
    let clock = Stopwatch::start();
    ok(folder, &["train", configuration, "--run-dir", "whole"]);
    let duration = clock.elapsed();
    let whole = outcome(&folder.join("whole"));
    assert_eq!(models(&folder.join("whole")).len(), count, "{:?}", models(&folder.join("whole")));

    let mut moments = stream(11, "test/kills", &[]);
    let mut kills = 0;
    let mut run = 0;
    while kills < wanted {
        run += 1;
        let name = format!("killed-{run}");
        let root = folder.join(&name);
        loop {
            let arguments: Vec<&str> = if root.join("config.toml").exists() {
                vec!["train", "--resume", &name]
            } else {
                vec!["train", configuration, "--run-dir", &name]
            };
            if kills == wanted {
                ok(folder, &arguments);
                break;
            }
            let mut program = command(folder, &arguments);
            let mut child = program.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(duration.mul_f64(moments.random_range(0.02..0.3)));
            let _ = child.kill();
            if child.wait().unwrap().success() {
                break;
            }
            kills += 1;
        }
        let killed = outcome(&root);
        let names = |all: &[(String, Vec<u8>)]| all.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
        assert_eq!(names(&killed), names(&whole));
        for ((path, killed), (_, whole)) in killed.iter().zip(&whole) {
            assert!(killed == whole, "{path} differs after {kills} kills");
        }
        let leftovers: Vec<String> =
            files(&root).into_iter().filter(|path| path.contains(".writing")).collect();
        assert_eq!(leftovers, Vec::<String>::new());
    }
    assert!(duration > Duration::ZERO);
}
