//! Actions of the engine.

use crate::ids::{ObjectId, ReceptacleId};

/// An action. Variants are in alphabetical order of the verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// `clean X with Y`
    Clean(ObjectId, ReceptacleId),
    /// `close Y`
    Close(ReceptacleId),
    /// `cool X with Y`
    Cool(ObjectId, ReceptacleId),
    /// `examine X`
    ExamineObject(ObjectId),
    /// `examine Y`
    ExamineReceptacle(ReceptacleId),
    /// `go to Y`
    GoTo(ReceptacleId),
    /// `heat X with Y`
    Heat(ObjectId, ReceptacleId),
    /// `help`
    Help,
    /// `inventory`
    Inventory,
    /// `look`
    Look,
    /// `move X to Y`, or `put X in/on Y` in the wording of alfworld 0.3
    Put(ObjectId, ReceptacleId),
    /// `open Y`
    Open(ReceptacleId),
    /// `slice X with K`
    Slice(ObjectId, ObjectId),
    /// `take X from Y`
    Take(ObjectId, ReceptacleId),
    /// `use X`
    Use(ObjectId),
}
