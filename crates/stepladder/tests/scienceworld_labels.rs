//! Labels of ScienceWorld's expert: solved tasks, and labels without contradictions.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use common::{episodes, folder, json, playable};
use stepladder_agent::AgentKind;
use stepladder_core::Role;
use stepladder_core::label::Expert;
use stepladder_core::reply::clean_progress;
use stepladder_core::seed::stream;
use stepladder_core::trace::Episode;
use stepladder_data::samples::samples;
use stepladder_scienceworld::ScienceWorldExpert;
use stepladder_scienceworld::augment::rename::rename;

/// Checks docs/spec/algorithms.md 3.0: every action but the one that ends the episode has a progress text, groups are not empty,
/// the flag is set with the last action of every subtask except one that the end of the episode truncated.
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

/// Renamed objects in other places: two worlds of each of 24 task types.
#[test]
fn the_expert_wins_practice_worlds() {
    let Some(root) = playable() else { return };
    let temporary = folder();
    let file = temporary.path().join("practice.jsonl.zst");
    let place = ["-o", file.to_str().unwrap(), "--data", root.to_str().unwrap(), "--json"];
    let arguments = ["demonstrate", "--env", "scienceworld", "--split", "practice", "--count", "48"];
    let report = json(temporary.path(), &[&arguments[..], &place].concat());
    assert_eq!(report["n"], 48);
    assert!(report["success"].as_f64().unwrap() >= 0.8, "{report}");
    let played = episodes(&file);
    let families: std::collections::BTreeSet<&str> =
        played.iter().map(|episode| episode.start.family.as_str()).collect();
    assert_eq!(families.len(), 24, "{families:?}");
    played.iter().filter(|episode| episode.won).for_each(consistent);
}

/// In renamed episodes, the expert gives the recorded labels.
#[test]
fn the_expert_agrees_with_renamed_labels() {
    let Some(root) = playable() else { return };
    let temporary = folder();
    let file = temporary.path().join("demonstrations.jsonl.zst");
    let place = ["-o", file.to_str().unwrap(), "--data", root.to_str().unwrap(), "--json"];
    let arguments = ["demonstrate", "--env", "scienceworld", "--split", "train_dev", "--noise", "0.1"];
    json(temporary.path(), &[&arguments[..], &place].concat());
    let (mut said, mut agreed) = (0, 0);
    for (number, episode) in episodes(&file).iter().enumerate().filter(|(_, episode)| episode.won) {
        let renamed = rename(episode, &mut stream(1, "rename", &[number as u64]));
        for sample in samples(AgentKind::StepHrl.into(), &renamed).unwrap() {
            said += 1;
            let reply = ScienceWorldExpert.reply(&sample.query).unwrap();
            let reply = if sample.role() == Role::Progress { clean_progress(&reply) } else { reply };
            if reply == sample.reply {
                agreed += 1;
            } else {
                eprintln!(
                    "{}: {:?}\n  says {reply:?}\n  not  {:?}",
                    episode.task, sample.query, sample.reply
                );
            }
        }
    }
    assert!(said > 1000 && f64::from(agreed) > 0.99 * f64::from(said), "{agreed} of {said}");
}

#[test]
fn gold_paths_are_demonstrations_too() {
    let Some(root) = playable() else { return };
    let temporary = folder();
    let file = temporary.path().join("gold.jsonl");
    let place = ["-o", file.to_str().unwrap(), "--data", root.to_str().unwrap(), "--json"];
    let arguments = ["demonstrate", "--env", "scienceworld", "--split", "dev", "--walkthrough"];
    let whole = ["--count", "6", "--max-steps", "1000", "--flat"];
    let report = json(temporary.path(), &[&arguments[..], &whole, &place].concat());
    let played = episodes(&file);
    assert_eq!((&report["n"], &report["success"]), (&6.into(), &1.0.into()), "{report}");
    assert_eq!(report["labels"], serde_json::Value::Null);
    assert_eq!(played.len(), 6);
    assert!(played.iter().any(|episode| episode.len() > 20));
    for episode in played {
        assert!(episode.won && (episode.score - 1.0).abs() < 1e-9, "{}: {}", episode.task, episode.score);
        assert_eq!((episode.agent.as_str(), episode.policy.as_str()), ("flat", "walkthrough/scienceworld"));
    }
}
