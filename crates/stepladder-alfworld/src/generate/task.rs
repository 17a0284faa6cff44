//! Draws tasks.

use rand::RngExt;
use stepladder_core::seed::Rng;

use super::GenerateError;
use super::chain::GoalCount;
use super::draw::weighted_by;
use super::household::{Family, Household, Room, Task};
use super::tables::Tables;

/// Goals of a game and their kind of room.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) room: Room,
    /// Tasks, in order.
    pub(super) tasks: Vec<Task>,
    /// Whether each task uses the second of its two wordings.
    pub(super) second_wording: Vec<bool>,
}

/// Draws goals with their official frequencies: the first from all, the others from those of the same kind of room.
///
/// The goals of a chain have different target kinds, so that no goal needs an object that another has put away. At most
/// one asks for light, because a lamp stays on.
pub(super) fn draw(
    tables: &Tables,
    family: Option<Family>,
    goals: GoalCount,
    rng: &mut Rng,
) -> Result<Drawn, GenerateError> {
    let (first, room) = draw_one(tables, rng, |drawn, _| family.is_none_or(|family| family == drawn.family))?;
    let mut drawn = Drawn { room, tasks: vec![first], second_wording: vec![rng.random()] };
    while drawn.tasks.len() < goals.get() {
        let (next, _) = draw_one(tables, rng, |next, room| {
            let disturbs = |task: &Task| {
                task.target == next.target || (task.family, next.family) == (Family::Look, Family::Look)
            };
            room == drawn.room && !drawn.tasks.iter().any(disturbs)
        })?;
        drawn.tasks.push(next);
        drawn.second_wording.push(rng.random());
    }
    Ok(drawn)
}

/// A possible goal without its place.
struct Candidate<'t> {
    family: Family,
    target: &'t str,
}

/// Draws one of the goals that `fits` accepts.
fn draw_one(
    tables: &Tables,
    rng: &mut Rng,
    fits: impl Fn(&Candidate<'_>, Room) -> bool,
) -> Result<(Task, Room), GenerateError> {
    let rows = tables
        .tasks
        .iter()
        .flat_map(|(family, rooms)| rooms.iter().map(move |(room, targets)| (*family, *room, targets)))
        .flat_map(|(family, room, targets)| {
            targets.iter().map(move |(target, places)| (Candidate { family, target }, room, places))
        })
        .filter(|(candidate, room, _)| fits(candidate, *room))
        .flat_map(|(Candidate { family, target }, room, places)| {
            places.iter().map(move |(place, games)| (family, room, target, place, *games))
        });
    let (family, room, target, place, _) =
        weighted_by(rng, Vec::from_iter(rows).into_iter(), |(_, _, _, _, games)| f64::from(*games))
            .ok_or(GenerateError::NoTasks)?;
    Ok((Task { family, target: target.to_owned(), place: place.clone() }, room))
}

/// Marks the objects that the walkthrough takes out of a fridge as cool, as in official games. In tasks of cooling,
/// none starts there.
pub(super) fn chill(household: &mut Household, task: &Task, targets: &[usize]) {
    if task.family == Family::Cool {
        return;
    }
    for &target in targets {
        let object = &mut household.objects[target];
        object.cool = object.inside.iter().any(|&index| household.receptacles[index].kind == "Fridge");
    }
}
