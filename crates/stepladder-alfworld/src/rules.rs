//! What can be done in which state, and what it changes.

use crate::action::Action;
use crate::bits::BitMatrix;
use crate::game::{Game, LocationId, ObjectId, ReceptacleId};
use crate::goal::Atom;

/// Something that can be done to an object and stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Property {
    Clean,
    Hot,
    Cool,
    Toggled,
    Sliced,
}

impl Property {
    pub(crate) const COUNT: usize = 5;

    pub(crate) fn of_predicate(name: &str) -> Option<Self> {
        Some(match name {
            "isclean" => Self::Clean,
            "ishot" => Self::Hot,
            "iscool" => Self::Cool,
            "istoggled" => Self::Toggled,
            "issliced" => Self::Sliced,
            _ => return None,
        })
    }
}

/// Everything that changes during a game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) location: LocationId,
    pub(crate) holds: Option<ObjectId>,
    /// One row: receptacles.
    pub(crate) opened: BitMatrix,
    /// (property, object)
    pub(crate) properties: BitMatrix,
    /// (receptacle, object): lies in. An object may lie in several receptacles at once (a sink and its basin).
    pub(crate) contents: BitMatrix,
    /// (receptacle, object): was taken from there and not put back there. `look` takes such objects for lying on the
    /// floor when they lie elsewhere at the same place.
    pub(crate) taken: BitMatrix,
    /// (location, object): is there. Kept beside `contents` because official games disagree about the two.
    pub(crate) lying: BitMatrix,
    /// How many goals of a chain have been reached for good: the number of the goal that counts now.
    pub(crate) reached: usize,
}

impl State {
    /// Becomes equal to another state of the same game, without allocating.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.location = other.location;
        self.holds = other.holds;
        self.opened.copy_from(&other.opened);
        self.properties.copy_from(&other.properties);
        self.contents.copy_from(&other.contents);
        self.taken.copy_from(&other.taken);
        self.lying.copy_from(&other.lying);
        self.reached = other.reached;
    }

    pub(crate) fn is(&self, property: Property, object: ObjectId) -> bool {
        self.properties.get(property as usize, object.index())
    }

    pub(crate) fn is_open(&self, receptacle: ReceptacleId) -> bool {
        self.opened.get(0, receptacle.index())
    }

    pub(crate) fn contains(&self, receptacle: ReceptacleId, object: ObjectId) -> bool {
        self.contents.get(receptacle.index(), object.index())
    }

    pub(crate) fn is_lying(&self, object: ObjectId) -> bool {
        self.lying.get(self.location.index(), object.index())
    }

    pub(crate) fn is_here(&self, game: &Game, receptacle: ReceptacleId) -> bool {
        game.receptacles[receptacle.index()].location == Some(self.location)
    }

    /// Not openable, or open.
    pub(crate) fn is_accessible(&self, game: &Game, receptacle: ReceptacleId) -> bool {
        !game.receptacles[receptacle.index()].openable || self.is_open(receptacle)
    }

    pub(crate) fn holds_atom(&self, atom: Atom) -> bool {
        match atom {
            Atom::AgentAt(location) => self.location == location,
            Atom::ObjectAt(object, location) => self.lying.get(location.index(), object.index()),
            Atom::In(object, receptacle) => self.contains(receptacle, object),
            Atom::Holds(object) => self.holds == Some(object),
            Atom::HoldsAny => self.holds.is_some(),
            Atom::Opened(receptacle) => self.is_open(receptacle),
            Atom::Is(property, object) => self.is(property, object),
        }
    }

    /// Whether an action is possible now.
    pub(crate) fn allows(&self, game: &Game, action: Action) -> bool {
        let object = |object: ObjectId| &game.objects[object.index()];
        let receptacle = |receptacle: ReceptacleId| &game.receptacles[receptacle.index()];
        match action {
            Action::Look | Action::Inventory => true,
            Action::Help => game.dialect.help,
            Action::GoTo(r) => receptacle(r).location.is_some_and(|location| location != self.location),
            Action::Open(r) => receptacle(r).openable && self.is_here(game, r) && !self.is_open(r),
            Action::Close(r) => receptacle(r).openable && self.is_here(game, r) && self.is_open(r),
            Action::Take(o, r) => {
                object(o).pickupable
                    && self.holds.is_none()
                    && self.is_here(game, r)
                    && self.is_accessible(game, r)
                    && self.contains(r, o)
            }
            Action::Put(o, r) => {
                self.holds == Some(o)
                    && self.is_here(game, r)
                    && self.is_accessible(game, r)
                    && game.accepts.get(r.index(), o.index())
            }
            Action::Clean(o, r) => {
                self.holds == Some(o) && object(o).cleanable && receptacle(r).cleans && self.is_here(game, r)
            }
            Action::Heat(o, r) => {
                self.holds == Some(o) && object(o).heatable && receptacle(r).heats && self.is_here(game, r)
            }
            Action::Cool(o, r) => {
                self.holds == Some(o) && object(o).coolable && receptacle(r).cools && self.is_here(game, r)
            }
            Action::Use(o) => {
                let here = &game.locations[self.location.index()].receptacles;
                object(o).toggleable && here.iter().any(|&r| self.contains(r, o))
            }
            Action::Slice(o, knife) => {
                object(o).sliceable && object(knife).cuts && self.holds == Some(knife) && self.is_lying(o)
            }
            Action::ExamineObject(o) => self.holds == Some(o),
            Action::ExamineReceptacle(r) => self.is_here(game, r),
        }
    }

    /// Carries out an action that is possible.
    pub(crate) fn apply(&mut self, game: &Game, action: Action) {
        match action {
            Action::Look
            | Action::Inventory
            | Action::Help
            | Action::ExamineObject(_)
            | Action::ExamineReceptacle(_) => {}
            Action::GoTo(r) => {
                self.location = game.receptacles[r.index()].location.unwrap_or(self.location);
            }
            Action::Open(r) => self.opened.set(0, r.index(), true),
            Action::Close(r) => self.opened.set(0, r.index(), false),
            Action::Take(o, r) => {
                self.contents.set(r.index(), o.index(), false);
                self.taken.set(r.index(), o.index(), true);
                self.lying.set(self.location.index(), o.index(), false);
                self.holds = Some(o);
            }
            Action::Put(o, r) => {
                self.contents.set(r.index(), o.index(), true);
                self.taken.set(r.index(), o.index(), false);
                self.lying.set(self.location.index(), o.index(), true);
                self.holds = None;
            }
            Action::Clean(o, _) => self.set(Property::Clean, o, true),
            Action::Heat(o, _) => {
                self.set(Property::Hot, o, true);
                self.set(Property::Cool, o, false);
            }
            Action::Cool(o, _) => {
                self.set(Property::Cool, o, true);
                self.set(Property::Hot, o, false);
            }
            Action::Use(o) => self.set(Property::Toggled, o, true),
            Action::Slice(o, _) => self.set(Property::Sliced, o, true),
        }
    }

    fn set(&mut self, property: Property, object: ObjectId, value: bool) {
        self.properties.set(property as usize, object.index(), value);
    }
}
