//! Inference of the current goal of a chain from the earlier subtasks and the last progress text.
//!
//! No observation reports that a goal of a chain has been reached. But a subtask that completes a goal is followed by
//! the search for the object of another goal, and only such a subtask is. So the earlier subtasks show which goals are
//! reached, and the last progress text shows the result of the last subtask.

use super::{Note, Subtask};
use crate::view::{Family, Goal};

/// Position of an agent in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ChainState<'a> {
    /// Current goal.
    pub(super) goal: Goal<'a>,
    /// Index of the first subtask that counts. Earlier ones belong to a completed pass over the chain after which the
    /// game continued.
    pub(super) since: usize,
    /// Kind of the object that the hand still holds from the goal that the last subtask completed.
    pub(super) in_hand: Option<&'a str>,
}

/// Finds the first goal that is not known to be reached. If all are and the game still continues, an error occurred
/// earlier, and all goals are to be reached again.
pub(super) fn chain_state<'a>(
    goals: &[Goal<'a>],
    earlier: &[Subtask<'a>],
    note: &Note<'_>,
) -> Option<ChainState<'a>> {
    let first = *goals.first()?;
    if goals.len() == 1 {
        return Some(ChainState { goal: first, since: 0, in_hand: None });
    }
    let mut reached = vec![false; goals.len()];
    let (mut since, mut in_hand) = (0, None);
    for index in 0..earlier.len() {
        let next = earlier.get(index + 1);
        let round = &earlier[since..=index];
        let turn = reached.iter().position(|reached| !reached)?;
        let completed = (0..goals.len()).find(|&number| {
            // An object that was put in place stays there until its goal counts; an object held under a lamp does not.
            let counts = number == turn || goals[number].family != Family::Look;
            counts
                && !reached[number]
                && completes(&goals[number], round)
                && confirmed(&goals[number], round, next, note)
        });
        let Some(number) = completed else { continue };
        reached[number] = true;
        let holds = goals[number].family == Family::Look && next.is_none();
        in_hand = holds.then_some(goals[number].object);
        if reached.iter().all(|reached| *reached) {
            reached.fill(false);
            since = index + 1;
        }
    }
    let turn = reached.iter().position(|reached| !reached)?;
    Some(ChainState { goal: goals[turn], since, in_hand })
}

/// Whether the last of these subtasks, if successful, completes a goal.
fn completes(goal: &Goal<'_>, round: &[Subtask<'_>]) -> bool {
    let Some((last, before)) = round.split_last() else { return false };
    match (*last, goal.family) {
        (Subtask::FindUse { kind }, Family::Look) => {
            let searched = before.iter().rev().find_map(|subtask| match subtask {
                Subtask::Find { kind } | Subtask::FindNew { kind, .. } => Some(*kind),
                _ => None,
            });
            kind == goal.target && searched == Some(goal.object)
        }
        (Subtask::Put { object, receptacle }, family) => {
            (object.kind, receptacle.kind) == (goal.object, goal.target)
                && match family {
                    Family::Place => true,
                    Family::Look => false,
                    Family::Treat(treatment) => before.contains(&Subtask::Treat { treatment, object }),
                    Family::Two => before.iter().any(|subtask| match *subtask {
                        Subtask::FindNew { kind, placed, at } => {
                            kind == goal.object && placed != object && at == receptacle
                        }
                        _ => false,
                    }),
                }
        }
        _ => false,
    }
}

