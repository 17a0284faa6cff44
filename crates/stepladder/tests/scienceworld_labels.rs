//! What ScienceWorld's expert teaches, through the program: solved tasks, labels that agree with each other.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod common;

use common::{episodes, folder, json, playable};
use stepladder_agent::{AgentKind, AgentSpec};
use stepladder_core::label::Expert;
use stepladder_core::reply::{clean_progress, executor_reply};
use stepladder_core::seed::stream;
use stepladder_core::trace::{Episode, Turn, VERSION};
use stepladder_core::{Role, TaskKey};
use stepladder_data::annotate::{annotate, divide};
use stepladder_data::streams::hierarchical;
use stepladder_env::{Env, TaskSet, TimeLimit};
use stepladder_rollout::Job;
use stepladder_scienceworld::augment::rename::rename;
use stepladder_scienceworld::{
    Options, PoolOptions, ScienceWorld, ScienceWorldExpert, ScienceWorldSegmenter,
};

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

/// Things with other names in other places: two worlds of each of 24 task types.
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

/// Episodes with other names: the expert would say what is said in them.
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
        for sample in hierarchical(&renamed) {
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

/// Gold paths of one task, all steps of them, and what `demonstrate` says about them.
fn gold(split: &str, more: &[&str]) -> Option<(serde_json::Value, Vec<Episode>)> {
    let root = playable()?;
    let temporary = folder();
    let file = temporary.path().join("gold.jsonl");
    let place = ["-o", file.to_str().unwrap(), "--data", root.to_str().unwrap(), "--json"];
    let arguments = ["demonstrate", "--env", "scienceworld", "--split", split, "--walkthrough"];
    let report = json(temporary.path(), &[&arguments[..], more, &place].concat());
    Some((report, episodes(&file)))
}

#[test]
fn gold_paths_are_demonstrations_too() {
    let whole = ["--count", "6", "--max-steps", "1000", "--flat"];
    let Some((report, played)) = gold("dev", &whole) else { return };
    assert_eq!((&report["n"], &report["success"]), (&6.into(), &1.0.into()), "{report}");
    assert_eq!(report["labels"], serde_json::Value::Null);
    assert_eq!(played.len(), 6);
    assert!(played.iter().any(|episode| episode.len() > 20));
    for episode in played {
        assert!(episode.won && (episode.score - 1.0).abs() < 1e-9, "{}: {}", episode.task, episode.score);
        assert_eq!((episode.agent.as_str(), episode.policy.as_str()), ("flat", "walkthrough/scienceworld"));
    }
}

/// The gold path of a task as a flat agent's episode.
fn path(set: &ScienceWorld, id: &str, max_steps: u32) -> Episode {
    let task = TaskKey::new("scienceworld", "train", id);
    let mut game = TimeLimit::new(set.make().unwrap(), max_steps);
    let start = game.reset(&task, 0).unwrap();
    let solution = game.walkthrough().unwrap().solution();
    let spec = AgentSpec::from(AgentKind::Flat);
    let mut agent = spec.make(max_steps, &Job::sampled(&task, 0).blueprint);
    agent.start(&start);
    let (mut won, mut score, mut end) = (false, 0.0, None);
    for action in solution {
        agent.on_reply(Turn::said(Role::Flat, action.as_str()));
        let step = game.step(&action).unwrap();
        (won, score, end) = (won || step.won, score + step.reward, step.end);
        agent.on_step(&step);
        if end.is_some() {
            break;
        }
    }
    Episode {
        version: VERSION,
        task,
        seed: 0,
        agent: "flat".to_owned(),
        policy: "walkthrough/scienceworld".to_owned(),
        start,
        subtasks: agent.trace(),
        won,
        score,
        end,
        error: None,
    }
}

/// Whether a name has a word of an action, of an answer, or of the room.
fn is_about(subtask: &stepladder_core::trace::Subtask) -> bool {
    const SMALL: [&str; 12] =
        ["the", "and", "with", "from", "until", "focus", "pick", "look", "around", "move", "get", "put"];
    subtask.steps.iter().any(|step| {
        let room = step.context.as_deref().and_then(|context| context.lines().next()).unwrap_or_default();
        let texts = [&*step.action, &*step.observation, room].join(" ");
        subtask.text.split(' ').any(|word| word.len() > 2 && !SMALL.contains(&word) && texts.contains(word))
    })
}

#[test]
fn gold_paths_in_subtasks_keep_the_rules() {
    let Some(root) = playable() else { return };
    let pool = PoolOptions { workers: 1, ..PoolOptions::default() };
    let set = ScienceWorld::new(Some(&root), Options { pool, ..Options::default() });
    let ids = [
        "boil/0",
        "chemistry-mix/0",
        "chemistry-mix-paint-secondary-color/0",
        "find-animal/3",
        "grow-plant/0",
        "lifespan-longest-lived-then-shortest-lived/0",
        "power-component/1",
        "test-conductivity/0",
        "use-thermometer/0",
    ];
    let (mut lengths, mut named) = (Vec::new(), 0);
    for id in ids {
        let flat = path(&set, id, 1000);
        let episode = annotate(&flat, &ScienceWorldSegmenter, &ScienceWorldExpert).unwrap();
        consistent(&episode);
        let actions =
            |episode: &Episode| -> Vec<String> { episode.steps().map(|step| step.action.clone()).collect() };
        assert_eq!(actions(&episode), actions(&flat), "{id}");
        for subtask in &episode.subtasks {
            lengths.push(subtask.steps.len());
            named += usize::from(is_about(subtask));
        }
        for step in episode.steps() {
            assert_eq!(step.turn.reply, executor_reply(&step.action, step.finished), "{id}");
        }
        // What a limit cut off did not finish its last subtask.
        let limit = 1 + flat.len() as u32 / 2;
        let cut = divide(&path(&set, id, limit), &ScienceWorldSegmenter, &ScienceWorldExpert).unwrap();
        assert_eq!(cut.len(), limit as usize, "{id}");
        consistent(&cut);
        assert!(!cut.steps().last().unwrap().finished, "{id}");
    }
    lengths.sort_unstable();
    assert!((2..=8).contains(&lengths[lengths.len() / 2]), "{lengths:?}");
    assert!(named * 100 >= lengths.len() * 95, "{named} of {}", lengths.len());
}
