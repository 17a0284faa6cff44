//! The official games as a task set.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use rand::seq::SliceRandom;
use stepladder_alfworld::tasks::TRAIN_DEV;
use stepladder_alfworld::{Alfworld, Options};
use stepladder_core::TaskKey;
use stepladder_core::seed::stream;
use stepladder_env::{EnvError, TaskSet, conformance};

fn data_root() -> Option<PathBuf> {
    stepladder_testing::data_root("alfworld/json_2.1.1")
}

/// Draws task directories in random order until at least 5 % of the games are included.
fn draw(all: &[TaskKey]) -> Vec<String> {
    let mut by_task: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for key in all {
        let (task, _) = key.id.rsplit_once('/').unwrap();
        by_task.entry(task).or_default().push(&key.id);
    }
    let mut tasks: Vec<_> = by_task.into_values().collect();
    tasks.shuffle(&mut stream(0, "alfworld/train_dev", &[]));
    let mut drawn: Vec<String> = Vec::new();
    for trials in tasks {
        if drawn.len() * 20 >= all.len() {
            break;
        }
        drawn.extend(trials.into_iter().map(str::to_owned));
    }
    drawn.sort();
    drawn
}

#[test]
fn the_list_of_held_out_games_is_the_draw() {
    let Some(root) = data_root() else { return };
    let set = Alfworld::new(&root, Options::default());
    let mut all = set.tasks("train").unwrap();
    all.extend(set.tasks("train_dev").unwrap());
    assert_eq!(all.len(), 3553);
    all.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(TRAIN_DEV.lines().collect::<Vec<_>>(), draw(&all));
}

#[test]
fn the_splits_are_disjoint_sorted_and_complete() {
    let Some(root) = data_root() else { return };
    let set = Alfworld::new(&root, Options::default());
    let mut seen = BTreeSet::new();
    for (split, count) in [("train", 3375), ("train_dev", 178), ("valid_seen", 140)] {
        let tasks = set.tasks(split).unwrap();
        assert_eq!(tasks.len(), count, "{split}");
        assert!(tasks.is_sorted());
        seen.extend(tasks.into_iter().map(|key| key.id));
    }
    assert_eq!(seen.len(), 3553 + 140);
    let error = set.tasks("test").unwrap_err();
    assert_eq!(
        error.to_string(),
        "alfworld has no split `test`; it has train, train_dev, valid_seen, valid_unseen"
    );
}

#[test]
fn official_games_keep_the_contract() {
    let Some(root) = data_root() else { return };
    let set = Alfworld::new(&root, Options::default());
    let tasks: Vec<TaskKey> = set.tasks("valid_seen").unwrap().into_iter().step_by(10).collect();
    conformance::check(&set, &tasks).unwrap();
    assert!(tasks.iter().all(|task| set.family(task).is_some()));
    let mut env = set.make().unwrap();
    let start = env.reset(&tasks[0], 0).unwrap();
    assert!(start.text.ends_with(&start.task) && start.text.contains(&start.context));
    assert!(
        start.context.starts_with("You are in the middle of a room. Looking quickly around you, you see a ")
    );
    assert_eq!(start.family, "look_at_obj_in_light");
}

#[test]
fn an_impossible_command_is_an_unknown_action_only_if_asked_for() {
    let Some(root) = data_root() else { return };
    for penalise_noop in [false, true] {
        let set = Alfworld::new(&root, Options { penalise_noop });
        let mut env = set.make().unwrap();
        env.reset(&set.tasks("train_dev").unwrap()[0], 0).unwrap();
        let step = env.step("sing").unwrap();
        assert_eq!((&*step.observation, step.unknown_action), ("Nothing happens.", penalise_noop));
        assert!(!env.step("look").unwrap().unknown_action);
    }
}

#[test]
fn absent_data_name_the_directory_and_the_remedy() {
    let root = tempfile::tempdir().unwrap();
    let set = Alfworld::new(root.path(), Options::default());
    let split = || set.tasks("train").unwrap_err();
    let key = TaskKey::new("alfworld", "train", "train/a/b");
    for error in [split(), set.make().unwrap().reset(&key, 0).unwrap_err()] {
        assert!(matches!(error, EnvError::Data { .. }));
        let text = error.to_string();
        assert!(text.starts_with(&*root.path().join("alfworld/json_2.1.1").to_string_lossy()), "{text}");
        assert!(text.contains("STEPLADDER_DATA") && text.contains("stepladder data status"), "{text}");
    }
    fs_err::create_dir_all(root.path().join("alfworld/json_2.1.1/train")).unwrap();
    assert!(split().to_string().contains("this directory has no ALFWorld game"), "{}", split());
    for id in ["../a/b", "train/a", "train/a/b", "/etc/x"] {
        let key = TaskKey::new("alfworld", "train", id);
        let error = set.make().unwrap().reset(&key, 0).unwrap_err();
        assert!(matches!(error, EnvError::UnknownTask { .. }), "{error}");
    }
}

#[test]
fn a_broken_game_is_one_clear_sentence_with_its_path() {
    let root = tempfile::tempdir().unwrap();
    let trial = root.path().join("alfworld/json_2.1.1/train/some-task/trial_1");
    fs_err::create_dir_all(&trial).unwrap();
    let path = trial.join("game.tw-pddl");
    let set = Alfworld::new(root.path(), Options::default());
    let key = TaskKey::new("alfworld", "train", "train/some-task/trial_1");
    let game = |problem: &str, more: &str| {
        format!(
            r#"{{"pddl_domain": "", "grammar": "", "pddl_problem": "{problem}", "walkthrough": [], "solvable": true{more}}}"#
        )
    };
    let named = r#", "dialect": "alfworld-0.4", "task": "rest.""#;
    for (text, expected) in [
        (String::new(), "not a game file (truncated or corrupt?): EOF"),
        (game("(define", named), "line 1 of `pddl_problem`: the text ends inside an expression"),
        (game("(define)", ""), "the key `dialect` is missing"),
        (game("(define)", named), "line 1 of `pddl_problem`: the problem ends without `:objects`"),
        (game("(define (:objects) (:init) (:goal (and)))", named), "0 agents instead of one"),
        (
            game("(define (:objects a - agent) (:init (x b)) (:goal (and)))", named),
            "has the undeclared name `b`, which the engine does not support",
        ),
        (
            r#"{"pddl_domain": "(define)", "grammar": "", "pddl_problem": "", "solvable": true}"#.to_owned(),
            "unknown PDDL domain (fingerprint ",
        ),
    ] {
        fs_err::write(&path, &text).unwrap();
        let error = set.make().unwrap().reset(&key, 0).unwrap_err().to_string();
        assert!(error.starts_with(&*path.to_string_lossy()), "{error}");
        assert!(error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    fs_err::write(&path, "{").unwrap();
    let error = set.tasks("train").unwrap_err().to_string();
    assert!(error.contains("game.tw-pddl: not a game file"), "{error}");
}
