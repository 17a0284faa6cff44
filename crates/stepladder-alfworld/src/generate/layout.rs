//! Draws the furniture of a room: receptacles, their doors and shared locations.

use std::collections::BTreeMap;

use rand::RngExt;
use stepladder_core::seed::Rng;

use super::draw::weighted;
use super::household::Task;
use super::tables::{AND, RoomTables};

/// Kinds whose number varies by one around the drawn number if that is at least three, so that rooms have combinations
/// unknown to official floor plans.
const VARIED: &[&str] = &["Cabinet", "Drawer", "Shelf"];

/// A receptacle without a name.
#[derive(Debug)]
pub(super) struct Furniture {
    pub(super) kind: String,
    pub(super) openable: bool,
    /// Group; receptacles of one group share a location.
    pub(super) group: usize,
}

/// A furnished room.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) receptacles: Vec<Furniture>,
    pub(super) groups: usize,
}

impl Layout {
    pub(super) fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for receptacle in &self.receptacles {
            *counts.entry(receptacle.kind.as_str()).or_default() += 1;
        }
        counts
    }
}

impl RoomTables {
    /// Fraction of rooms with at least `number` receptacles of a kind.
    pub(super) fn presence(&self, kind: &str, number: usize) -> f64 {
        self.mean_over(kind, |seen| f64::from(seen >= number))
    }

    /// Mean of a function of the number of receptacles of a kind.
    pub(super) fn mean_over(&self, kind: &str, value: impl Fn(usize) -> f64) -> f64 {
        for combinations in &self.receptacles {
            if let Some(at) = combinations.kinds.iter().position(|known| known == kind) {
                let sum: f64 =
                    combinations.seen.iter().map(|(seen, games)| f64::from(*games) * value(seen[at])).sum();
                let games: u32 = combinations.seen.iter().map(|(_, games)| games).sum();
                return sum / f64::from(games.max(1));
            }
        }
        0.0
    }
}

/// Draws a room with the goal receptacle and device of every task.
pub(super) fn draw(room: &RoomTables, tasks: &[Task], rng: &mut Rng) -> Layout {
    let mut receptacles = Vec::new();
    for combinations in &room.receptacles {
        let least: Vec<usize> = combinations.kinds.iter().map(|kind| least_needed(kind, tasks)).collect();
        let fits = |seen: &[usize]| seen.iter().zip(&least).all(|(number, least)| number >= least);
        let drawn = weighted(
            rng,
            &combinations.seen,
            |(seen, games)| if fits(seen) { f64::from(*games) } else { 0.0 },
        );
        let drawn = drawn.map_or(&least, |(seen, _)| seen);
        for (kind, &number) in combinations.kinds.iter().zip(drawn) {
            let number = if number >= 3 && VARIED.contains(&kind.as_str()) {
                // -1, 0, 0, +1 keeps the mean.
                (number + [0, 1, 1, 2][rng.random_range(0..4)]) - 1
            } else {
                number
            };
            let door = room.openable.get(kind).map_or(0.0, |[open, all]| f64::from(*open) / f64::from(*all));
            for _ in 0..number {
                let openable = rng.random::<f64>() < door;
                receptacles.push(Furniture { kind: kind.clone(), openable, group: 0 });
            }
        }
    }
    let groups = draw_groups(room, &mut receptacles, rng);
    Layout { receptacles, groups }
}

fn least_needed(kind: &str, tasks: &[Task]) -> usize {
    usize::from(tasks.iter().any(|task| task.place == kind || task.family.device() == Some(kind)))
}

/// Joins neighbours of one kind at the observed rate; then, for every pair of kinds, a group with one and a group with
/// the other at the observed rate.
fn draw_groups(room: &RoomTables, receptacles: &mut [Furniture], rng: &mut Rng) -> usize {
    let rate = |first: &str, second: &str| {
        room.shared
            .get(&format!("{first}{AND}{second}"))
            .map_or(0.0, |[seen, chances]| f64::from(*seen) / f64::from((*chances).max(1)))
    };
    let mut groups = 0;
    for index in 0..receptacles.len() {
        let joins = index > 0
            && receptacles[index - 1].kind == receptacles[index].kind
            && rng.random::<f64>() < rate(&receptacles[index].kind, &receptacles[index].kind);
        if !joins {
            groups += 1;
        }
        receptacles[index].group = groups - 1;
    }
    for (pair, [seen, chances]) in &room.shared {
        let Some((first, second)) = pair.split_once(AND) else { continue };
        if first == second || rng.random::<f64>() * f64::from((*chances).max(1)) >= f64::from(*seen) {
            continue;
        }
        let mut pick = |kind: &str| {
            let of_kind: Vec<usize> = receptacles
                .iter()
                .filter(|receptacle| receptacle.kind == kind)
                .map(|one| one.group)
                .collect();
            (!of_kind.is_empty()).then(|| of_kind[rng.random_range(0..of_kind.len())])
        };
        if let (Some(kept), Some(gone)) = (pick(first), pick(second)) {
            for receptacle in receptacles.iter_mut().filter(|receptacle| receptacle.group == gone) {
                receptacle.group = kept;
            }
        }
    }
    groups
}
