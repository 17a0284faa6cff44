//! The mutable state of a game.

use crate::bits::BitMatrix;
use crate::ids::{LocationId, ObjectId, ReceptacleId};

/// Permanent property that an action gives to an object.
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

/// The mutable state of a game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) location: LocationId,
    pub(crate) holds: Option<ObjectId>,
    /// One row: opened receptacles.
    pub(crate) opened: BitMatrix,
    /// (property, object)
    pub(crate) properties: BitMatrix,
    /// (receptacle, object): is in it. An object may be in several receptacles at once (a sink and its basin).
    pub(crate) contents: BitMatrix,
    /// (receptacle, object): was taken from it and not put back. `look` reports such objects as being on the floor when
    /// they are elsewhere at the same location.
    pub(crate) taken: BitMatrix,
    /// (location, object): is there. Separate from `contents` because official games contain contradictions between the
    /// two.
    pub(crate) lying: BitMatrix,
    /// Number of goals of a chain that are permanently reached; the index of the current goal.
    pub(crate) reached: usize,
}

impl State {
    /// Copies another state of the same game, without allocating.
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

    pub(crate) fn set(&mut self, property: Property, object: ObjectId, value: bool) {
        self.properties.set(property as usize, object.index(), value);
    }
}
