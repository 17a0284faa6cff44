//! One episode, with rewards and end of the original implementations.

use crate::action::{Action, Variant};
use crate::board::{Board, Moved};

/// Reward of every step.
pub const STEP: f64 = -0.1;
/// Bonus when more boxes are on targets than before the step.
pub const ON_TARGET: f64 = 1.0;
/// Penalty when fewer boxes are on targets than before the step.
pub const OFF_TARGET: f64 = -1.0;
/// Bonus when all boxes are on targets.
pub const FINISHED: f64 = 10.0;

/// Result of an action.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Reward.
    pub reward: f64,
    /// `done` of the original: all boxes are on targets, or the number of steps equals the limit.
    pub done: bool,
    /// Whether all boxes are on targets.
    pub won: bool,
    /// Effect on the player.
    pub moved: Moved,
}

/// A board in play, with the counters of the original.
///
/// * The number of boxes on targets is compared with that before the step; before the first step it counts as 0.
/// * The step limit sets `done` at *exactly* `max_steps` steps: steps after the end do not set it again.
/// * verl-agent's action 0 changes nothing, does not count as a step, never ends an episode and costs [`STEP`].
///
/// ```
/// use stepladder_sokoban::{Action, Board, Direction, Episode, Variant};
/// let board: Board = "#####\n#PXO#\n#####".parse()?;
/// let mut episode = Episode::new(board, Variant::VerlAgent, 15);
/// let still = episode.step(Action::Still);
/// assert_eq!((still.reward, still.done, episode.steps()), (-0.1, false, 0));
/// let won = episode.step(Action::Push(Direction::Right));
/// assert_eq!((won.reward, won.done, won.won), (10.9, true, true));
/// # Ok::<(), stepladder_sokoban::BoardError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Episode {
    board: Board,
    variant: Variant,
    max_steps: u32,
    steps: u32,
    /// Number of boxes on targets after the last step.
    on_target: u32,
}

impl Episode {
    /// Starts an episode on a board. `max_steps` is the step limit of the original.
    pub fn new(board: Board, variant: Variant, max_steps: u32) -> Self {
        Self { board, variant, max_steps, steps: 0, on_target: 0 }
    }

    /// Current board.
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Number of counted steps.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Plays an action.
    #[inline]
    pub fn step(&mut self, action: Action) -> Outcome {
        if action == Action::Still && self.variant == Variant::VerlAgent {
            return Outcome { reward: STEP, done: false, won: self.board.solved(), moved: Moved::Blocked };
        }
        self.steps = self.steps.saturating_add(1);
        let moved = match action {
            Action::Still => Moved::Blocked,
            Action::Push(direction) => self.board.step(direction),
            Action::Walk(direction) => self.board.walk(direction),
        };
        let before = self.on_target;
        if moved == Moved::Pushed || self.steps == 1 {
            self.on_target = self.board.on_target() as u32;
        }
        let mut reward = STEP;
        if self.on_target > before {
            reward += ON_TARGET;
        } else if self.on_target < before {
            reward += OFF_TARGET;
        }
        let won = self.board.solved();
        if won {
            reward += FINISHED;
        }
        Outcome { reward, done: won || self.steps == self.max_steps, won, moved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Direction::{Down, Left, Right, Up};

    fn play(text: &str, variant: Variant, max_steps: u32, actions: &[Action]) -> Vec<(f64, bool, bool)> {
        let mut episode = Episode::new(text.parse().unwrap(), variant, max_steps);
        actions
            .iter()
            .map(|action| episode.step(*action))
            .map(|outcome| (outcome.reward, outcome.done, outcome.won))
            .collect()
    }

    #[test]
    fn onto_a_target_and_off_again() {
        let actions = [Right, Right, Right].map(Action::Push);
        let steps = play("########\n#PXO__X#\n#____O_#\n########", Variant::Gym, 120, &actions);
        assert_eq!(steps, [(0.9, false, false), (-1.1, false, false), (-0.1, false, false)]);
    }

    #[test]
    fn boxes_that_begin_on_targets_are_rewarded_once_by_the_first_step() {
        let steps = play("######\n#P_√√#\n#_OX_#\n######", Variant::Gym, 9, &[Action::Still, Action::Still]);
        assert_eq!(steps, [(0.9, false, false), (-0.1, false, false)]);
    }

    #[test]
    fn the_limit_sets_done_once() {
        let board = "#####\n#P_O#\n#_X_#\n#___#\n#####";
        let stay = [Action::Push(Up); 3];
        let done = |steps: Vec<(f64, bool, bool)>| steps.iter().map(|step| step.1).collect::<Vec<_>>();
        assert_eq!(done(play(board, Variant::Gym, 2, &stay)), [false, true, false]);
        assert_eq!(done(play(board, Variant::Gym, 2, &[Action::Still; 3])), [false, true, false]);
        let mixed = [Action::Push(Up), Action::Still, Action::Still, Action::Push(Up)];
        assert_eq!(done(play(board, Variant::VerlAgent, 2, &mixed)), [false, false, false, true]);
    }

    #[test]
    fn walking_pushes_nothing_and_two_boxes_never_move() {
        let mut episode =
            Episode::new("######\n#PXXO#\n#OX__#\n#__O_#\n######".parse().unwrap(), Variant::Gym, 9);
        let before = *episode.board();
        for action in [Action::Walk(Right), Action::Push(Right), Action::Walk(Left), Action::Push(Left)] {
            assert_eq!(episode.step(action).moved, Moved::Blocked, "{action:?}");
        }
        assert_eq!(*episode.board(), before);
        assert_eq!(episode.step(Action::Walk(Down)).moved, Moved::Walked);
        assert_eq!(episode.step(Action::Walk(Right)).moved, Moved::Blocked);
        assert_eq!(episode.step(Action::Push(Right)).moved, Moved::Pushed);
    }
}
