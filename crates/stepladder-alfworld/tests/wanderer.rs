//! Random sub-goals in generated households: the expert carries nearly all of them out.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[expect(dead_code, reason = "other users read all fields")]
#[path = "../examples/expert_stats/rollout.rs"]
mod rollout;

use std::collections::{BTreeMap, HashMap};

use rollout::{Disturbance, Rollout, play};
use stepladder_alfworld::expert::{Subtask, Wanderer};
use stepladder_alfworld::{AlfworldExpert, Households};
use stepladder_core::label::Expert;
use stepladder_core::{Query, Role, seed};
use stepladder_env::TaskSet;

fn rollouts(split: &str, number: u64) -> Vec<Rollout> {
    let set = Households::default();
    let tasks = set.tasks(split).unwrap();
    let wanderer = Wanderer::new(number);
    let mut rng = seed::stream(1, "unused", &[]);
    let played = tasks.iter().take(60).map(|task| {
        play(&mut *set.make().unwrap(), task, &wanderer, 60, Disturbance::default(), &mut rng).unwrap()
    });
    played.collect()
}

/// Returns the sub-goals that were issued, with the number of times that the executor gave one back.
fn issued(rollouts: &[Rollout]) -> (Vec<String>, usize) {
    let samples = || rollouts.iter().flat_map(|rollout| &rollout.samples);
    let planned = samples().filter(|(query, _)| matches!(query, Query::Planner { .. }));
    let given_back = samples()
        .filter(|(query, reply)| matches!(query, Query::Executor { .. }) && reply.as_str() == "look; True");
    (planned.map(|(_, reply)| reply.clone()).collect(), given_back.count())
}

#[test]
fn random_sub_goals_are_valid_and_of_every_kind() {
    let one = rollouts("dev-goals-3", 1);
    let (subgoals, given_back) = issued(&one);
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for text in &subgoals {
        let kind = match Subtask::parse(text).unwrap() {
            Subtask::Find { .. } => "find",
            Subtask::FindUse { .. } => "use",
            Subtask::Treat { .. } => "treat",
            Subtask::Put { .. } => "put",
            Subtask::PutAway { .. } => "put away",
            Subtask::FindNew { .. } => "another",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    println!("{kinds:?}, {given_back} of {} given back", subgoals.len());
    assert_eq!(kinds.keys().copied().collect::<Vec<_>>(), ["find", "put", "put away", "treat", "use"]);
    assert!(given_back * 50 < subgoals.len(), "{given_back} of {}", subgoals.len());
    // Every completing action is confirmed from what was seen before it and the answer to it, and none is refused.
    let expert = AlfworldExpert::default();
    let mut unconfirmed = Vec::new();
    for rollout in &one {
        let executor = rollout.samples.iter().filter_map(|(query, reply)| match query {
            Query::Executor { subtask, observation, .. } => Some((subtask, observation, reply)),
            _ => None,
        });
        for ((subtask, seen, reply), (_, answer)) in executor.zip(&rollout.demonstration.steps) {
            let Some(action) = reply.strip_suffix("; True").filter(|action| *action != "look") else {
                continue;
            };
            if !expert.completes(subtask, seen, action, answer) {
                unconfirmed.push(format!("{subtask}: {action}: {answer}"));
            }
        }
    }
    // Once the hand is taken for free by mistake, all that follows is refused; `given` ends an episode there.
    assert!(unconfirmed.len() * 20 < subgoals.len(), "{} {unconfirmed:#?}", unconfirmed.len());
    // It does not pursue the task.
    assert!(one.iter().filter(|rollout| rollout.won).count() * 10 < one.len());

    // Equal queries have equal replies, another number draws others.
    let mut replies: HashMap<String, &str> = HashMap::new();
    for (query, reply) in one.iter().flat_map(|rollout| &rollout.samples) {
        assert_eq!(*replies.entry(format!("{query:?}")).or_insert(reply), reply);
    }
    assert_ne!(issued(&rollouts("dev-goals-3", 2)).0, subgoals);
}

#[test]
fn it_plays_the_roles_of_step_hrl_only() {
    let wanderer = Wanderer::new(0);
    let plays = |role| wanderer.answers(role);
    assert!(plays(Role::Planner) && plays(Role::Executor) && plays(Role::Progress));
    assert!(!plays(Role::Flat) && !plays(Role::Macro) && !plays(Role::Micro));
    let flat = Query::Flat { task: String::new(), context: String::new(), history: Vec::new() };
    assert_eq!(wanderer.reply(&flat), None);
}
