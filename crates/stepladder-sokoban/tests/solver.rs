//! Compares the solver with plain breadth-first search, and sub-goals with their moves.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{boards, fewest_moves};
use proptest::prelude::*;
use stepladder_core::TaskKey;
use stepladder_sokoban::solve::{Limits, solve_within};
use stepladder_sokoban::{Board, Cells, Moved, Push, Sokoban, Tile, plan, solve};
use stepladder_testing::data_root;

fn plays_out(board: &Board) -> usize {
    let solution = solve(board).unwrap();
    let mut now = *board;
    for direction in &solution.moves {
        assert_ne!(now.step(*direction), Moved::Blocked);
    }
    assert!(now.solved());
    solution.moves.len()
}

#[test]
fn solutions_are_shortest_on_a_thousand_boards() {
    let all: Vec<Board> = boards("dev-6x6-1", 700).into_iter().chain(boards("dev-8x8-2", 300)).collect();
    assert_eq!(all.len(), 1000);
    for board in &all {
        assert_eq!(Some(plays_out(board)), fewest_moves(board), "{board:?}");
    }
}

#[test]
fn subgoals_cover_the_solution_and_lead_to_the_goal_by_themselves() {
    for board in boards("dev-6x6-1", 200).into_iter().chain(boards("dev-8x8-2", 200)) {
        let plan = plan(&board).unwrap();
        let mut at = 0;
        for subgoal in &plan.subgoals {
            assert_eq!(subgoal.actions.start, at);
            at = subgoal.actions.end;
            assert_eq!(Push::parse(&subgoal.to_string()), Some(subgoal.push));
        }
        assert_eq!(at, plan.moves.len());
        // Pursuing the sub-goals in turn takes as many moves as the solution.
        let mut now = board;
        for subgoal in &plan.subgoals {
            for left in (1..=subgoal.actions.len()).rev() {
                let (direction, done) = subgoal.push.next_move(&now).unwrap();
                assert_ne!(now.step(direction), Moved::Blocked);
                assert_eq!(done, left == 1);
            }
        }
        assert!(now.solved());
    }
}

#[test]
fn lost_boards_have_no_solution() {
    for text in [
        "######\n#XP__#\n#__O_#\n######",
        "#######\n#PXX__#\n#__XXO#\n#OO_O_#\n#######",
        "#####\n#P#X#\n###O#\n#####",
        "#######\n#P_#_O#\n#_X#__#\n#______#\n#######".replace("______#\n", "__#__#\n").as_str(),
    ] {
        let board: Board = text.parse().unwrap();
        assert_eq!(fewest_moves(&board), None, "{text}");
        assert_eq!(solve(&board), None, "{text}");
    }
    let solved: Board = "#####\n#P√_#\n#####".parse().unwrap();
    assert_eq!(solve(&solved).unwrap().moves, []);
}

#[test]
fn boxoban_levels_are_solved() {
    use stepladder_env::TaskSet;
    let Some(root) = data_root("boxoban/unfiltered/valid") else { return };
    let set = Sokoban::new(Some(&root), Default::default());
    let tasks: Vec<TaskKey> = set.tasks("boxoban-unfiltered-valid").unwrap();
    assert_eq!(tasks.len(), 1000);
    for task in tasks.iter().take(10) {
        plays_out(&set.level(task).unwrap().board);
    }
}

#[test]
fn limits_are_kept() {
    let board = boards("dev-8x8-2", 1)[0];
    assert_eq!(solve_within(&board, Limits { positions: 2, haste: 1 }), None);
    let hasty = solve_within(&board, Limits { positions: 100_000, haste: 1 }).unwrap();
    assert!(hasty.shortest);
}

/// Small rooms with walls, boxes and targets anywhere: many have no solution.
fn any_board() -> impl Strategy<Value = Board> {
    (3usize..6, 4usize..6, proptest::collection::vec(0u32..100, 40), 1usize..3).prop_filter_map(
        "no board",
        |(rows, cols, numbers, boxes)| {
            let (rows, cols) = (rows + 2, cols + 2);
            let mut tiles = vec![Tile::Wall; rows * cols];
            let mut inside: Vec<usize> = (0..rows * cols)
                .filter(|cell| {
                    let (row, col) = (cell / cols, cell % cols);
                    row > 0 && col > 0 && row + 1 < rows && col + 1 < cols
                })
                .collect();
            for (cell, number) in inside.iter().zip(&numbers) {
                if *number < 75 {
                    tiles[*cell] = Tile::Floor;
                }
            }
            inside.retain(|cell| tiles[*cell] == Tile::Floor);
            for (place, number) in numbers.iter().rev().enumerate().take(2 * boxes + 1) {
                if inside.is_empty() {
                    return None;
                }
                let cell = inside.remove(*number as usize % inside.len());
                tiles[cell] = [Tile::Player, Tile::Box, Tile::Target, Tile::Box, Tile::Target][place];
            }
            Board::new(rows, cols, &tiles).ok()
        },
    )
}

proptest! {
    #[test]
    fn any_board_gets_the_answer_of_plain_search(board in any_board()) {
        prop_assert_eq!(solve(&board).map(|solution| solution.moves.len()), fewest_moves(&board));
    }

    #[test]
    fn haste_changes_the_length_alone(board in any_board()) {
        let hasty = solve_within(&board, Limits { positions: 100_000, haste: 5 });
        prop_assert_eq!(hasty.is_some(), fewest_moves(&board).is_some());
        let none = board.with(board.player(), Cells::default()).unwrap();
        prop_assert!(solve(&none).is_none());
    }
}
