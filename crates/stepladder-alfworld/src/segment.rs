//! Segmentation of demonstrations into subtasks (docs/spec/algorithms.md 3.0, "rule-based ALFWorld segmentation").
//!
//! A subtask ends with the first successful action that takes, treats, places or switches on something, and includes
//! the actions before it. Names are those of the expert's planner.

use stepladder_core::label::{Demonstration, Segment, Segmenter};

use crate::expert::Subtask;
use crate::view::task::THEN;
use crate::view::{Command, Entity, Feedback};

/// Rule-based segmenter of ALFWorld and of generated households.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlfworldSegmenter;

impl Segmenter for AlfworldSegmenter {
    fn segment(&self, demonstration: &Demonstration) -> Result<Vec<Segment>, String> {
        let steps = &demonstration.steps;
        let mut segments: Vec<Segment> = Vec::new();
        let mut placed: Vec<(Entity<'_>, Entity<'_>)> = Vec::new();
        // An object left in the hand by a goal of a chain is put away before the next one.
        let chain = demonstration.task.contains(THEN);
        let mut lit = false;
        let mut start = 0;
        for (index, (action, answer)) in steps.iter().enumerate() {
            let feedback = Feedback::parse(answer);
            // The last action of an episode often has the same answer as any other, so the action decides; the answer
            // can only revoke it.
            if feedback == Feedback::NothingHappens {
                continue;
            }
            let subtask = match Command::parse(action) {
                Some(Command::Take { object, .. }) => match latest(&placed, object.kind) {
                    Some((placed, at)) if placed != object => {
                        Subtask::FindNew { kind: object.kind, placed, at }
                    }
                    _ => Subtask::Find { kind: object.kind },
                },
                Some(Command::Use(thing)) => Subtask::FindUse { kind: thing.kind },
                Some(Command::Treat { treatment, object, .. }) => Subtask::Treat { treatment, object },
                Some(Command::Place { object, .. }) if chain && lit => Subtask::PutAway { kind: object.kind },
                Some(Command::Place { object, receptacle, .. }) => {
                    placed.push((object, receptacle));
                    Subtask::Put { object, receptacle }
                }
                _ => continue,
            };
            lit = matches!(subtask, Subtask::FindUse { .. });
            segments.push(Segment { subtask: subtask.to_string(), len: index + 1 - start });
            start = index + 1;
        }
        match (segments.last_mut(), steps.get(start)) {
            (_, None) => Ok(segments),
            // Actions after the last completed subtask belong to it.
            (Some(last), Some(_)) => {
                last.len += steps.len() - start;
                Ok(segments)
            }
            (None, Some((action, _))) => Err(format!(
                "no action of the demonstration takes, treats, places or switches on anything, \
                 so its first action `{action}` belongs to no subtask"
            )),
        }
    }
}

/// Returns the object of a kind that was placed last, with its receptacle.
fn latest<'a>(placed: &[(Entity<'a>, Entity<'a>)], kind: &str) -> Option<(Entity<'a>, Entity<'a>)> {
    placed.iter().rev().find(|(object, _)| object.kind == kind).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demonstration(steps: &[(&str, &str)]) -> Demonstration {
        Demonstration {
            task: "put two mug in shelf.".into(),
            context: String::new(),
            steps: steps
                .iter()
                .map(|(action, answer)| ((*action).to_owned(), (*answer).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn deeds_end_subtasks() {
        let segments = AlfworldSegmenter
            .segment(&demonstration(&[
                ("go to desk 1", "You arrive at desk 1. On the desk 1, you see a mug 2, and a mug 1."),
                ("take mug 3 from desk 1", "Nothing happens."),
                ("take mug 2 from desk 1", "You pick up the mug 2 from the desk 1."),
                ("go to shelf 1", "You arrive at shelf 1. On the shelf 1, you see nothing."),
                ("move mug 2 to shelf 1", "You move the mug 2 to the shelf 1."),
                ("go to desk 1", "You arrive at desk 1. On the desk 1, you see a mug 1."),
                ("take mug 1 from desk 1", "You pick up the mug 1 from the desk 1."),
                ("go to shelf 1", "You arrive at shelf 1. On the shelf 1, you see a mug 2."),
                ("move mug 1 to shelf 1", "You move the mug 1 to the shelf 1."),
                ("look", "You are facing the shelf 1. Next to it, you see nothing."),
            ]))
            .unwrap();
        let named: Vec<(&str, usize)> =
            segments.iter().map(|segment| (segment.subtask.as_str(), segment.len)).collect();
        assert_eq!(
            named,
            [
                ("locate and pick up a mug", 3),
                ("put mug 2 in shelf 1", 2),
                ("locate and pick up a new mug except mug 2 in shelf 1", 2),
                ("put mug 1 in shelf 1", 3),
            ]
        );
    }

    #[test]
    fn what_the_light_left_in_the_hand_is_put_away() {
        let steps = [
            ("take pen 1 from desk 1", "You pick up the pen 1 from the desk 1."),
            ("use desklamp 1", "You turn on the desklamp 1."),
            ("move pen 1 to desk 1", "You move the pen 1 to the desk 1."),
        ];
        let last = |task: &str| {
            let demonstration = Demonstration { task: task.into(), ..demonstration(&steps) };
            AlfworldSegmenter.segment(&demonstration).unwrap()[2].subtask.clone()
        };
        assert_eq!(last("look at pen under the desklamp, then put a mug in shelf."), "put away the pen");
        assert_eq!(last("look at pen under the desklamp."), "put pen 1 in desk 1");
    }

    #[test]
    fn a_demonstration_without_deeds_is_refused() {
        let error = AlfworldSegmenter.segment(&demonstration(&[("look", "")])).unwrap_err();
        assert!(error.contains("look"), "{error}");
        assert_eq!(AlfworldSegmenter.segment(&demonstration(&[])).unwrap(), []);
    }
}
