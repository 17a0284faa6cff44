//! Everything that changes during a game.

use crate::bits::BitMatrix;
use crate::ids::{LocationId, ObjectId, ReceptacleId};

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

    pub(crate) fn set(&mut self, property: Property, object: ObjectId, value: bool) {
        self.properties.set(property as usize, object.index(), value);
    }
}
