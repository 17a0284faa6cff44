//! The executor: the next action, and whether it completes the subtask.

use super::{AlfworldExpert, Note, Progress, Subtask};
use crate::view::{Command, Entity, Feedback, Lid, Room, Sight, Treatment};

/// An action and whether it completes the subtask.
pub(super) type Move<'a> = (Command<'a>, bool);

/// Ends a subtask that is complete or impossible, so that the planner decides again.
pub(super) const GIVE_BACK: Move<'static> = (Command::Look, true);

impl AlfworldExpert {
    /// Returns the next action.
    pub(super) fn act<'a>(
        &self,
        subtask: &'a str,
        feedback: &Feedback<'a>,
        progress: &'a str,
        room: &Room<'a>,
    ) -> Move<'a> {
        let progress = Progress::parse(progress);
        match Subtask::parse(subtask) {
            Some(Subtask::Treat { treatment, object }) => {
                self.treat(treatment, object, feedback, &progress, room)
            }
            Some(Subtask::Put { object, receptacle }) => self.put(object, receptacle, feedback, &progress),
            Some(Subtask::PutAway { kind }) => self.put_away(kind, feedback, &progress, room),
            Some(subtask) => Search { expert: self, subtask, progress: &progress, room }.act(feedback),
            None => GIVE_BACK,
        }
    }

    pub(super) fn place<'a>(&self, object: Entity<'a>, receptacle: Entity<'a>) -> Command<'a> {
        Command::Place { object, receptacle, wording: self.wording }
    }

    /// Heats, cleans or cools the held object.
    fn treat<'a>(
        &self,
        treatment: Treatment,
        object: Entity<'a>,
        feedback: &Feedback<'a>,
        progress: &Progress<'a>,
        room: &Room<'a>,
    ) -> Move<'a> {
        let devices = treatment.devices();
        let device = devices
            .iter()
            .find_map(|kind| room.numbers(kind).first().map(|number| Entity::new(kind, *number)))
            .unwrap_or(Entity::new(devices[0], 1));
        let treat_at = |device| (Command::Treat { treatment, object, device }, true);
        match feedback {
            Feedback::Placed { object: dropped, receptacle } if *dropped == object => {
                (Command::Take { object, receptacle: *receptacle }, false)
            }
            Feedback::Placed { .. } => (Command::Inventory, false),
            Feedback::PickedUp { object: other, receptacle } if *other != object => {
                (self.place(*other, *receptacle), false)
            }
            Feedback::Treated { treatment: done, object: other, .. }
                if *done == treatment && *other == object =>
            {
                GIVE_BACK
            }
            Feedback::Carrying(_) => GIVE_BACK,
            _ => match (feedback.here(), progress.failed()) {
                (Some(here), _) if devices.contains(&here.kind) => treat_at(here),
                (None, Some(Command::GoTo(there))) if devices.contains(&there.kind) => treat_at(there),
                (None, Some(Command::Treat { .. })) => (Command::Inventory, false),
                (None, _) if matches!(progress.note, Note::HandEmpty) => GIVE_BACK,
                _ => (Command::GoTo(device), false),
            },
        }
    }

    /// Puts the held object down.
    fn put<'a>(
        &self,
        object: Entity<'a>,
        target: Entity<'a>,
        feedback: &Feedback<'a>,
        progress: &Progress<'a>,
    ) -> Move<'a> {
        let go = (Command::GoTo(target), false);
        let examine = (Command::Examine(target), false);
        match feedback {
            Feedback::Sight(Sight { receptacle, lid, .. }) if *receptacle == target => match lid {
                Lid::Closed => (Command::Open(target), false),
                _ if matches!(progress.failed(), Some(Command::Place { .. })) => (Command::Inventory, false),
                _ => (self.place(object, target), true),
            },
            Feedback::Shut(receptacle) if *receptacle == target => (Command::Open(target), false),
            Feedback::Treated { device, .. } if *device == target => examine,
            Feedback::PickedUp { object: other, receptacle } if *other != object => {
                (self.place(*other, *receptacle), false)
            }
            Feedback::PickedUp { receptacle, .. } if *receptacle == target => {
                (self.place(object, target), true)
            }
            Feedback::Placed { object: dropped, receptacle } if *dropped == object => {
                if *receptacle == target {
                    GIVE_BACK
                } else {
                    (Command::Take { object, receptacle: *receptacle }, false)
                }
            }
            Feedback::Placed { .. } => (Command::Inventory, false),
            Feedback::Carrying(_) => GIVE_BACK,
            Feedback::NothingHappens => match progress.failed() {
                Some(Command::GoTo(place) | Command::Open(place)) if place == target => examine,
                Some(Command::Place { receptacle, .. }) if receptacle == target => examine,
                _ => go,
            },
            _ if matches!(progress.note, Note::HandEmpty) => GIVE_BACK,
            _ => go,
        }
    }
}

