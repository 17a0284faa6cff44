//! Random valid pushes, for executors that are to carry out any sub-goal (docs/spec/algorithms.md 9.2).

use rand::seq::IndexedRandom;
use stepladder_core::label::Expert;
use stepladder_core::query::{Query, Role};
use stepladder_core::seed::{fingerprint, stream};

use crate::board::{Board, Direction};
use crate::expert::{SokobanExpert, seen, shown};
use crate::plan::{Place, Push};
use crate::solve::{Bound, walk};

/// The expert with a planner that does not pursue the task: it draws any straight push that the shown board allows, and avoids cells
/// from which no push leads to a target as long as it can.
///
/// Like the expert it is a function of the query, and of a number: another number draws other pushes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanderer {
    number: u64,
}

/// Returns the pushes that a board allows, by box and direction; and whether each ends on a cell from which a target can be reached.
fn pushes(board: &Board) -> Vec<Vec<(Push, bool)>> {
    let bound = Bound::new(board);
    let place = |cell| {
        let (row, col) = board.position(cell);
        Place { row, col }
    };
    let mut found = Vec::new();
    for start in board.boxes().iter() {
        for direction in Direction::ALL {
            let behind = board.next(start, direction.opposite());
            if walk(board, behind).is_none() {
                continue;
            }
            let mut line = Vec::new();
            let mut end = board.next(start, direction);
            while board.free(end) {
                line.push((Push { from: place(start), to: place(end) }, !bound.dead(end)));
                end = board.next(end, direction);
            }
            found.push(line);
        }
    }
    found
}

impl Wanderer {
    /// Creates a wanderer that draws by this number.
    pub fn new(number: u64) -> Self {
        Self { number }
    }

    fn push(self, board: &Board, name: u64) -> Option<Push> {
        let lines = pushes(board);
        let alive = lines.iter().flatten().any(|(_, alive)| *alive);
        let wanted = |line: &Vec<(Push, bool)>| -> Vec<Push> {
            line.iter().filter(|(_, lives)| *lives || !alive).map(|(push, _)| *push).collect()
        };
        let lines: Vec<Vec<Push>> = lines.iter().map(wanted).filter(|line| !line.is_empty()).collect();
        let mut rng = stream(name, "wanderer", &[self.number]);
        lines.choose(&mut rng)?.choose(&mut rng).copied()
    }
}

impl Expert for Wanderer {
    fn reply(&self, query: &Query) -> Option<String> {
        if !self.answers(query.role()) {
            return None;
        }
        let drawn = match query {
            Query::Planner { earlier, observation, .. } => seen(observation).and_then(|board| {
                let name = format!("{}\n{}", earlier.join("\n"), shown(observation));
                self.push(&board, fingerprint(&name))
            }),
            _ => None,
        };
        // Where no box can be pushed, as the expert.
        drawn.map(|push| push.to_string()).or_else(|| SokobanExpert.reply(query))
    }

    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Executor | Role::Progress)
    }

    fn gives_back(&self) -> Option<&str> {
        SokobanExpert::GIVES_BACK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_those_that_the_board_allows() {
        let board: Board = "#######\n#_____#\n#_X_OP#\n#_____#\n#######".parse().unwrap();
        let found: Vec<String> =
            pushes(&board).iter().flatten().map(|(push, alive)| format!("{push} {alive}")).collect();
        let mut expected = [
            "push box from (2,2) to (1,2) false",
            "push box from (2,2) to (3,2) false",
            "push box from (2,2) to (2,1) false",
            "push box from (2,2) to (2,3) true",
            "push box from (2,2) to (2,4) true",
        ]
        .map(str::to_owned);
        let mut found = found;
        found.sort();
        expected.sort();
        assert_eq!(found[..3], expected[..3]);
        assert!(found.contains(&expected[3]) && found.contains(&expected[4]), "{found:?}");
        // A wanderer that can avoid dead cells does; another number draws others.
        let drawn: std::collections::BTreeSet<String> = (0..40)
            .filter_map(|number| Wanderer::new(number).push(&board, 1))
            .map(|push| push.to_string())
            .collect();
        assert!(
            drawn.len() > 1 && drawn.iter().all(|push| found.contains(&format!("{push} true"))),
            "{drawn:?}"
        );
        let stuck: Board = "######\n#XP__#\n#___O#\n######".parse().unwrap();
        assert_eq!(Wanderer::new(1).push(&stuck, 1), None);
    }
}
