//! Generated boards, their splits, and the environment contract on them.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::HashSet;

use common::boards;
use stepladder_core::seed::stream;
use stepladder_core::{End, TaskKey};
use stepladder_env::{Env, TaskSet, TimeLimit, conformance};
use stepladder_sokoban::generate::{GenerateError, Generator, GeneratorOptions, Recipe};
use stepladder_sokoban::{Board, Form, Sokoban, Variant, solve, tasks};
use stepladder_testing::data_root;

const SPLITS: [(&str, usize, usize, u32); 12] = [
    ("train-6x6-1", 10_000, 1, 15),
    ("dev-6x6-1", 1000, 1, 15),
    ("test-6x6-1", 1000, 1, 15),
    ("train-7x7-2", 10_000, 2, 30),
    ("dev-7x7-2", 1000, 2, 30),
    ("test-7x7-2", 1000, 2, 30),
    ("train-8x8-2", 10_000, 2, 40),
    ("dev-8x8-2", 1000, 2, 40),
    ("test-8x8-2", 1000, 2, 40),
    ("train-10x10-3", 10_000, 3, 80),
    ("dev-10x10-3", 1000, 3, 80),
    ("test-10x10-3", 1000, 3, 80),
];

#[test]
fn every_environment_rule_holds_in_every_split() {
    let root = data_root("boxoban/unfiltered/valid");
    let boxoban: &[&str] = if root.is_some() { &["boxoban-unfiltered-valid"] } else { &[] };
    for variant in [Variant::VerlAgent, Variant::Gym] {
        let options = stepladder_sokoban::Options { variant, form: Form::Ragen };
        let set = Sokoban::new(root.as_deref(), options);
        for split in SPLITS.iter().map(|split| &split.0).chain(boxoban) {
            let tasks = set.tasks(split).unwrap();
            conformance::check(&set, &tasks[..4]).unwrap();
        }
    }
}

#[test]
fn splits_have_their_sizes_and_share_no_board_however_it_is_turned() {
    let set = Sokoban::default();
    for (split, count, boxes, limit) in SPLITS {
        assert_eq!(set.tasks(split).unwrap().len(), count, "{split}");
        assert_eq!(set.max_steps(split), limit, "{split}");
        assert!(boards(split, 20).iter().all(|board| board.boxes().len() == boxes));
    }
    for size in ["6x6-1", "7x7-2", "8x8-2", "10x10-3"] {
        let mut seen: HashSet<Board> = HashSet::new();
        for part in ["dev", "test"] {
            for board in boards(&format!("{part}-{size}"), 1000) {
                assert!(turned(&board).iter().all(|other| !seen.contains(other)), "{board:?}");
                seen.insert(board);
            }
        }
        assert_eq!(seen.len(), 2000);
        for board in boards(&format!("train-{size}"), 2000) {
            assert!(turned(&board).iter().all(|other| !seen.contains(other)), "{board:?}");
        }
    }
}

/// Returns all eight symmetric forms, built from the text.
fn turned(board: &Board) -> Vec<Board> {
    let mut rows: Vec<Vec<char>> =
        board.text(Form::Ragen).lines().map(|line| line.chars().collect()).collect();
    let mut all = Vec::new();
    for _ in 0..4 {
        let turn: Vec<Vec<char>> =
            (0..rows[0].len()).map(|col| rows.iter().rev().map(|row| row[col]).collect()).collect();
        let mirror: Vec<Vec<char>> = turn.iter().rev().cloned().collect();
        for form in [&turn, &mirror] {
            let lines: Vec<String> = form.iter().map(|row| row.iter().collect()).collect();
            all.push(lines.join("\n").parse().unwrap());
        }
        rows = turn;
    }
    all
}

#[test]
fn every_generated_board_begins_unsolved_and_has_a_solution() {
    for recipe in [Recipe::Gym, Recipe::VerlAgent { depth: 30 }, Recipe::VerlAgent { depth: 300 }] {
        for (rows, cols, boxes) in [(6, 6, 1), (6, 6, 2), (7, 9, 3)] {
            let mut generator = Generator::new(GeneratorOptions { rows, cols, boxes, recipe }).unwrap();
            for number in 0..20 {
                let board = generator.board(&mut stream(number, "test", &[])).unwrap();
                assert_eq!((board.rows(), board.cols(), board.boxes().len()), (rows, cols, boxes));
                assert_eq!(board.on_target(), 0);
                assert!(solve(&board).is_some(), "{board:?}");
                let again = Generator::new(GeneratorOptions { rows, cols, boxes, recipe }).unwrap();
                assert_eq!(again.clone().board(&mut stream(number, "test", &[])).unwrap(), board);
            }
        }
    }
}

