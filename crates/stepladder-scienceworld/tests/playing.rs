//! The environment contract, and gold paths on disk.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{pool, set};
use fs_err as fs;
use stepladder_core::{End, TaskKey};
use stepladder_env::conformance::{self, Names};
use stepladder_env::{Env, TaskSet};
use stepladder_scienceworld::env::{ScienceWorldEnv, UNKNOWN_ACTION, surroundings};
use stepladder_scienceworld::gold::Cache;
use stepladder_scienceworld::named::Named;

fn key(split: &str, id: &str) -> TaskKey {
    TaskKey::new("scienceworld", split, id)
}

#[test]
fn the_contract_is_kept() {
    let Some(set) = set() else { return };
    let tasks = [
        key("train", "find-animal/3"),
        key("dev-easy", "chemistry-mix/17"),
        key("train", "power-component/1"),
        key("all-test", "identify-life-stages-2/9"),
    ];
    conformance::check_with(&set, &tasks, Names::OneEach).unwrap();
}

#[test]
fn an_episode_shows_what_the_package_shows() {
    let Some(set) = set() else { return };
    let mut env = ScienceWorldEnv::new(set.0.pool().unwrap(), set.0.gold().unwrap().clone());
    let start = env.reset(&key("train", "boil/0"), 0).unwrap();
    assert!(start.task.starts_with("Your task is to boil "), "{}", start.task);
    assert_eq!(start.family, "boil");
    let view = env.view().unwrap().clone();
    // The package's first look around; the simulator counts moves from 0.
    assert_eq!((view.moves, view.score, &view.observation), (0, 0.0, &start.text));
    assert_eq!(start.context, surroundings(&view.look, &view.inventory));
    assert!(start.context.contains("In your inventory, you see:"));

    let step = env.step("fly to the moon").unwrap();
    assert!(step.unknown_action);
    assert_eq!((step.observation.as_str(), step.reward, step.end), (UNKNOWN_ACTION, 0.0, None));
    let step = env.step("open door to kitchen").unwrap();
    assert!(!step.unknown_action && !step.won);
    let context = step.context.unwrap();
    assert_ne!(context, start.context);
    assert!(context.contains("A door to the kitchen (that is open)"), "{context}");
    assert!(env.goal_progress().unwrap().contains("Completed keys"));

    let offered = env.admissible().unwrap().admissible_actions();
    assert!(offered.contains(&"go to kitchen".to_owned()) && offered.len() > 50);
    assert_eq!(env.admissible().unwrap().admissible_actions(), offered);
}

#[test]
fn a_wrong_focus_ends_the_episode_below_zero() {
    let Some(set) = set() else { return };
    let mut env = set.make().unwrap();
    env.reset(&key("train", "find-animal/0"), 0).unwrap();
    let step = env.step("focus on agent").unwrap();
    assert_eq!((step.reward, step.won, step.end), (-1.0, false, Some(End::Terminated)));
}

#[test]
fn gold_paths_are_kept_and_a_torn_line_costs_one_path() {
    let Some(pool) = pool() else { return };
    let folder = tempfile::tempdir().unwrap();
    // A file in place of the directory makes it unwritable.
    let places = vec![folder.path().join("taken"), folder.path().join("user/scienceworld")];
    fs::write(&places[0], "").unwrap();
    let cache = || Cache::at(&pool, places.clone());
    let tasks: Vec<Named> = ["find-animal/0", "find-plant/1", "lifespan-longest-lived/2"]
        .map(|id| Named::read(&key("train", id)).unwrap())
        .into();
    let counted = std::sync::Mutex::new(Vec::new());
    cache().fill(&tasks, &|done| counted.lock().unwrap().push(done)).unwrap();
    assert_eq!(*counted.lock().unwrap(), [0, 1, 2, 3]);
    let file = places[1].join("gold-none.jsonl");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 4);
    assert_eq!(
        text.lines().next(),
        Some(r#"{"stepladder_gold_paths":1,"simulator":"1.2.3","simplification":""}"#)
    );
    let gold: Vec<_> = tasks.iter().map(|task| cache().get(task).unwrap()).collect();
    assert!(gold.iter().all(|path| path.len() > 2));
    assert_eq!(gold[0], pool.gold("find-animal", 0, "").unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    // As if the writer was killed within the last line.
    fs::write(&file, &text[..text.len() - 20]).unwrap();
    let again = cache();
    again.fill(&tasks, &|_| {}).unwrap();
    assert_eq!(again.get(&tasks[2]).unwrap(), gold[2]);
    let mended = fs::read_to_string(&file).unwrap();
    assert_eq!((mended.lines().count(), mended.lines().last()), (5, text.lines().last()));

    // A file of another version is replaced.
    fs::write(&file, mended.replacen(":1,", ":0,", 1)).unwrap();
    assert_eq!(cache().get(&tasks[0]).unwrap(), gold[0]);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 2);
}
