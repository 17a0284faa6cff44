//! Chains: games whose goals must be reached one after another.
//!
//! The `:goal` of such a game is `(sequence G1 G2 …)`. This is not PDDL, so the original rejects the file instead of
//! playing a different game. Each Gi is an ordinary goal.

use crate::error::{GameError, unsupported};
use crate::formula::{Formula, Goal};
use crate::game::Game;
use crate::goal::{Scope, split};
use crate::problem::{Node, SEQUENCE};

/// Largest number of goals of a chain.
pub(crate) const LONGEST: usize = 8;

/// Prefix of the family of a chain; the number of goals follows.
pub(crate) const FAMILY: &str = "goals_";

/// Grounds the goal of a game, or all goals of a chain in order.
pub(crate) fn ground<'a>(node: &'a Node<'a>, scope: &mut Scope<'a>) -> Result<Vec<Goal>, GameError> {
    let (SEQUENCE, parts) = split(node)? else {
        return Ok(vec![Goal::new(scope.ground(node)?)]);
    };
    if !(2..=LONGEST).contains(&parts.len()) {
        return Err(unsupported(format!("a `sequence` of {} goals, not 2 to {LONGEST}", parts.len())));
    }
    let mut goals = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let number = index + 1;
        match scope.ground(part)? {
            Formula::False => return Err(unsupported(format!("a goal {number} that can never be reached"))),
            Formula::True => return Err(unsupported(format!("a goal {number} that always holds"))),
            formula => goals.push(Goal::new(formula)),
        }
    }
    Ok(goals)
}

/// Sets the family of a chain that has none, and rejects a family with another number of goals.
pub(crate) fn check_family(game: &mut Game) -> Result<(), GameError> {
    let goals = game.goals.len();
    let named = game.family.strip_prefix(FAMILY).and_then(|number| number.parse::<usize>().ok());
    match named {
        Some(number) if number != goals => Err(GameError::GoalCount { family: game.family.clone(), goals }),
        None if goals > 1 && game.family.is_empty() => {
            game.family = format!("{FAMILY}{goals}");
            Ok(())
        }
        None if goals > 1 => Err(GameError::GoalCount { family: game.family.clone(), goals }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::Engine;
    use crate::testing::kitchen;

    const OPENED: &str = "(opened cabinet_bar_1)";
    const HELD: &str = "(holds agent1 mug_bar_1)";
    const SHELVED: &str =
        "(exists (?r - receptacle) (and (inReceptacle mug_bar_1 ?r) (receptacleType ?r ShelfType)))";
    const BRING: [&str; 5] = [
        "go to cabinet 1",
        "open cabinet 1",
        "take mug 2 from cabinet 1",
        "go to shelf 1",
        "move mug 2 to shelf 1",
    ];

    /// Plays commands; returns the number of reached goals and whether the game is won, at the start and after each
    /// command.
    fn play(goals: &[&str], commands: &[&str]) -> Vec<(usize, bool)> {
        let mut engine = Engine::new(kitchen(&format!("(sequence {})", goals.join(" "))).unwrap());
        let mut seen = vec![(engine.goals_reached(), engine.won())];
        for command in commands {
            let outcome = engine.step(command, &mut String::new());
            assert!(outcome.possible, "{command}");
            seen.push((engine.goals_reached(), outcome.won));
        }
        engine.reset();
        assert_eq!((engine.goals_reached(), engine.won()), seen[0]);
        seen
    }

    #[test]
    fn goals_are_reached_in_order() {
        let seen = play(&[OPENED, HELD, SHELVED], &BRING);
        assert_eq!(seen, [(0, false), (0, false), (1, false), (2, false), (2, false), (3, true)]);
    }

    #[test]
    fn what_was_done_early_counts_when_its_turn_comes_if_it_still_holds() {
        // The mug stays on the shelf, so the second goal is reached together with the first.
        let closed = "(not (opened cabinet_bar_1))";
        let open_first = format!("(and {OPENED} {SHELVED})");
        assert_eq!(play(&[&open_first, SHELVED], &BRING).last(), Some(&(2, true)));
        // The hand is empty when the second goal becomes current.
        assert_eq!(play(&[SHELVED, HELD], &BRING).last(), Some(&(1, false)));
        let again = [&BRING[..], &["take mug 2 from shelf 1"]].concat();
        assert_eq!(play(&[SHELVED, HELD], &again).last(), Some(&(2, true)));
        // A goal that holds at the start is reached at the start.
        assert_eq!(play(&[closed, HELD], &[])[0], (1, false));
    }

    #[test]
    fn what_counted_is_not_taken_back_but_the_last_goal_has_to_hold() {
        let after = [&BRING[..], &["take mug 2 from shelf 1"]].concat();
        let seen = play(&[HELD, SHELVED], &after);
        assert_eq!(seen[4], (1, false));
        assert_eq!(seen[5], (2, true));
        assert_eq!(seen[6], (1, false));
    }

    #[test]
    fn nonsense_is_refused() {
        let nine = format!("(sequence {})", [OPENED; 9].join(" "));
        for (goal, expected) in [
            ("(sequence)", "a `sequence` of 0 goals, not 2 to 8, which the engine does not support"),
            ("(sequence (opened cabinet_bar_1))", "a `sequence` of 1 goals, not 2 to 8"),
            (&nine, "a `sequence` of 9 goals, not 2 to 8"),
            ("(sequence (opened cabinet_bar_1) (or))", "a goal 2 that can never be reached"),
            ("(sequence (and) (opened cabinet_bar_1))", "a goal 1 that always holds"),
            ("(and (sequence (opened cabinet_bar_1)))", "a `sequence` inside of a goal"),
            (
                "(sequence (sequence (opened cabinet_bar_1) (opened cabinet_bar_1)) (opened cabinet_bar_1))",
                "a `sequence` inside of a goal",
            ),
            ("(sequence opened cabinet_bar_1)", "the bare name `opened` as a goal condition"),
        ] {
            let error = kitchen(goal).unwrap_err().to_string();
            assert!(error.contains(expected), "{goal}: {error}");
        }
    }
}
