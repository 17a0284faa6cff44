//! The expert, its labels and the segmenter on whole episodes.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../examples/expert_stats/rollout.rs"]
mod rollout;

use std::collections::HashMap;
use std::path::PathBuf;

use proptest::prelude::*;
use rayon::prelude::*;
use rollout::{Disturbance, Rollout, play};
use stepladder_alfworld::dialect::Wording;
use stepladder_alfworld::expert::{Prior, prior::Stock};
use stepladder_alfworld::generate::read_problem;
use stepladder_alfworld::tasks::GAMES_DIRECTORY;
use stepladder_alfworld::view::Command;
use stepladder_alfworld::{
    Alfworld, AlfworldCodec, AlfworldExpert, AlfworldSegmenter, Households, Options, generate, households,
};
use stepladder_core::label::{Expert, Segmenter};
use stepladder_core::query::NO_PROGRESS;
use stepladder_core::{Codec, Observation, Query, TaskKey, seed};
use stepladder_env::TaskSet;

fn rollouts(
    set: &dyn TaskSet,
    tasks: &[TaskKey],
    expert: &AlfworldExpert,
    disturbance: Disturbance,
) -> Vec<Rollout> {
    tasks
        .par_iter()
        .enumerate()
        .map(|(index, task)| {
            let mut rng = seed::stream(3, "trouble", &[index as u64]);
            let limit = set.max_steps(&task.split) as usize;
            play(&mut *set.make().unwrap(), task, expert, limit, disturbance, &mut rng).unwrap()
        })
        .collect()
}

fn households(wording: Wording) -> Households {
    let generate = generate::GeneratorOptions { wording, ..generate::GeneratorOptions::default() };
    Households::new(households::Options { generate, env: Options::default() })
}

fn fraction_won(rollouts: &[Rollout]) -> f64 {
    rollouts.iter().filter(|rollout| rollout.won).count() as f64 / rollouts.len() as f64
}

/// Returns the encoded fields of a query; progress prompts omit the room.
fn prompt(query: &Query) -> Vec<String> {
    let code = |text: &str| AlfworldCodec.encode(text);
    let mut fields = vec![query.role().name().to_owned()];
    match query {
        Query::Planner { task, earlier, progress, observation } => {
            fields.extend([
                code(task),
                code(progress),
                code(&observation.feedback),
                code(&observation.context),
            ]);
            fields.extend(earlier.iter().map(|text| code(text)));
        }
        Query::Executor { subtask, observation, progress } => {
            fields.extend(
                [subtask, progress, &observation.feedback, &observation.context].map(|text| code(text)),
            );
        }
        Query::Progress { subtask, progress, action, observation } => {
            fields.extend([subtask, progress, action, &observation.feedback].map(|text| code(text)));
        }
        Query::Flat { .. } | Query::Macro { .. } | Query::Micro { .. } => {
            panic!("the episode loop has no flat query")
        }
    }
    fields
}

/// Checks that the codec inverts every text of every sample, and that equal prompts have equal replies.
fn check_samples(rollouts: &[Rollout]) {
    let mut replies: HashMap<Vec<String>, &str> = HashMap::new();
    for (query, reply) in rollouts.iter().flat_map(|rollout| &rollout.samples) {
        let mut texts: Vec<&str> = vec![reply];
        match query {
            Query::Planner { task, earlier, progress, observation } => {
                texts.extend(
                    [task, progress, &observation.feedback, &observation.context].map(String::as_str),
                );
                texts.extend(earlier.iter().map(String::as_str));
            }
            Query::Executor { subtask, observation, progress } => {
                texts.extend([subtask, progress, &observation.feedback].map(String::as_str));
            }
            Query::Progress { action, .. } => texts.push(action),
            Query::Flat { .. } | Query::Macro { .. } | Query::Micro { .. } => {}
        }
        for text in texts {
            let compact = AlfworldCodec.encode(text);
            assert_eq!(AlfworldCodec.decode(&compact), text, "{compact}");
            assert!(!compact.contains('\\') || text.contains("Available commands"), "{compact}");
        }
        let known = replies.entry(prompt(query)).or_insert(reply);
        assert_eq!(known, reply, "{query:?}");
    }
    assert!(replies.len() > 100);
}

/// Checks that the actions of won episodes are segmented where the expert changed the subtask, with the same names.
fn check_segments(rollouts: &[Rollout]) {
    for rollout in rollouts.iter().filter(|rollout| rollout.won) {
        assert_eq!(AlfworldSegmenter.segment(&rollout.demonstration).as_ref(), Ok(&rollout.segments));
    }
}

