//! Freeing the hand between two goals.

use super::executor::{GIVE_BACK, Move};
use super::{AlfworldExpert, Note, Progress};
use crate::view::{Command, Entity, Feedback, Room};

impl AlfworldExpert {
    /// Ask what the hand holds, walk to where such things usually lie, put it down.
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
        let fits = |place: &Entity<'_>| self.prior.can_hold(place.kind, object.kind);
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
