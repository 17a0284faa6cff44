//! Draws what has to be done.

use rand::RngExt;
use stepladder_core::seed::Rng;

use super::GenerateError;
use super::draw::weighted_by;
use super::household::{Family, Household, Room, Task};
use super::tables::Tables;

/// A task, where it is to be done, and which of the two sentences says it.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) task: Task,
    pub(super) room: Room,
    pub(super) second_wording: bool,
}

/// Draws a task with its official frequency.
pub(super) fn draw(tables: &Tables, family: Option<Family>, rng: &mut Rng) -> Result<Drawn, GenerateError> {
    let rows = tables
        .tasks
        .iter()
        .filter(|(known, _)| family.is_none_or(|family| family == **known))
        .flat_map(|(family, rooms)| rooms.iter().map(move |(room, targets)| (family, room, targets)))
        .flat_map(|(family, room, targets)| {
            targets.iter().map(move |(target, places)| (family, room, target, places))
        })
        .flat_map(|(family, room, target, places)| {
            places.iter().map(move |(place, games)| (*family, *room, target, place, *games))
        });
    let (family, room, target, place, _) =
        weighted_by(rng, rows, |(_, _, _, _, games)| f64::from(*games)).ok_or(GenerateError::NoTasks)?;
    let task = Task { family, target: target.clone(), place: place.clone() };
    Ok(Drawn { task, room, second_wording: rng.random() })
}

/// The objects that the walkthrough takes out of a fridge are cool already, as in official games. Where cooling is the
/// task none starts there.
pub(super) fn chill(household: &mut Household, task: &Task, targets: &[usize]) {
    if task.family == Family::Cool {
        return;
    }
    for &target in targets {
        let object = &mut household.objects[target];
        object.cool = object.inside.iter().any(|&index| household.receptacles[index].kind == "Fridge");
    }
}
