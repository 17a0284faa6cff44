//! The demonstrator of mixed quality in generated households.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[expect(dead_code, reason = "other users read all fields")]
#[path = "../examples/expert_stats/rollout.rs"]
mod rollout;

use std::collections::HashMap;

use rayon::prelude::*;
use rollout::{Disturbance, Rollout, play};
use stepladder_alfworld::expert::{Careless, DETOURS, Subtask};
use stepladder_alfworld::view::Command;
use stepladder_alfworld::{AlfworldExpert, Households};
use stepladder_core::label::Expert;
use stepladder_core::{Query, Role, seed};
use stepladder_env::TaskSet;

/// Step limit at which it fails in a third of the tasks.
const LIMIT: usize = 20;

fn rollouts(demonstrator: &dyn Expert) -> Vec<Rollout> {
    let set = Households::default();
    let tasks = set.tasks("dev").unwrap();
    let played = tasks.par_iter().map(|task| {
        let mut rng = seed::stream(1, "unused", &[]);
        play(&mut *set.make().unwrap(), task, demonstrator, LIMIT, Disturbance::default(), &mut rng).unwrap()
    });
    played.collect()
}

/// Returns success and mean steps.
fn summary(rollouts: &[Rollout]) -> (f64, f64) {
    let count = rollouts.len() as f64;
    let won = rollouts.iter().filter(|rollout| rollout.won).count() as f64;
    let steps = rollouts.iter().map(|rollout| rollout.demonstration.steps.len()).sum::<usize>() as f64;
    (won / count, steps / count)
}

#[test]
fn it_solves_part_of_the_tasks_by_longer_ways() {
    let (expert, careless) = (rollouts(&AlfworldExpert::default()), rollouts(&Careless::default()));
    let ((best, short), (success, long)) = (summary(&expert), summary(&careless));
    println!("expert {best:.3} in {short:.1} steps, careless {success:.3} in {long:.1} steps");
    assert!(best > 0.97 && (0.6..0.75).contains(&success) && long > 1.6 * short);

    // Equal queries have equal replies, and walks lead elsewhere as often as they should.
    let expert = AlfworldExpert::default();
    let mut replies: HashMap<String, &str> = HashMap::new();
    let (mut walks, mut detours) = (0, 0);
    for (query, reply) in careless.iter().flat_map(|rollout| &rollout.samples) {
        assert_eq!(*replies.entry(format!("{query:?}")).or_insert(reply), reply);
        let meant = expert.reply(query).unwrap();
        let Query::Executor { subtask, .. } = query else {
            assert_eq!(*reply, meant);
            continue;
        };
        let action = meant.split_once("; ").unwrap().0;
        let searches = subtask.starts_with("locate ");
        assert_eq!(
            searches,
            matches!(
                Subtask::parse(subtask),
                Some(Subtask::Find { .. } | Subtask::FindNew { .. } | Subtask::FindUse { .. })
            )
        );
        if !matches!(Command::parse(action), Some(Command::GoTo(_))) {
            assert_eq!(*reply, meant);
        } else if !searches {
            walks += 1;
            detours += usize::from(*reply != meant);
        }
    }
    let share = detours as f64 / f64::from(walks);
    // Three standard errors of 400 walks.
    assert!((share - DETOURS).abs() < 0.07, "{detours} of {walks}");
}

#[test]
fn it_plays_the_roles_of_step_hrl_only() {
    let careless = Careless::default();
    for (role, plays) in [
        (Role::Planner, true),
        (Role::Executor, true),
        (Role::Progress, true),
        (Role::Flat, false),
        (Role::Macro, false),
    ] {
        assert_eq!(careless.answers(role), plays, "{role:?}");
    }
    let flat = Query::Flat { task: String::new(), context: String::new(), history: Vec::new() };
    assert_eq!(careless.reply(&flat), None);
}
