//! Wrong moves for noisy expert rollouts (DART): the expert's label is kept, another move is played, and the following
//! labels show how to recover.

use rand::seq::IndexedRandom;
use stepladder_core::seed::Rng;

use crate::action::{Action, Variant};
use crate::board::{Board, Direction, Moved};

/// Proposes a move other than `action` that changes the board and pushes no box: a push may make the level unsolvable,
/// which leaves nothing to learn. `None` if there is no such move.
pub fn perturb(action: &str, board: &str, rng: &mut Rng) -> Option<String> {
    let board: Board = board.parse().ok()?;
    let meant = Action::parse(action, Variant::VerlAgent);
    let harmless = |direction: &Direction| {
        Some(Action::Push(*direction)) != meant && board.clone().walk(*direction) == Moved::Walked
    };
    let open: Vec<Direction> = Direction::ALL.into_iter().filter(harmless).collect();
    open.choose(rng).map(|direction| direction.name().to_owned())
}

#[cfg(test)]
mod tests {
    use stepladder_core::seed::stream;

    use super::*;

    #[test]
    fn proposals_are_other_moves_that_push_nothing() {
        let board = "######\n#_P__#\n#_X_O#\n######";
        for index in 0..50 {
            let rng = &mut stream(1, "noise", &[index]);
            assert_eq!(perturb("left", board, rng).as_deref(), Some("right"));
            assert!(matches!(perturb("down", board, rng).as_deref(), Some("left" | "right")));
        }
        let rng = &mut stream(1, "noise", &[]);
        assert_eq!(perturb("right", "####\n#P##\n#XO#\n####", rng), None);
        assert_eq!(perturb("right", "no board", rng), None);
    }
}
