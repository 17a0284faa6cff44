//! Practice worlds in the simulator.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::process::Command;

use common::set;
use stepladder_core::{Start, Step, TaskKey};
use stepladder_env::conformance::{self, Names};
use stepladder_env::{Env, TaskSet};

fn key(id: &str) -> TaskKey {
    TaskKey::new("scienceworld", "practice", id)
}

fn play(env: &mut dyn Env, id: &str, actions: &[&str]) -> (Start, Vec<Step>) {
    let start = env.reset(&key(id), 0).unwrap();
    (start, actions.iter().map(|action| env.step(action).unwrap()).collect())
}

const ACTIONS: [&str; 4] = ["look around", "open door to hallway", "go to hallway", "look around"];

#[test]
fn the_contract_is_kept() {
    let Some(set) = set() else { return };
    for id in ["boil/13#17", "find-plant/2#2", "power-component/1#1", "use-thermometer/4#4"] {
        // A wrong focus ends every task.
        let actions = ["wait1", "look around", "focus on agent"];
        conformance::check_script(&set, &key(id), &actions, Names::OneEach).unwrap();
        let mut env = set.make().unwrap();
        env.reset(&key(id), 0).unwrap();
        assert!(env.walkthrough().unwrap().solution().is_empty());
    }
}

#[test]
fn a_world_is_always_the_same_and_others_of_its_variation_differ() {
    let Some(set) = set() else { return };
    let mut env = set.make().unwrap();
    // Of the 14 variations four have three more worlds each, so these worlds are made of the same variation.
    let worlds = ["boil/3#3", "boil/3#29", "boil/3#55", "boil/3#81"];
    let played: Vec<_> = worlds.iter().map(|id| play(&mut *env, id, &ACTIONS)).collect();
    for (id, before) in worlds.iter().zip(&played) {
        assert_eq!(play(&mut *set.make().unwrap(), id, &ACTIONS), *before);
    }
    let mut starts: Vec<&str> = played.iter().map(|(start, _)| start.context.as_str()).collect();
    starts.sort_unstable();
    starts.dedup();
    assert!(starts.len() > 1, "{starts:?}");
}

#[test]
fn actions_are_understood_by_the_names_that_are_shown() {
    let Some(set) = set() else { return };
    let mut env = set.make().unwrap();
    let mut named = 0;
    for world in 0..8 {
        let start = env.reset(&key(&format!("power-component/{world}#{world}")), 0).unwrap();
        let (_, rest) = start.task.split_once("First, focus on the ").unwrap();
        let lamp = rest.split('.').next().unwrap();
        // The simulator does not know a lamp that is absent from its world.
        named += usize::from(
            start.context.contains(lamp) && {
                let step = env.step(&format!("focus on {lamp}")).unwrap();
                assert_eq!(step.observation, format!("You focus on the {lamp}."));
                assert!(!step.unknown_action && step.reward > 0.0);
                true
            },
        );
        assert!(env.step("fly to the moon").unwrap().unknown_action);
    }
    assert!(named > 0, "no lamp stood where an episode began");
}

/// In training variations all solids are in the kitchen, with unique names.
#[test]
fn solids_are_anywhere_and_some_have_twins() {
    let Some(set) = set() else { return };
    let mut env = set.make().unwrap();
    let (mut here, mut elsewhere, mut asked) = (0, 0, 0);
    for world in 14..26 {
        let start = env.reset(&key(&format!("melt/{}#{world}", 10 + (world - 14) % 4)), 0).unwrap();
        let solid = start.task.split_once("is to melt ").unwrap().1.split_once('.').unwrap().0;
        // Reaches every room from any room; doors that do not exist are ignored.
        for room in ["outside", "hallway", "kitchen"] {
            env.step(&format!("open door to {room}")).unwrap();
            env.step(&format!("go to {room}")).unwrap();
        }
        for place in ["cupboard", "fridge", "freezer"] {
            env.step(&format!("open {place}")).unwrap();
        }
        let kitchen = env.step("look around").unwrap().observation;
        assert!(kitchen.starts_with("This room is called the kitchen."), "{kitchen}");
        let mut step = env.step(&format!("focus on {solid}")).unwrap();
        if step.unknown_action {
            elsewhere += 1;
            continue;
        }
        if step.observation.starts_with("Ambiguous request") {
            // Either answer selects the right one.
            asked += 1;
            step = env.step(&format!("{}", world % 2)).unwrap();
        }
        here += 1;
        assert_eq!(step.observation, format!("You focus on the {solid}."));
        assert!(step.reward > 0.0 && step.end.is_none(), "{step:?}");
    }
    assert!(
        elsewhere > 2 && here > 2 && asked > 1,
        "{here} in the kitchen, {asked} asked about, {elsewhere} not"
    );
}

#[test]
fn a_world_survives_the_death_of_its_simulator() {
    let Some(set) = set() else { return };
    let mut env = set.make().unwrap();
    for id in ["power-component/1#1", "boil/13#17"] {
        let undisturbed = play(&mut *env, id, &ACTIONS);
        let start = env.reset(&key(id), 0).unwrap();
        let pid = set.0.pool().unwrap().pids()[0];
        Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
        let steps = ACTIONS.iter().map(|action| env.step(action).unwrap()).collect();
        assert_eq!((start, steps), undisturbed);
        assert_ne!(set.0.pool().unwrap().pids(), [pid]);
    }
}