/// Search for an object to pick up or a device to switch on.
struct Search<'a, 'r> {
    expert: &'r AlfworldExpert,
    subtask: Subtask<'a>,
    progress: &'r Progress<'a>,
    room: &'r Room<'a>,
}

impl<'a> Search<'a, '_> {
    fn kind(&self) -> &'a str {
        match self.subtask {
            Subtask::Find { kind }
            | Subtask::FindNew { kind, .. }
            | Subtask::FindUse { kind }
            | Subtask::PutAway { kind } => kind,
            Subtask::Treat { object, .. } | Subtask::Put { object, .. } => object.kind,
        }
    }

    /// Returns an object in the hand that must be put down first. `None` while looking for a lamp, when the held object
    /// is the right one.
    fn wrong_in_hand(&self) -> Option<Entity<'a>> {
        self.progress.held.filter(|object| !self.uses() && !self.subtask.wants(*object))
    }

    fn uses(&self) -> bool {
        matches!(self.subtask, Subtask::FindUse { .. })
    }

    fn act(&self, feedback: &Feedback<'a>) -> Move<'a> {
        if self.progress.held.is_some_and(|object| self.subtask.wants(object)) {
            return GIVE_BACK;
        }
        match feedback {
            Feedback::Sight(sight) => self.look_at(sight),
            Feedback::Shut(receptacle) => (Command::Open(*receptacle), false),
            Feedback::PickedUp { object, receptacle } if !self.uses() => {
                if self.subtask.wants(*object) {
                    GIVE_BACK
                } else {
                    (self.expert.place(*object, *receptacle), false)
                }
            }
            Feedback::Placed { object, receptacle } if self.uses() => {
                (Command::Take { object: *object, receptacle: *receptacle }, false)
            }
            Feedback::Placed { object, receptacle } => match self.subtask {
                Subtask::FindNew { placed, .. } if placed == *object => self.next(None, Some(*receptacle)),
                Subtask::Find { .. } if self.progress.note == Note::Fresh => {
                    self.next(None, Some(*receptacle))
                }
                _ => (Command::Examine(*receptacle), false),
            },
            Feedback::TurnedOn(thing) if self.uses() && thing.kind == self.kind() => GIVE_BACK,
            Feedback::NothingHappens => self.recover(),
            _ => self.by_note(feedback.here()),
        }
    }

    /// Acts on the description of a receptacle.
    fn look_at(&self, sight: &Sight<'a>) -> Move<'a> {
        let here = sight.receptacle;
        if !sight.visible() {
            let known = self.progress.checked.contains(&here) && self.unchecked(Some(here)).is_some();
            return if known { self.next(Some(here), None) } else { (Command::Open(here), false) };
        }
        if let Some(object) = self.wrong_in_hand() {
            return if self.expert.prior.can_hold(here.kind, object.kind) {
                (self.expert.place(object, here), false)
            } else {
                self.put_away(object, Some(here))
            };
        }
        let found = sight
            .items
            .iter()
            .find(|item| if self.uses() { item.kind == self.kind() } else { self.subtask.wants(**item) });
        match (found, self.progress.failed()) {
            (Some(lamp), Some(Command::Use(tried))) if *lamp == tried => self.next(Some(here), None),
            (Some(lamp), _) if self.uses() => (Command::Use(*lamp), true),
            // The object is here but could not be taken, so the hand is not empty.
            (Some(object), Some(Command::Take { object: tried, receptacle }))
                if *object == tried && receptacle == here =>
            {
                (Command::Inventory, false)
            }
            (Some(object), _) => (Command::Take { object: *object, receptacle: here }, true),
            (None, _) => self.next(Some(here), None),
        }
    }

    /// Acts after an action without effect.
    fn recover(&self) -> Move<'a> {
        let known = |place: &Entity<'a>| self.progress.checked.contains(place);
        match self.progress.failed() {
            Some(Command::GoTo(place)) => (Command::Examine(place), false),
            Some(Command::Examine(place) | Command::Open(place) | Command::Close(place)) => {
                if known(&place) {
                    self.next(Some(place), None)
                } else {
                    (Command::GoTo(place), false)
                }
            }
            Some(Command::Take { receptacle, .. }) => (Command::Examine(receptacle), false),
            Some(Command::Place { .. }) => (Command::Inventory, false),
            // The action that ended the last subtask failed, often because of the held object.
            None if self.progress.note == Note::Fresh && !self.uses() => (Command::Inventory, false),
            // The last description is lost: examine the last checked receptacle again.
            _ => match self.progress.checked.last() {
                Some(place) => (Command::Examine(*place), false),
                None => self.next(None, None),
            },
        }
    }

    /// Acts on the progress text, where the answer does not decide.
    fn by_note(&self, here: Option<Entity<'a>>) -> Move<'a> {
        if let Some(object) = self.wrong_in_hand() {
            return self.put_away(object, here);
        }
        match self.progress.note {
            Note::PickedUp { object, .. } if self.subtask.wants(object) => GIVE_BACK,
            Note::Used(thing) if self.uses() && thing.kind == self.kind() => GIVE_BACK,
            Note::Failed(_) => self.recover(),
            _ => self.next(None, here),
        }
    }

    /// Walks to a receptacle for a wrong object in the hand.
    fn put_away(&self, object: Entity<'a>, here: Option<Entity<'a>>) -> Move<'a> {
        let order = self.expert.prior.order(self.room, object.kind);
        let place = order.into_iter().find(|place| Some(*place) != here);
        place.map_or((Command::Look, false), |place| (Command::GoTo(place), false))
    }

    fn order(&self) -> Vec<Entity<'a>> {
        self.expert.prior.order(self.room, self.kind())
    }

    /// Whether a receptacle holds the object placed earlier: no second one can be there.
    fn excluded(&self, place: Entity<'_>) -> bool {
        matches!(self.subtask, Subtask::FindNew { at, .. } if at == place)
    }

    /// Returns the first unchecked receptacle, other than the visible one.
    fn unchecked(&self, seen: Option<Entity<'a>>) -> Option<Entity<'a>> {
        self.order().into_iter().find(|place| {
            Some(*place) != seen && !self.excluded(*place) && !self.progress.checked.contains(place)
        })
    }

    /// Moves to the next receptacle. `seen` is the visible one, `here` the agent's position if its contents are
    /// unknown.
    fn next(&self, seen: Option<Entity<'a>>, here: Option<Entity<'a>>) -> Move<'a> {
        if let Some(place) = self.unchecked(seen) {
            let command = if Some(place) == here { Command::Examine(place) } else { Command::GoTo(place) };
            return (command, false);
        }
        // All are checked: cycle through them again from here, without memory.
        let order = self.order();
        let current = order.iter().position(|place| Some(*place) == seen.or(here));
        let start = current.map_or(0, |index| index + 1);
        match (0..order.len())
            .map(|step| order[(start + step) % order.len()])
            .find(|place| !self.excluded(*place))
        {
            Some(place) if Some(place) == seen.or(here) => (Command::Examine(place), false),
            Some(place) => (Command::GoTo(place), false),
            None => (Command::Look, false),
        }
    }
}