/// Whether the last of these subtasks succeeded: the next subtask has moved on, or the progress text confirms it.
fn confirmed(goal: &Goal<'_>, round: &[Subtask<'_>], next: Option<&Subtask<'_>>, note: &Note<'_>) -> bool {
    match (next, round.last()) {
        (Some(Subtask::PutAway { kind }), _) => goal.family == Family::Look && *kind == goal.object,
        (Some(Subtask::Find { kind } | Subtask::FindNew { kind, .. }), _) => *kind != goal.object,
        (Some(_), _) | (None, None) => false,
        (None, Some(Subtask::FindUse { kind })) => matches!(note, Note::Used(thing) if thing.kind == *kind),
        (None, Some(Subtask::Put { object, receptacle })) => {
            matches!(note, Note::Put { object: put, receptacle: at } if (put, at) == (object, receptacle))
        }
        (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expert::Progress;

    const TASK: &str =
        "look at pen under the desklamp, then put two mug in shelf, then heat some egg and put it in desk.";
    const PEN: [&str; 3] = ["locate and pick up a pen", "locate and use a desklamp", "put away the pen"];
    const MUGS: [&str; 4] = [
        "locate and pick up a mug",
        "put mug 1 in shelf 1",
        "locate and pick up a new mug except mug 1 in shelf 1",
        "put mug 2 in shelf 1",
    ];
    const EGG: [&str; 3] = ["locate and pick up a egg", "heat egg 1", "put egg 1 in desk 1"];

    /// Returns the object of the current goal.
    fn next(earlier: &[&str], progress: &str) -> String {
        let goals = Goal::parse_all(TASK).unwrap();
        let earlier: Vec<Subtask<'_>> = earlier.iter().map(|text| Subtask::parse(text).unwrap()).collect();
        let chain_state = chain_state(&goals, &earlier, &Progress::parse(progress).note).unwrap();
        format!(
            "{}{}",
            chain_state.goal.object,
            if chain_state.in_hand.is_some() { " after freeing the hand" } else { "" }
        )
    }

    #[test]
    fn the_next_goal_is_told_by_what_was_done() {
        assert_eq!(next(&[], "None"), "pen");
        assert_eq!(next(&PEN[..1], "Picked up pen 1 from desk 1."), "pen");
        assert_eq!(next(&PEN[..2], "Failed to use desklamp 1."), "pen");
        assert_eq!(next(&PEN[..2], "Used desklamp 1."), "mug after freeing the hand");
        assert_eq!(next(&PEN, "Put pen 1 in desk 1."), "mug");
        let mugs = |number: usize| [&PEN[..], &MUGS[..number]].concat();
        assert_eq!(next(&mugs(2), "Put mug 1 in shelf 1."), "mug");
        assert_eq!(next(&mugs(4), "Holding fork 1."), "mug");
        assert_eq!(next(&mugs(4), "Put mug 2 in shelf 1."), "egg");
        let egg = |number: usize| [&PEN[..], &MUGS[..], &EGG[..number]].concat();
        assert_eq!(next(&egg(2), "Heated egg 1 with microwave 1."), "egg");
        assert_eq!(next(&[&egg(2)[..], &["put fork 1 in desk 1"]].concat(), "Put fork 1 in desk 1."), "egg");
        // All goals done, but the game continues: restart with the first.
        assert_eq!(next(&egg(3), "Put egg 1 in desk 1."), "pen");
    }

    #[test]
    fn a_goal_done_before_its_turn_counts_unless_it_passes() {
        let early = [&EGG[..], &PEN[..1]].concat();
        assert_eq!(next(&early, "Picked up pen 1 from desk 1."), "pen");
        assert_eq!(next(&[&EGG[..], &PEN[..], &MUGS[..3]].concat(), "None"), "mug");
        // The egg is already in place.
        assert_eq!(next(&[&EGG[..], &PEN[..], &MUGS[..]].concat(), "Put mug 2 in shelf 1."), "pen");
    }

    #[test]
    fn an_untreated_or_unconfirmed_object_does_not_count() {
        let cold = [&PEN[..], &MUGS[..], &EGG[..1], &EGG[2..]].concat();
        assert_eq!(next(&cold, "Put egg 1 in desk 1."), "egg");
        let dropped = [&PEN[..], &MUGS[..4], &["put fork 1 in desk 1"]].concat();
        assert_eq!(next(&dropped, "Put fork 1 in desk 1."), "mug");
    }
}
