//! Draws the contents of a furnished room.

use std::collections::BTreeMap;

use rand::RngExt;
use stepladder_core::seed::Rng;

use super::draw::{weighted, weighted_by};
use super::household::{Family, Object, Task};
use super::layout::Layout;
use super::tables::{AND, FLOOR, RoomTables, Tables};

/// Fixtures that come with a receptacle, one each, in every official room.
const FIXTURES: &[(&str, &str)] = &[
    ("Sink", "SinkBasin"),
    ("Bathtub", "BathtubBasin"),
    ("StoveKnob", "StoveBurner"),
    ("LaundryHamperLid", "LaundryHamper"),
];

/// Attraction of `number` receptacles of one kind for objects: the fourth root, because twice as many cabinets do not
/// hold twice as many objects. In official kitchens, the proportion of objects in cabinets does not grow with their
/// number at all, that on counter tops with its square root. (Roots, unlike powers, are bit-equal on every platform.)
pub(super) fn attraction(number: usize) -> f64 {
    (number as f64).sqrt().sqrt()
}

/// A start place and its weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice<'t> {
    pub(super) place: &'t str,
    pub(super) weight: f64,
}

/// Returns the possible start places of an object of `kind` in a room with these receptacles.
pub(super) fn choices<'t>(
    room: &'t RoomTables,
    kind: &str,
    counts: &BTreeMap<&str, usize>,
) -> Vec<Choice<'t>> {
    let Some(object) = room.objects.get(kind) else { return Vec::new() };
    let count = |kind: &str| counts.get(kind).copied().unwrap_or(0);
    let mut choices = Vec::with_capacity(object.at.len());
    for (place, &seen) in &object.at {
        let mut weight = f64::from(seen);
        if place != FLOOR {
            weight *= match place.split_once(AND) {
                None if count(place) == 0 => 0.0,
                None => attraction(count(place)) / room.mean_over(place, attraction),
                Some((one, two)) => {
                    let needed = if one == two { 2 } else { 1 };
                    f64::from(count(one) >= needed && count(two) >= needed)
                        / room.presence(one, needed).min(room.presence(two, needed))
                }
            };
        }
        // A kind without counted games has no usual number, hence no finite weight.
        if weight.is_finite() && weight > 0.0 {
            choices.push(Choice { place, weight });
        }
    }
    choices
}

/// Adjusts the choices for an object of the target kind: applies the family's hiding factors, and excludes goal
/// receptacles where official games do.
pub(super) fn aim(choices: &mut Vec<Choice<'_>>, hiding: Option<&BTreeMap<String, f64>>, task: &Task) {
    for choice in choices.iter_mut() {
        for kind in choice.place.split(AND) {
            choice.weight *= hiding.and_then(|factors| factors.get(kind)).copied().unwrap_or(1.0);
            if task.family.starts_away_from_goal() && kind == task.place {
                choice.weight = 0.0;
            }
        }
    }
    choices.retain(|choice| choice.weight > 0.0);
}

/// An object without a name.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kind: String,
    /// Indices of its receptacles; empty for an object out of reach.
    pub(super) inside: Vec<usize>,
}

/// Draws the objects of a room.
pub(super) fn draw(
    tables: &Tables,
    room: &RoomTables,
    layout: &Layout,
    tasks: &[Task],
    rng: &mut Rng,
) -> Vec<Item> {
    let counts = layout.counts();
    let mut free: Vec<usize> = layout
        .receptacles
        .iter()
        .map(|receptacle| tables.capacity.get(&receptacle.kind).copied().unwrap_or(0))
        .collect();
    let mut items = Vec::new();
    for (kind, object) in &room.objects {
        let target_of = tasks.iter().find(|task| task.target == *kind);
        let fixture = FIXTURES.iter().find(|(fixture, _)| fixture == kind);
        let number = match fixture {
            Some((_, receptacle)) => counts.get(receptacle).copied().unwrap_or(0),
            None => {
                let least = least_needed(kind, tasks);
                let counts = match target_of {
                    Some(task) if task.family.needed() > 1 => &object.pair_count,
                    Some(_) => &object.target_count,
                    None => &object.count,
                };
                weighted_by(rng, counts.iter().enumerate().skip(least), |(_, seen)| f64::from(**seen))
                    .map_or(least, |(number, _)| number)
            }
        };
        let mut choices = choices(room, kind, &counts);
        if let Some(task) = target_of {
            aim(&mut choices, tables.hiding.get(&task.family), task);
        }
        for _ in 0..number {
            let Some(choice) = weighted(rng, &choices, |choice| choice.weight) else { continue };
            if let Some(inside) = settle(choice.place, layout, &mut free, rng) {
                items.push(Item { kind: kind.clone(), inside });
            }
        }
    }
    items
}

fn least_needed(kind: &str, tasks: &[Task]) -> usize {
    let mut least = 0;
    for task in tasks {
        if task.target == kind {
            least = least.max(task.family.needed());
        }
        if task.family == Family::Look && task.place == kind {
            least = least.max(1);
        }
    }
    least
}

/// Selects receptacles for a start place. `None` if all are full.
fn settle(place: &str, layout: &Layout, free: &mut [usize], rng: &mut Rng) -> Option<Vec<usize>> {
    if place == FLOOR {
        return Some(Vec::new());
    }
    let mut inside: Vec<usize> = Vec::with_capacity(2);
    for kind in place.split(AND) {
        let open = |index: &usize| {
            layout.receptacles[*index].kind == kind && free[*index] > 0 && !inside.contains(index)
        };
        let candidates: Vec<usize> = (0..layout.receptacles.len()).filter(open).collect();
        if candidates.is_empty() {
            return None;
        }
        // An object in two receptacles is put into neighbours, if there are any.
        let near: Vec<usize> = candidates
            .iter()
            .copied()
            .filter(|&index| {
                inside.iter().any(|&other| layout.receptacles[other].group == layout.receptacles[index].group)
            })
            .collect();
        let from = if near.is_empty() { &candidates } else { &near };
        inside.push(from[rng.random_range(0..from.len())]);
    }
    for &index in &inside {
        free[index] -= 1;
    }
    Some(inside)
}

/// Puts some objects into others in the same receptacle, at the observed rate of their kinds.
pub(super) fn nest(room: &RoomTables, objects: &mut [Object], rng: &mut Rng) {
    let outers: Vec<usize> = (0..objects.len())
        .filter(|&index| !objects[index].inside.is_empty() && room.nested.contains_key(&objects[index].kind))
        .collect();
    for outer in outers {
        let Some(rates) = room.nested.get(&objects[outer].kind) else { continue };
        for inner in (0..objects.len()).filter(|&inner| inner != outer) {
            let Some([seen, pairs]) = rates.get(&objects[inner].kind) else { continue };
            let together =
                objects[inner].inside.iter().any(|receptacle| objects[outer].inside.contains(receptacle));
            if together && rng.random::<f64>() * f64::from(*pairs) < f64::from(*seen) {
                objects[inner].nested.push(outer);
            }
        }
    }
}
