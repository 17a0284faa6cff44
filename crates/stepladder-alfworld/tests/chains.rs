//! Chains of goals: each is solvable in its order, and the environment lists and plays them.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use stepladder_alfworld::generate::{
    Family, GameFamily, GeneratedGame, GeneratorOptions, GoalCount, Split, Tables, generate, read_chain,
    read_problem,
};
use stepladder_alfworld::view::Goal;
use stepladder_alfworld::{AlfworldCodec, CommandList, Engine, Game, Households};
use stepladder_core::{Codec, TaskKey};
use stepladder_env::{EnvError, TaskSet, conformance};

fn options(goals: usize) -> GeneratorOptions {
    GeneratorOptions { goals: GoalCount::new(goals).unwrap(), ..GeneratorOptions::default() }
}

fn games(split: Split, goals: usize, count: u64) -> Vec<GeneratedGame> {
    (0..count).into_par_iter().map(|seed| generate(split, seed, &options(goals))).collect()
}

/// Plays the walkthrough: every command must be admissible, and the goals must be reached one by one, the last at the
/// end.
fn wins(game: &GeneratedGame, goals: usize) -> Result<(), String> {
    let text = game.to_json().map_err(|error| error.to_string())?;
    let loaded = Game::from_json(&text).map_err(|error| error.to_string())?;
    if (loaded.goal_count(), loaded.family()) != (goals, game.family.to_string().as_str()) {
        return Err(format!("it was loaded as {}", loaded.family()));
    }
    let mut engine = Engine::new(Arc::new(loaded));
    let mut list = CommandList::new();
    for (index, command) in game.walkthrough.iter().enumerate() {
        engine.admissible(&mut list);
        if !list.iter().any(|offered| offered == command) {
            return Err(format!("`{command}` is not admissible"));
        }
        let before = engine.goals_reached();
        engine.step(command, &mut String::new());
        if engine.goals_reached() > before + 1 {
            return Err(format!("`{command}` reaches two goals at once"));
        }
        if engine.won() != (index + 1 == game.walkthrough.len()) {
            return Err(format!("won after `{command}`: {}", engine.won()));
        }
    }
    if engine.goals_reached() == goals { Ok(()) } else { Err("not won at the end".to_owned()) }
}

#[test]
fn every_walkthrough_of_every_length_wins() {
    for goals in 1..=8 {
        for (split, count) in [(Split::Train, 120), (Split::Dev, 40), (Split::Test, 40)] {
            let failures: Vec<String> = games(split, goals, count)
                .par_iter()
                .filter_map(|game| {
                    wins(game, goals).err().map(|reason| format!("{split:?} {goals} {}: {reason}", game.seed))
                })
                .collect();
            assert!(failures.is_empty(), "{failures:#?}");
        }
    }
}

#[test]
fn goals_do_not_disturb_each_other_and_all_families_occur() {
    let mut families: BTreeMap<Family, u32> = BTreeMap::new();
    for goals in [2, 4, 8] {
        for game in games(Split::Train, goals, 120) {
            let (household, tasks) = read_chain(&game.pddl_problem).unwrap();
            assert!(Split::Train.owns(&household));
            assert_eq!((household.room, tasks.len()), (game.room, goals));
            let kinds: BTreeSet<&str> = tasks.iter().map(|task| task.target.as_str()).collect();
            assert_eq!(kinds.len(), goals, "{}", game.task);
            assert!(tasks.iter().filter(|task| task.family == Family::Look).count() <= 1, "{}", game.task);
            let parsed = Goal::parse_all(&game.task).unwrap();
            assert_eq!(parsed.len(), goals);
            for (goal, task) in parsed.iter().zip(&tasks) {
                assert_eq!(goal.object, task.target.to_ascii_lowercase());
                assert_eq!(goal.target, task.place.to_ascii_lowercase());
                *families.entry(task.family).or_default() += 1;
            }
            assert!(read_problem(&game.pddl_problem).unwrap_err().to_string().contains("chain"));
        }
    }
    assert_eq!(families.len(), 6, "{families:?}");
    assert!(families.values().all(|count| *count >= 20), "{families:?}");
}

/// A chain adds one word per goal to the encodings of its goals: the vocabulary of single goals suffices.
#[test]
fn a_task_is_encoded_as_its_goals_with_a_word_between() {
    for goals in 1..=8 {
        for game in games(Split::Dev, goals, 20) {
            let parts: Vec<String> = game
                .task
                .trim_end_matches('.')
                .split(", then ")
                .map(|part| AlfworldCodec.encode(&format!("{part}.")))
                .collect();
            let compact = AlfworldCodec.encode(&game.task);
            assert_eq!(compact, parts.join(" then "));
            assert_eq!(compact.split(' ').count(), 4 * goals - 1);
            assert_eq!(AlfworldCodec.decode(&compact), game.task);
        }
    }
}

