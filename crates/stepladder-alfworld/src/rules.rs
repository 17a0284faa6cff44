//! Preconditions and effects of actions.

use crate::action::Action;
use crate::game::Game;
use crate::ids::{ObjectId, ReceptacleId};
use crate::state::{Property, State};

impl State {
    pub(crate) fn is_here(&self, game: &Game, receptacle: ReceptacleId) -> bool {
        game.receptacles[receptacle.index()].location == Some(self.location)
    }

    /// Whether a receptacle is open or has no door.
    pub(crate) fn is_accessible(&self, game: &Game, receptacle: ReceptacleId) -> bool {
        !game.receptacles[receptacle.index()].openable || self.is_open(receptacle)
    }

    /// Whether an action is possible in this state.
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

    /// Executes an action that is possible.
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
}
