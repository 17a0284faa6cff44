//! The flat role: actions of the hierarchical expert, with its subtasks recomputed from the history.

use stepladder_core::query::NO_PROGRESS;

use super::{AlfworldExpert, Note, Progress, Subtask, recorder};
use crate::view::{Feedback, Room};

impl AlfworldExpert {
    /// Returns the next action after a history of (action, answer). Recomputes the subtasks from the start, given the
    /// actions actually played.
    pub(super) fn act_flat(&self, task: &str, context: &str, history: &[(String, String)]) -> String {
        let room = Room::parse(context);
        let mut earlier: Vec<String> = Vec::new();
        let mut last = NO_PROGRESS.to_owned();
        let mut steps = history.iter();
        let mut feedback = "";
        loop {
            let subtask = self.plan(task, &earlier, &last, &room);
            earlier.push(subtask.clone());
            let mut progress = NO_PROGRESS.to_owned();
            loop {
                let (action, finishes) = {
                    let (command, finishes) =
                        self.act(&subtask, &Feedback::parse(feedback), &progress, &room);
                    (command.to_string(), finishes)
                };
                let Some((taken, answer)) = steps.next() else { return action };
                progress = recorder::record(&subtask, &progress, taken, answer);
                feedback = answer;
                if (finishes && *taken == action) || completed(&subtask, &progress) {
                    break;
                }
            }
            last = progress;
        }
    }
}

/// Whether a progress text shows that its subtask is complete.
fn completed(subtask: &str, progress: &str) -> bool {
    let note = Progress::parse(progress).note;
    match (Subtask::parse(subtask), note) {
        (Some(Subtask::Find { .. } | Subtask::FindNew { .. }), Note::PickedUp { .. }) => true,
        (Some(Subtask::FindUse { kind }), Note::Used(thing)) => thing.kind == kind,
        (
            Some(Subtask::Treat { treatment, object }),
            Note::Treated { treatment: done, object: other, .. },
        ) => treatment == done && object == other,
        (Some(Subtask::Put { object, receptacle }), Note::Put { object: other, receptacle: place }) => {
            (object, receptacle) == (other, place)
        }
        (Some(Subtask::PutAway { kind }), Note::Put { object, .. }) => object.kind == kind,
        _ => false,
    }
}
