//! Freeing of the hand between two goals.

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use super::executor::{GIVE_BACK, Move};
use super::{AlfworldExpert, Note, Progress};
use crate::generate::Tables;
use crate::view::{Command, Entity, Feedback, Room};

/// Compatible (receptacle kind, object kind) pairs of the domain. Start positions are not enough: a vase may start on a
/// television stand, but cannot be put there.
static CONTAINS: LazyLock<FxHashSet<(String, String)>> = LazyLock::new(|| {
    let lower = |kind: &String| kind.to_ascii_lowercase();
    let pairs = |(outer, inner): (&String, &Vec<String>)| {
        let outer = lower(outer);
        inner.iter().map(move |inner| (outer.clone(), lower(inner))).collect::<Vec<_>>()
    };
    Tables::official().contains.iter().flat_map(pairs).collect()
});

/// Whether the game lets an object of a kind be put into a receptacle of a kind.
pub(super) fn accepts(receptacle: &str, object: &str) -> bool {
    CONTAINS.contains(&(receptacle.to_owned(), object.to_owned()))
}

impl AlfworldExpert {
    /// Checks the inventory, walks to a likely receptacle for the object, and puts it down.
    pub(super) fn put_away<'a>(
        &self,
        kind: &str,
        feedback: &Feedback<'a>,
        progress: &Progress<'a>,
        room: &Room<'a>,
    ) -> Move<'a> {
        let held = match feedback {
            Feedback::Carrying(items) if items.is_empty() => return GIVE_BACK,
            Feedback::Placed { object, .. } if object.kind == kind => return GIVE_BACK,
            Feedback::Carrying(items) => items.first().copied(),
            Feedback::PickedUp { object, .. } => Some(*object),
            _ => progress.held,
        };
        let Some(object) = held else {
            let empty = matches!(progress.note, Note::HandEmpty | Note::Put { .. });
            return if empty { GIVE_BACK } else { (Command::Inventory, false) };
        };
        let fits = |place: &Entity<'_>| accepts(place.kind, object.kind);
        let go_on = |from: Option<Entity<'a>>| {
            let order: Vec<Entity<'a>> =
                self.prior.order(room, object.kind).into_iter().filter(fits).collect();
            let behind = order.iter().position(|place| Some(*place) == from).map_or(0, |index| index + 1);
            order
                .get(behind % order.len().max(1))
                .map_or((Command::Look, false), |place| (Command::GoTo(*place), false))
        };
        match feedback {
            Feedback::Sight(sight) => {
                let here = sight.receptacle;
                let refused = matches!(progress.failed(), Some(Command::Place { receptacle, .. }) if receptacle == here);
                match sight.visible() {
                    _ if refused || !fits(&here) => go_on(Some(here)),
                    true => (self.place(object, here), true),
                    false => (Command::Open(here), false),
                }
            }
            Feedback::Shut(here) => (Command::Open(*here), false),
            Feedback::NothingHappens => match progress.failed() {
                Some(Command::GoTo(place)) => (Command::Examine(place), false),
                Some(Command::Place { object: tried, receptacle, .. }) if tried != object => {
                    (self.place(object, receptacle), true)
                }
                Some(
                    Command::Open(place)
                    | Command::Close(place)
                    | Command::Examine(place)
                    | Command::Place { receptacle: place, .. },
                ) => go_on(Some(place)),
                _ => go_on(None),
            },
            _ => go_on(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use stepladder_core::label::Expert;
    use stepladder_core::{Observation, Query};

    use crate::AlfworldExpert;

    const ROOM: &str =
        "Looking quickly around you, you see a drawer 1, a sidetable 1, a sofa 1, and a tvstand 1.";

    /// Returns the actions and the last progress text of a subtask with the given answers.
    fn play(subtask: &str, answers: &[&str]) -> (Vec<String>, String) {
        let expert = AlfworldExpert::default();
        let mut progress = "None".to_owned();
        let mut replies = Vec::new();
        for pair in answers.windows(2) {
            let seen = |feedback: &str| Observation { feedback: feedback.into(), context: ROOM.into() };
            let reply = expert
                .reply(&Query::Executor {
                    subtask: subtask.into(),
                    observation: seen(pair[0]),
                    progress: progress.clone(),
                })
                .unwrap();
            let action = reply.rsplit_once("; ").unwrap().0.to_owned();
            progress = expert
                .reply(&Query::Progress {
                    subtask: subtask.into(),
                    progress,
                    action,
                    observation: seen(pair[1]),
                })
                .unwrap();
            replies.push(reply);
        }
        (replies, progress)
    }

    #[test]
    fn the_hand_is_asked_and_freed() {
        let (replies, progress) = play(
            "put away the vase",
            &[
                "You turn on the desklamp 1.",
                "You are carrying: a vase 2.",
                "Nothing happens.",
                "On the sidetable 1, you see a desklamp 1.",
                "You move the vase 2 to the sidetable 1.",
            ],
        );
        let place = replies[1].strip_prefix("go to ").unwrap().strip_suffix("; False").unwrap();
        assert_ne!(place, "tvstand 1", "the domain does not let a vase be put there");
        assert_eq!(replies[0], "inventory; False");
        assert_eq!(replies[2], format!("examine {place}; False"));
        assert_eq!(replies[3], "move vase 2 to sidetable 1; True");
        assert_eq!(progress, "Put vase 2 in sidetable 1.");
    }

    #[test]
    fn an_empty_hand_gives_the_subtask_back() {
        let answers = ["You turn on the desklamp 1.", "You are not carrying anything.", "look"];
        let (replies, _) = play("put away the vase", &answers);
        assert_eq!(replies, ["inventory; False", "look; True"]);
    }
}