#[test]
fn one_goal_is_the_game_of_before_and_any_length_repeats() {
    for seed in 0..20 {
        let game = generate(Split::Train, seed, &options(1));
        assert_eq!(game, generate(Split::Train, seed, &GeneratorOptions::default()));
        assert!(game.family.single().is_some());
        let chain = generate(Split::Train, seed, &options(3));
        assert_eq!(chain, generate(Split::Train, seed, &options(3)));
        assert_ne!(chain.pddl_problem, game.pddl_problem);
        assert_eq!(chain.family.to_string(), "goals_3");
        let text = chain.to_json().unwrap();
        assert_eq!(serde_json::from_str::<GeneratedGame>(&text).unwrap(), chain);
    }
    let look = GeneratorOptions { family: Some(Family::Look), ..options(4) };
    let (_, tasks) = read_chain(&generate(Split::Dev, 0, &look).pddl_problem).unwrap();
    assert_eq!(tasks[0].family, Family::Look);
}

/// A changed draw would silently alter every run on chains. If this fails, raise `VERSION`.
#[test]
fn chains_never_change() {
    let drawn =
        [(Split::Train, 0, 2), (Split::Dev, 1, 3), (Split::Test, 2, 8)].map(|(split, seed, goals)| {
            stepladder_core::seed::fingerprint(&generate(split, seed, &options(goals)).to_json().unwrap())
        });
    assert_eq!(drawn, PINNED);
}
const PINNED: [u64; 3] = [2_954_827_465_016_899_191, 7_852_154_309_675_965_388, 1_808_877_621_885_378_136];

#[test]
fn tables_without_enough_kinds_are_an_error() {
    let mut tables = Tables::official().clone();
    tables.tasks.retain(|family, _| *family == Family::Look);
    let drawn = stepladder_alfworld::generate::generate_from(&tables, Split::Train, 0, &options(2));
    assert!(drawn.unwrap_err().to_string().contains("no task"));
}

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let chain = generate(Split::Dev, 5, &options(3));
    let read = |family: &str| {
        let mut file = serde_json::to_value(&chain).unwrap();
        file["family"] = family.into();
        Game::from_json(&file.to_string()).map(|game| game.family().to_owned())
    };
    assert_eq!(read("").unwrap(), "goals_3");
    for family in ["goals_2", "goals_9", "pick_and_place_simple"] {
        assert_eq!(
            read(family).unwrap_err().to_string(),
            format!("the family `{family}` does not match `pddl_problem`, whose number of goals is 3")
        );
    }
}

#[test]
fn splits_of_chains_keep_the_contract() {
    let set = Households::default();
    for goals in 1..=8 {
        for (split, listed) in [("train", 4000), ("dev", 200), ("test", 200)] {
            let name = format!("{split}-goals-{goals}");
            assert!(set.spec().splits.contains(&name.as_str()));
            let tasks = set.tasks(&name).unwrap();
            assert_eq!(tasks.len(), listed);
            assert_eq!(set.max_steps(&name), 50 * goals);
            conformance::check(&set, &tasks[..1]).unwrap();
        }
    }
    for name in ["dev-goals-0", "dev-goals-9", "dev-goals-", "dev-goals-03", "dev-goals-2-3", "goals-2"] {
        assert!(matches!(set.tasks(name), Err(EnvError::UnknownSplit { .. })), "{name}");
        let error = set.make().unwrap().reset(&TaskKey::new("household", name, "seed-0"), 0).unwrap_err();
        assert!(matches!(error, EnvError::UnknownTask { .. }), "{error}");
    }
    assert_eq!(set.max_steps("dev"), 50);
}

#[test]
fn every_beginning_of_the_mixed_split_is_mixed() {
    let set = Households::default();
    let mut env = set.make().unwrap();
    let mut start = |split: &str, seed: u64| {
        env.reset(&TaskKey::new("household", split, format!("seed-{seed}")), 0).unwrap()
    };
    assert_eq!((set.tasks("train-goals-1-3").unwrap().len(), set.max_steps("train-goals-1-3")), (4000, 150));
    for seed in 0..9 {
        let goals = 1 + seed % 3;
        let mixed = start("train-goals-1-3", seed);
        assert_eq!(mixed, start(&format!("train-goals-{goals}"), seed / 3));
        assert_eq!(mixed.family, format!("goals_{goals}"));
    }
    let (chain, single) = (start("dev-goals-1", 7), start("dev", 7));
    assert_eq!((&chain.text, &chain.task), (&single.text, &single.task));
    assert_eq!(chain.family, "goals_1");
    assert!(GameFamily::try_from(single.family).unwrap().single().is_some());
}
