//! Rule-based expert: planner, executor and progress writer as functions of the query (docs/design.md D11).
//!
//! * planner: the first sub-goal of a shortest solution of the shown board
//! * executor: the next move of that push, and whether it completes the push
//! * progress: current position of the box
//! * flat: the first move of a shortest solution of the last board

use stepladder_core::label::Expert;
use stepladder_core::query::{Observation, Query, Role};
use stepladder_core::reply::executor_reply;

use crate::board::{Board, Direction};
use crate::plan::{Push, plan};

/// Subtask of a board without solution.
const NO_PLAN: &str = "no way is left";
const NO_MOVE: &str = "still";
/// Progress text where no box is on the path of the push.
const NO_BOX: &str = "no box there";

/// Expert of Sokoban.
#[derive(Debug, Clone, Copy, Default)]
pub struct SokobanExpert;

/// Returns the board of an observation: the last answer, or the context at the start of an episode.
pub(crate) fn shown(observation: &Observation) -> &str {
    if observation.feedback.is_empty() { &observation.context } else { &observation.feedback }
}

pub(crate) fn seen(observation: &Observation) -> Option<Board> {
    shown(observation).parse().ok()
}

impl SokobanExpert {
    /// [`Expert::gives_back`].
    pub(crate) const GIVES_BACK: Option<&'static str> = Some(NO_MOVE);

    fn subgoal(board: &Board) -> Option<String> {
        plan(board)?.subgoals.first().map(ToString::to_string)
    }

    fn act(subtask: &str, board: &Board) -> Option<(Direction, bool)> {
        Push::parse(subtask)?.next_move(board)
    }

    /// Progress text: position of the first box on the path of a push. `None` if no box is on the path.
    fn progress(subtask: &str, board: &Board) -> Option<String> {
        let push = Push::parse(subtask)?;
        let direction = push.direction()?;
        let end = board.cell(push.to.row, push.to.col)?;
        let mut cell = board.cell(push.from.row, push.from.col)?;
        while !board.boxes().has(cell) {
            if cell == end || board.walls().has(cell) {
                return None;
            }
            cell = board.next(cell, direction);
        }
        let (row, col) = board.position(cell);
        Some(format!("box at ({row},{col})"))
    }
}

impl Expert for SokobanExpert {
    fn reply(&self, query: &Query) -> Option<String> {
        Some(match query {
            Query::Planner { observation, .. } => {
                seen(observation).as_ref().and_then(Self::subgoal).unwrap_or_else(|| NO_PLAN.to_owned())
            }
            // A sub-goal that cannot be pursued is returned at once.
            Query::Executor { subtask, observation, .. } => {
                match seen(observation).and_then(|board| Self::act(subtask, &board)) {
                    Some((direction, finished)) => executor_reply(direction.name(), finished),
                    None => executor_reply(NO_MOVE, true),
                }
            }
            Query::Progress { subtask, observation, .. } => seen(observation)
                .and_then(|board| Self::progress(subtask, &board))
                .unwrap_or_else(|| NO_BOX.to_owned()),
            // Blueprints are derived from its episodes (`stepladder_agent::replay`).
            Query::Macro { .. } | Query::Micro { .. } => return None,
            Query::Flat { context, history, .. } => {
                let last = history.last().map_or(context, |(_, answer)| answer);
                let board = last.parse::<Board>().ok();
                let moves = board.and_then(|board| crate::solve(&board)).map(|solution| solution.moves);
                let first = moves.and_then(|moves| moves.first().copied());
                first.map_or(NO_MOVE, Direction::name).to_owned()
            }
        })
    }

    fn answers(&self, role: Role) -> bool {
        !matches!(role, Role::Macro | Role::Micro)
    }

    fn gives_back(&self) -> Option<&str> {
        Self::GIVES_BACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(context: &str, feedback: &str) -> Observation {
        Observation { context: context.to_owned(), feedback: feedback.to_owned() }
    }

    #[test]
    fn every_role_answers_from_the_board_alone() {
        let (first, second) = ("######\n#P___#\n#_X_O#\n######", "######\n#____#\n#PX_O#\n######");
        let expert = SokobanExpert;
        let observation = observe(first, second);
        let plan = Query::Planner {
            task: String::new(),
            earlier: Vec::new(),
            progress: "None".to_owned(),
            observation: observe(first, ""),
        };
        assert_eq!(expert.reply(&plan).unwrap(), "push box from (2,2) to (2,4)");
        let act = |board: &str| {
            let subtask = "push box from (2,2) to (2,4)".to_owned();
            expert
                .reply(&Query::Executor {
                    subtask,
                    observation: observe(first, board),
                    progress: String::new(),
                })
                .unwrap()
        };
        assert_eq!(act(""), "down; False");
        assert_eq!(act(second), "right; False");
        assert_eq!(act("######\n#____#\n#_PXO#\n######"), "right; True");
        assert_eq!(act("######\n#____#\n#__P√#\n######"), "still; True");
        assert_eq!(act("nonsense"), "still; True");
        let progress = Query::Progress {
            subtask: "push box from (2,2) to (2,4)".to_owned(),
            progress: String::new(),
            action: "down".to_owned(),
            observation,
        };
        assert_eq!(expert.reply(&progress).unwrap(), "box at (2,2)");
        let flat = |history: &[(String, String)]| {
            let (task, context) = (String::new(), first.to_owned());
            expert.reply(&Query::Flat { task, context, history: history.to_vec() }).unwrap()
        };
        assert_eq!(flat(&[]), "down");
        assert_eq!(flat(&[("down".to_owned(), second.to_owned())]), "right");
        assert_eq!(flat(&[("x".to_owned(), "######\n#P__X#\n#__O_#\n######".to_owned())]), "still");
    }
}