#[test]
fn the_boards_never_change() {
    // Pins the generator: a change would silently alter every published run.
    let text = |split: &str| boards(split, 1)[0].text(Form::Ragen);
    assert_eq!(text("dev-6x6-1"), PINNED_SMALL);
    assert_eq!(text("test-8x8-2"), PINNED_LARGE);
    assert_eq!(text("test-7x7-2"), PINNED_MIDDLE);
    assert_eq!(text("test-10x10-3"), PINNED_HUGE);
}
const PINNED_SMALL: &str = "######\n###__#\n###PX#\n####O#\n###__#\n######";
const PINNED_MIDDLE: &str = "#######\n####OO#\n####__#\n###___#\n###_XX#\n###__P#\n#######";
const PINNED_HUGE: &str = "##########\n###_X_O__#\n#________#\n#__####__#\n#_O#####_#\n#__#######\n#__#######\n#PX_######\n#_XO######\n##########";
const PINNED_LARGE: &str = "########\n##__####\n#O_O####\n#____###\n#____###\n#XXP__##\n#_____##\n########";

#[test]
fn impossible_wishes_are_refused() {
    let recipe = Recipe::Gym;
    let error =
        |rows, cols, boxes| Generator::new(GeneratorOptions { rows, cols, boxes, recipe }).unwrap_err();
    for (rows, cols, boxes) in [(4, 6, 1), (6, 17, 1), (6, 6, 0), (6, 6, 13)] {
        let message = error(rows, cols, boxes).to_string();
        assert!(message.contains("5 to 16 rows and columns and 1 to 12 boxes"), "{message}");
    }
    let mut crowded = Generator::new(GeneratorOptions { rows: 5, cols: 5, boxes: 9, recipe }).unwrap();
    assert_eq!(
        crowded.board(&mut stream(0, "test", &[])),
        Err(GenerateError::NoBoard { rows: 5, cols: 5, boxes: 9 })
    );
}

#[test]
fn unknown_names_are_answered_with_what_there_is() {
    let set = Sokoban::default();
    let error = set.tasks("dev-7x7-3").unwrap_err().to_string();
    assert!(error.starts_with("sokoban has no split `dev-7x7-3`; it has train-6x6-1, dev-6x6-1"), "{error}");
    let error =
        |split: &str, id: &str| set.level(&TaskKey::new("sokoban", split, id)).unwrap_err().to_string();
    assert!(error("dev-6x6-1", "level-1000").ends_with("dev-6x6-1 has level-0 to level-999"));
    for id in ["seed-1", "level-", "level-01", "level--1", "level-99999999999999999999", "1"] {
        assert!(error("dev-6x6-1", id).ends_with("a board of this split is named level-<number>"), "{id}");
    }
    assert!(error("train-6x6-1", "level-1").ends_with("a board of this split is named seed-<number>"));
    assert!(error("boxoban-hard", "000/0").starts_with("boxoban/hard: Boxoban levels need a data root"));
    let folder = tempfile::tempdir().unwrap();
    let here = Sokoban::new(Some(folder.path()), Default::default());
    let error = here.tasks("boxoban-hard").unwrap_err().to_string();
    assert!(error.contains("cannot list Boxoban levels"), "{error}");
    for id in ["../../etc/passwd/0", "000", "000/x", "000/00"] {
        let error = here.level(&TaskKey::new("sokoban", "boxoban-hard", id)).unwrap_err().to_string();
        assert!(error.ends_with("a Boxoban level is named <file>/<number>, for example 000/17"), "{error}");
    }
}

#[test]
fn anything_may_be_said_and_costs_a_step() {
    let task = TaskKey::new("sokoban", "dev-6x6-1", "level-3");
    for variant in [Variant::VerlAgent, Variant::Gym] {
        for form in [Form::Ragen, Form::VerlAgent] {
            let set = Sokoban::new(None, stepladder_sokoban::Options { variant, form });
            let mut env = TimeLimit::new(set.make().unwrap(), 4);
            let start = env.reset(&task, 0).unwrap();
            assert_eq!((start.task.as_str(), start.context.as_str()), (stepladder_sokoban::env::TASK, ""));
            for (action, unknown) in [("fly", true), ("", true), ("still", false), ("9", true)] {
                let step = env.step(action).unwrap();
                assert_eq!((step.unknown_action, step.reward, step.won), (unknown, -0.1, false), "{action}");
                assert_eq!(step.observation, start.text);
                // The wrapper counts steps that verl-agent's own counter does not.
                assert_eq!(step.end, (action == "9").then_some(End::Truncated));
            }
        }
    }
}

#[test]
fn boxoban_splits_hold_what_the_files_hold() {
    let Some(root) = data_root("boxoban/hard") else { return };
    let set = Sokoban::new(Some(&root), Default::default());
    for (split, count) in [("boxoban-hard", 3332), ("boxoban-medium-valid", 1000)] {
        let tasks = set.tasks(split).unwrap();
        assert_eq!(tasks.len(), count, "{split}");
        for task in &tasks {
            let board = set.level(task).unwrap().board;
            assert_eq!((board.rows(), board.cols(), board.boxes().len()), (10, 10, 4));
        }
    }
    let error = set.level(&TaskKey::new("sokoban", "boxoban-hard", "003/332")).unwrap_err().to_string();
    assert!(error.ends_with("003.txt has 332 levels"), "{error}");
    assert!(tasks::SPEC.splits.contains(&"boxoban-unfiltered-test"));
}