/// Checks that the flat role plays the same actions, and that the progress role writes the same texts.
fn check_other_roles(expert: &AlfworldExpert, rollouts: &[Rollout]) {
    for Rollout { demonstration, segments, family, .. } in rollouts {
        for (index, (action, _)) in demonstration.steps.iter().enumerate() {
            let query = Query::Flat {
                task: demonstration.task.clone(),
                context: demonstration.context.clone(),
                history: demonstration.steps[..index].to_vec(),
            };
            assert_eq!(expert.reply(&query).as_ref(), Some(action));
        }
        let mut progress = NO_PROGRESS.to_owned();
        for (action, answer) in demonstration.steps.iter().take(segments[0].len) {
            let observation =
                Observation { feedback: answer.clone(), context: demonstration.context.clone() };
            let subtask = segments[0].subtask.clone();
            let query = Query::Progress { subtask, progress, action: action.clone(), observation };
            progress = expert.reply(&query).unwrap();
        }
        assert!(progress.starts_with("Picked up ") || segments.len() == 1, "{family}: {progress}");
    }
}

#[test]
fn households_are_solved_and_labelled_alike_in_both_wordings() {
    for wording in [Wording::V04, Wording::V03] {
        let set = households(wording);
        let expert = AlfworldExpert::new(wording);
        let rollouts = rollouts(&set, &set.tasks("dev").unwrap(), &expert, Disturbance::default());
        assert!(fraction_won(&rollouts) >= 0.99, "{wording:?}: {}", fraction_won(&rollouts));
        check_samples(&rollouts);
        check_segments(&rollouts);
        check_other_roles(&expert, &rollouts);
    }
}

#[test]
fn households_are_mostly_solved_from_other_paths_too() {
    let set = households(Wording::V04);
    let expert = AlfworldExpert::new(Wording::V04);
    let tasks = set.tasks("dev").unwrap();
    for disturbance in [Disturbance { noise: 0.15, burst: 0 }, Disturbance { noise: 0.0, burst: 10 }] {
        let rollouts = rollouts(&set, &tasks, &expert, disturbance);
        assert!(fraction_won(&rollouts) >= 0.95, "{disturbance:?}: {}", fraction_won(&rollouts));
        check_samples(&rollouts);
    }
}

/// Returns the first tasks of the development splits with these numbers of goals.
fn chains(set: &Households, goals: &[usize], count: usize) -> Vec<TaskKey> {
    let tasks = |goals| set.tasks(&format!("dev-goals-{goals}")).unwrap().into_iter().take(count);
    goals.iter().flat_map(tasks).collect()
}

#[test]
fn chains_are_solved_and_labelled_alike_in_both_wordings() {
    for (wording, goals) in [(Wording::V04, &[2, 3, 5, 8][..]), (Wording::V03, &[4])] {
        let set = households(wording);
        let expert = AlfworldExpert::new(wording);
        let rollouts = rollouts(&set, &chains(&set, goals, 50), &expert, Disturbance::default());
        assert!(fraction_won(&rollouts) >= 0.995, "{wording:?}: {}", fraction_won(&rollouts));
        check_samples(&rollouts);
        check_segments(&rollouts);
        check_other_roles(&expert, &rollouts);
    }
}

#[test]
fn chains_are_mostly_solved_from_other_paths_too() {
    let set = households(Wording::V04);
    let expert = AlfworldExpert::new(Wording::V04);
    let tasks = chains(&set, &[2, 3, 5, 8], 100);
    for disturbance in [Disturbance { noise: 0.2, burst: 0 }, Disturbance { noise: 0.0, burst: 10 }] {
        let rollouts = rollouts(&set, &tasks, &expert, disturbance);
        assert!(fraction_won(&rollouts) >= 0.97, "{disturbance:?}: {}", fraction_won(&rollouts));
        check_samples(&rollouts);
    }
}

fn data_root() -> Option<PathBuf> {
    stepladder_testing::data_root(GAMES_DIRECTORY)
}

#[test]
fn official_games_are_solved_in_few_steps() {
    let Some(root) = data_root() else { return };
    let set = Alfworld::new(&root, Options::default());
    let expert = AlfworldExpert::default();
    for (split, every) in [("train", 5), ("train_dev", 1), ("valid_seen", 1)] {
        let tasks: Vec<TaskKey> = set.tasks(split).unwrap().into_iter().step_by(every).collect();
        let rollouts = rollouts(&set, &tasks, &expert, Disturbance::default());
        let steps: usize = rollouts.iter().map(|rollout| rollout.demonstration.steps.len()).sum();
        let mean = steps as f64 / rollouts.len() as f64;
        assert!(fraction_won(&rollouts) >= 0.99, "{split}: {}", fraction_won(&rollouts));
        assert!(mean < 8.5, "{split}: {mean}");
        check_samples(&rollouts);
        check_segments(&rollouts);
        check_other_roles(&expert, &rollouts);
    }
}

#[test]
fn the_carried_prior_is_the_one_of_the_training_games() {
    let Some(root) = data_root() else { return };
    let rooms = Alfworld::new(&root, Options::default()).tasks("train").unwrap().into_iter().map(|task| {
        let path = root.join(GAMES_DIRECTORY).join(&task.id).join("game.tw-pddl");
        let game: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(path).unwrap()).unwrap();
        Stock::of_household(&read_problem(game["pddl_problem"].as_str().unwrap()).unwrap().0)
    });
    assert_eq!(Prior::estimate(rooms), Prior::official());
}

