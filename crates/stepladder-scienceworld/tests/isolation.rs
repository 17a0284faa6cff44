//! Worlds in one JVM behave as if each had its own JVM.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::pool;
use stepladder_scienceworld::variations::{Subset, TASKS};
use stepladder_scienceworld::verify::list_hash;
use stepladder_scienceworld::{Instance, Pool, View};

/// Tasks with shared state: random growth, genetics, electricity, unknown substances, simplifications.
const TASKS_PLAYED: [(&str, u32, &str); 6] = [
    ("grow-plant", 7, ""),
    ("mendelian-genetics-known-plant", 3, ""),
    ("test-conductivity-of-unknown-substances", 5, "easy"),
    ("find-animal", 2, "teleportAction,openDoors"),
    ("chemistry-mix", 1, ""),
    ("boil", 2, "easy"),
];

/// Maximum number of steps per task.
const STEPS: usize = 40;

fn path(pool: &Pool, task: (&str, u32, &str)) -> Vec<String> {
    let mut gold = pool.gold(task.0, task.1, task.2).unwrap();
    gold.truncate(STEPS);
    gold
}

fn play(instance: &mut Instance, task: (&str, u32, &str), gold: &[String]) -> Vec<View> {
    instance.load(task.0, task.1, task.2).unwrap();
    gold.iter().map(|action| instance.step(action).unwrap()).collect()
}

#[test]
fn worlds_that_take_turns_do_not_know_of_each_other() {
    let Some(pool) = pool() else { return };
    let paths = TASKS_PLAYED.map(|task| path(&pool, task));
    // One after the other in one instance, as in the package.
    let mut single = Instance::new(&pool);
    let alone: Vec<Vec<View>> =
        TASKS_PLAYED.iter().zip(&paths).map(|(task, path)| play(&mut single, *task, path)).collect();
    drop(single);

    // All at once in different rhythms; one of them lists the admissible actions.
    let mut instances = TASKS_PLAYED.map(|_| Instance::new(&pool));
    for (instance, (task, variation, simplification)) in instances.iter_mut().zip(TASKS_PLAYED) {
        instance.load(task, variation, simplification).unwrap();
    }
    let mut together: Vec<Vec<View>> = vec![Vec::new(); TASKS_PLAYED.len()];
    for turn in 0..STEPS * TASKS_PLAYED.len() {
        for (number, instance) in instances.iter_mut().enumerate() {
            let at = together[number].len();
            if turn % (number + 1) == 0 && at < paths[number].len() {
                together[number].push(instance.step(&paths[number][at]).unwrap());
                if number % 2 == 0 {
                    // Listing does not change the world.
                    let listed = [(); 2].map(|()| instance.valid().unwrap().to_vec());
                    assert_eq!(list_hash(&listed[0]), list_hash(&listed[1]));
                }
            }
        }
    }
    for (number, (task, variation, _)) in TASKS_PLAYED.iter().enumerate() {
        assert_eq!(together[number].len(), paths[number].len());
        assert!(together[number] == alone[number], "{task}/{variation} differs among others");
    }
    // Other worlds do not change gold paths either.
    assert_eq!(path(&pool, TASKS_PLAYED[0]), paths[0]);
}

#[test]
fn the_table_of_variations_is_the_simulators() {
    let Some(pool) = pool() else { return };
    let names: Vec<&str> = TASKS.iter().map(|task| task.name).collect();
    assert_eq!(pool.tasks().unwrap(), names);
    for task in TASKS {
        let (count, sets) = pool.variations(task.name).unwrap();
        assert_eq!(count, task.variations, "{}", task.name);
        for (part, set) in [Subset::Train, Subset::Dev, Subset::Test].into_iter().zip(sets) {
            let ours: Vec<String> = task.set(part).map(|variation| variation.to_string()).collect();
            assert_eq!(ours, set, "{} {part:?}", task.name);
        }
    }
}
