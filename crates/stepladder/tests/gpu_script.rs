//! `cargo xtask gpu` and the script that it prepares, as a dry run: tiny models and a few games, on the CPU.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]
#![expect(clippy::disallowed_methods, reason = "it runs the commands of a developer")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// Prepares the folder with the programs that the tests are built with.
fn prepared() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gpu");
    let mut command = Command::new(env!("CARGO"));
    // The variables by which cargo describes this package and its libraries are not for the inner cargo.
    let own = |name: &str| {
        ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "NEXTEST"].iter().any(|start| name.starts_with(start))
    };
    for (name, _) in std::env::vars().filter(|(name, _)| own(name)) {
        command.env_remove(name);
    }
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).env_remove("LD_LIBRARY_PATH");
    command.args(["xtask", "gpu", "--tiny", "--out"]).arg(&folder);
    let Output { status, stderr, .. } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    folder
}

fn script(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new("python3");
    command.arg(folder.join("run.py")).args(arguments).args(["--out", "results"]).current_dir(folder);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).unwrap()).unwrap()
}

fn part(folder: &Path, number: usize) -> Value {
    read(&folder.join(format!("results/part-{number}.json")))
}

fn states(folder: &Path) -> Vec<String> {
    let summary = read(&folder.join("results/summary.json"));
    let parts = summary["parts"].as_array().unwrap();
    parts.iter().map(|part| part["state"].as_str().unwrap().to_owned()).collect()
}

fn log(folder: &Path) -> String {
    fs_err::read_to_string(folder.join("results/log.txt")).unwrap_or_default()
}

#[test]
fn the_script_runs_on_a_cpu_from_one_end_to_the_other() {
    let folder = prepared();
    let pieces = read(&folder.join("pieces.json"));
    assert!(
        pieces["pieces"].as_array().unwrap().iter().all(|piece| piece["bytes"].as_u64() < Some(60_000_000))
    );

    a_damaged_piece_is_refused(&folder);
    every_part_reports(&folder);
    a_part_that_fails_does_not_stop_the_others(&folder);
    parts_end_at_their_limit(&folder);
    a_missing_gpu_is_named(&folder);
}

fn a_damaged_piece_is_refused(folder: &Path) {
    let piece = folder.join("pieces/000");
    let whole = fs_err::read(&piece).unwrap();
    let mut damaged = whole.clone();
    damaged[1000] ^= 1;
    fs_err::write(&piece, damaged).unwrap();
    let (code, said) = script(folder, &["--device", "cpu"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("pieces/000 is damaged"), "{said}");
    fs_err::remove_file(&piece).unwrap();
    let (code, said) = script(folder, &["--device", "cpu"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("pieces/000 is missing"), "{said}");
    assert!(!folder.join("results").exists());
    fs_err::write(&piece, whole).unwrap();
}

fn every_part_reports(folder: &Path) {
    let (code, said) = script(folder, &["--device", "cpu"]);
    assert_eq!(code, Some(0), "{said}\n{}", log(folder));
    assert_eq!(states(folder), ["ok"; 5], "{said}");
    let measured = |number: usize| part(folder, number)["measurements"].clone();

    let parity = measured(1);
    assert_eq!(parity["passed"], true);
    let checkpoints = parity["checkpoints"].as_array().unwrap();
    assert_eq!(checkpoints.len(), 12);
    for each in checkpoints {
        // The CPU is compared with itself: in f32 nothing differs, in bf16 something does.
        let differs = |name: &str| each["differences"][name].as_f64().unwrap() > 0.0;
        let bf16 = each["dtype"] == "bf16";
        assert_eq!((differs("logits"), differs("loss"), differs("gradient")), (bf16, bf16, bf16), "{each}");
        assert_eq!(each["replies"], 8);
    }

    for (number, seed) in [(2, 1), (5, 2)] {
        let cloning = measured(number);
        assert_eq!((&cloning["seed"], &cloning["training"]["step"]), (&json!(seed), &json!(3)), "{cloning}");
        assert_eq!(
            (&cloning["evaluation"]["n"], &cloning["evaluation"]["env"]),
            (&json!(2), &json!("household"))
        );
        for phase in ["demonstrations", "training", "evaluation"] {
            assert!(cloning["phase_seconds"][phase].as_f64().is_some(), "{cloning}");
        }
    }

    let sides = |model: &Value| {
        let theirs = &model["transformers + peft"];
        let reason = theirs["skipped"].as_str().unwrap_or_default();
        let per_second = |side: &Value, unit: &str| side[unit].as_f64().unwrap();
        assert_ne!(reason.contains("not installed"), model["ratio"].is_f64(), "{model}");
        per_second(
            &model["ours"],
            if model["new_tokens"].is_null() { "tokens_per_second" } else { "new_tokens_per_second" },
        )
    };
    let tiny = &measured(3)["models"]["qwen2.5-tiny"];
    assert!(sides(tiny) > 0.0);
    let (shared, whole) = (&tiny["ours"], &tiny["ours, nothing shared"]);
    // Beginnings that rows share are computed once.
    assert!(shared["computed_tokens"].as_f64() < shared["tokens"].as_f64(), "{tiny}");
    assert_eq!(whole["computed_tokens"].as_f64(), whole["tokens"].as_f64(), "{tiny}");
    let models = &measured(4)["models"];
    assert!(sides(&models["tiny"]) > 0.0 && sides(&models["qwen2.5-tiny"]) > 0.0, "{models}");
}

/// Runs only parts 3 and 4, without the program of part 3.
fn a_part_that_fails_does_not_stop_the_others(folder: &Path) {
    fs_err::remove_dir_all(folder.join("results")).unwrap();
    let program = folder.join("work/bin/cloning_speed");
    fs_err::rename(&program, program.with_extension("away")).unwrap();
    let (code, said) = script(folder, &["--device", "cpu", "--from", "3", "--to", "4"]);
    fs_err::rename(program.with_extension("away"), &program).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(states(folder), ["skipped", "skipped", "failed", "ok", "skipped"], "{said}");
    let error = part(folder, 3)["error"].as_str().unwrap().to_owned();
    assert!(error.contains("cloning_speed"), "{error}");
    assert!(!folder.join("results/part-1.json").exists());
}

fn parts_end_at_their_limit(folder: &Path) {
    let (code, said) = script(folder, &["--device", "cpu", "--from", "2", "--to", "3", "--limit", "3.2"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(states(folder)[1..3], ["timed out", "no time left"], "{said}");
    let stopped = part(folder, 2);
    assert!(stopped["error"].as_str().unwrap().contains("was stopped"), "{stopped}");
    assert_eq!(stopped["measurements"]["seed"], 1);
}

fn a_missing_gpu_is_named(folder: &Path) {
    if Path::new("/dev/nvidiactl").exists() {
        return;
    }
    let (code, said) = script(folder, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no NVIDIA GPU was found on this machine"), "{said}");
    assert_eq!(script(folder, &["--from", "9"]).0, Some(2));
}