const SUBTASKS: &[&str] = &[
    "locate and pick up a mug",
    "locate and pick up a new mug except mug 1 in shelf 1",
    "locate and use a desklamp",
    "put away the mug",
    "heat mug 1",
    "clean mug 9",
    "put mug 1 in shelf 1",
    "put mug 1 in",
    "whatever",
    "",
];
const PROGRESS: &[&str] = &[
    "None",
    "Searching. || [Checked: shelf 1, desk 1, bed 1]",
    "Searching, not mug 1. || [Checked: desk 1]",
    "Holding pen 1. || [Checked: bed 1]",
    "Holding pen 1. Failed to move pen 1 to bed 1.",
    "Holding mug 1.",
    "Holding nothing.",
    "Failed to go to shelf 1.",
    "Failed to take mug 1 from shelf 1. || [Checked: shelf 1]",
    "Failed to None.",
    "Picked up pen 1 from bed 1.",
    "Heated mug 1 with microwave 1.",
    "Put mug 1 in shelf 1.",
    "Used desklamp 1.",
    " || [Checked: ",
    "whatever || [Checked: x, shelf 0",
];
const FEEDBACK: &[&str] = &[
    "",
    "Nothing happens.",
    "You arrive at shelf 1. On the shelf 1, you see a mug 2, and a mug 1.",
    "You arrive at desk 1. The desk 1 is closed.",
    "You open the desk 1. The desk 1 is open. In it, you see nothing.",
    "You pick up the pen 1 from the bed 1.",
    "You move the mug 1 to the shelf 1.",
    "You heat the mug 1 using the microwave 1.",
    "You are carrying: a pen 1.",
    "You are not carrying anything.",
    "You are facing the shelf 1, and desk 1. Next to it, you see nothing.",
    "You turn on the desklamp 1.",
    "You close the desk 1.",
    "You arrive at",
    "whatever",
];
const CONTEXTS: &[&str] = &[
    "You are in the middle of a room. Looking quickly around you, you see a bed 1, a desk 1, and a shelf 1.",
    "You are in the middle of a room. Looking quickly around you, you see nothing.",
    "",
];
const TASKS: &[&str] = &[
    "put two mug in shelf.",
    "put a hot mug in shelf.",
    "look at mug under the desklamp.",
    "put a mug in shelf.",
    "look at pen under the desklamp, then put two mug in shelf, then heat some egg and put it in desk.",
    "put a mug in shelf, then whatever",
    "whatever",
];
const ACTIONS: &[&str] = &["go to shelf 1", "examine shelf 1", "take mug 2 from shelf 1", "None", "", "look"];

fn text(known: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![9 => prop::sample::select(known).prop_map(str::to_owned), 1 => any::<String>()]
}

fn query() -> impl Strategy<Value = Query> {
    let observation =
        || (text(FEEDBACK), text(CONTEXTS)).prop_map(|(feedback, context)| Observation { feedback, context });
    let history = prop::collection::vec((text(ACTIONS), text(FEEDBACK)), 0..6);
    prop_oneof![
        (text(TASKS), prop::collection::vec(text(SUBTASKS), 0..4), text(PROGRESS), observation()).prop_map(
            |(task, earlier, progress, observation)| Query::Planner { task, earlier, progress, observation }
        ),
        (text(SUBTASKS), observation(), text(PROGRESS)).prop_map(|(subtask, observation, progress)| {
            Query::Executor { subtask, observation, progress }
        }),
        (text(SUBTASKS), text(PROGRESS), text(ACTIONS), observation()).prop_map(
            |(subtask, progress, action, observation)| Query::Progress {
                subtask,
                progress,
                action,
                observation
            }
        ),
        (text(TASKS), text(CONTEXTS), history).prop_map(|(task, context, history)| Query::Flat {
            task,
            context,
            history
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn any_question_gets_one_usable_answer(query in query()) {
        let expert = AlfworldExpert::default();
        let reply = expert.reply(&query);
        prop_assert_eq!(&reply, &expert.reply(&query));
        prop_assert_eq!(reply.is_some(), expert.answers(query.role()));
        let reply = reply.unwrap_or_default();
        match &query {
            Query::Executor { .. } => {
                let (action, flag) = reply.rsplit_once("; ").unwrap();
                prop_assert!(flag == "True" || flag == "False");
                prop_assert!(Command::parse(action).is_some(), "{}", action);
            }
            Query::Flat { .. } => prop_assert!(Command::parse(&reply).is_some(), "{}", reply),
            Query::Macro { .. } | Query::Micro { .. } => prop_assert!(reply.is_empty(), "{}", reply),
            Query::Planner { .. } | Query::Progress { .. } => prop_assert!(!reply.is_empty()),
        }
    }
}
