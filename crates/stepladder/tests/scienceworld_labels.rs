//! What ScienceWorld's expert teaches, through the program: solved tasks, labels that agree with each other.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use std::path::PathBuf;
use std::process::Command;

use common::{episodes, folder, json};
use stepladder_core::trace::Episode;

/// The data root with a simulator in it and a Java to run it, or a loud note that the test cannot run.
fn playable() -> Option<PathBuf> {
    let root = std::env::var_os("STEPLADDER_DATA").map(PathBuf::from);
    let root = root.filter(|root| root.join("scienceworld/1.2.3/scienceworld.jar").exists());
    let java = Command::new("java").arg("-version").output().is_ok();
    if root.is_none() || !java {
        let why = "no scienceworld/1.2.3/scienceworld.jar below the directory in STEPLADDER_DATA, or no Java";
        assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "{why}");
        eprintln!("SKIPPED: {why}");
        return None;
    }
    root
}

/// Spec/algorithms 3.0: every action but the one that ends the episode has a progress text, groups are not empty, the flag
/// is set with the last action of every subtask but the one that the end of the episode cut.
fn consistent(episode: &Episode) {
    let count = episode.subtasks.len();
    for (number, subtask) in episode.subtasks.iter().enumerate() {
        let (last, earlier) = subtask.steps.split_last().expect("no subtask is empty");
        assert!(earlier.iter().all(|step| !step.finished && step.progress.is_some()), "{}", episode.task);
        assert!(last.finished || number + 1 == count, "{}: {}", episode.task, subtask.text);
        let ends = last.end.is_some();
        assert_eq!(last.progress.is_none(), ends, "{}: {}", episode.task, subtask.text);
    }
}

#[test]
fn demonstrations_solve_their_tasks_with_labels_that_agree() {
    let Some(root) = playable() else { return };
    let temporary = folder();
    let file = temporary.path().join("demonstrations.jsonl.zst");
    let place = ["-o", file.to_str().unwrap(), "--data", root.to_str().unwrap(), "--json"];
    let arguments = ["demonstrate", "--env", "scienceworld", "--split", "train_dev"];
    let report = json(temporary.path(), &[&arguments[..], &place].concat());
    assert_eq!(report["n"], 101);
    assert!(report["success"].as_f64().unwrap() > 0.985, "{report}");
    assert!(report["mean_steps"].as_f64().unwrap() < 15.0, "{report}");
    let labels = &report["labels"];
    let number = |key: &str| labels[key].as_f64().unwrap();
    assert!((2.0..=8.0).contains(&number("median_actions")), "{labels}");
    assert!(number("named") > 0.99, "{labels}");
    assert!(number("contradictory") <= 0.01, "{labels}");
    assert!(number("progress_words") <= 12.0, "{labels}");
    assert_eq!(labels["unlabelled"], 0, "{labels}");
    let played = episodes(&file);
    played.iter().for_each(consistent);
    let families: std::collections::BTreeSet<&str> =
        played.iter().map(|episode| episode.start.family.as_str()).collect();
    assert!(families.len() >= 20, "{families:?}");
}
