//! Assigns coordinates to a drawn room, and thereby the names in the facts. The names determine the numbers in
//! observations: of the names of one kind, the last in order gets number 1.

use std::collections::HashSet;
use std::fmt::Write as _;

use rand::RngExt;
use stepladder_core::seed::Rng;

use super::contents::{self, Item};
use super::household::{Household, Object, Receptacle, Room};
use super::layout::Layout;
use super::tables::RoomTables;

/// Half the width and depth of a room, in centimetres.
const HALF: i32 = 300;

/// Largest distance, in centimetres, between receptacles of one location and between objects of one receptacle.
const NEAR: i32 = 20;

struct Names<'r> {
    taken: HashSet<String>,
    rng: &'r mut Rng,
}

impl Names<'_> {
    fn around(&mut self, (x, y, z): (i32, i32, i32)) -> (i32, i32, i32) {
        let mut near = |centre: i32| centre + self.rng.random_range(-NEAR..=NEAR);
        (near(x), (near(y)).max(0), near(z))
    }

    fn anywhere(&mut self) -> (i32, i32, i32) {
        let mut across = || self.rng.random_range(-HALF..=HALF);
        let (x, z) = (across(), across());
        (x, self.rng.random_range(0..200), z)
    }

    /// Names an entity of a kind at a free point near `centre`.
    fn entity(&mut self, kind: &str, centre: (i32, i32, i32)) -> (String, (i32, i32, i32)) {
        let (stem, suffix) = match kind.strip_suffix("Basin") {
            Some(stem) => (stem, format!("_bar_{kind}")),
            None => (kind, String::new()),
        };
        loop {
            let point = self.around(centre);
            let mut name = stem.to_owned();
            for value in [point.0, point.1, point.2] {
                name.push_str("_bar_");
                coordinate(&mut name, value);
            }
            name.push_str(&suffix);
            if self.taken.insert(name.clone()) {
                return (name, point);
            }
        }
    }

    /// Names a location near `centre`: grid cells of 25 cm, a direction and an angle of view.
    fn location(&mut self, centre: (i32, i32, i32)) -> String {
        loop {
            let point = self.around(centre);
            let facing = self.rng.random_range(0..4);
            let down = [-30, -15, 0, 15, 30, 45, 60][self.rng.random_range(0..7)];
            let mut name = "loc".to_owned();
            for value in [point.0 / 25, point.2 / 25, facing, down] {
                name.push_str("_bar_");
                if value < 0 {
                    name.push_str("_minus_");
                }
                let _ = write!(name, "{}", value.abs());
            }
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// Writes `_plus_01_dot_25` for 125 cm; zero has no sign.
fn coordinate(name: &mut String, centimetres: i32) {
    name.push_str(match centimetres {
        0 => "",
        1.. => "_plus_",
        _ => "_minus_",
    });
    let size = centimetres.abs();
    let _ = write!(name, "{:02}_dot_{:02}", size / 100, size % 100);
}

/// Names everything; receptacles and objects are sorted by name.
pub(super) fn name(
    room: Room,
    tables: &RoomTables,
    layout: &Layout,
    items: &[Item],
    rng: &mut Rng,
) -> Household {
    let mut names = Names { taken: HashSet::new(), rng };
    let mut locations = Vec::new();
    let mut group_location = vec![None; layout.groups];
    let mut group_centre = vec![None; layout.groups];
    let mut placed = Vec::with_capacity(layout.receptacles.len());
    for (index, furniture) in layout.receptacles.iter().enumerate() {
        let centre = *group_centre[furniture.group].get_or_insert_with(|| names.anywhere());
        let location = *group_location[furniture.group].get_or_insert_with(|| {
            locations.push(names.location(centre));
            locations.len() - 1
        });
        let (id, point) = names.entity(&furniture.kind, centre);
        let receptacle =
            Receptacle { kind: furniture.kind.clone(), id, location, openable: furniture.openable };
        placed.push((receptacle, point, index));
    }
    let reached = locations.len();
    let points: Vec<(i32, i32, i32)> = placed.iter().map(|(_, point, _)| *point).collect();
    placed.sort_by(|one, two| one.0.id.cmp(&two.0.id));
    let mut sorted_at = vec![0; placed.len()];
    for (sorted, (_, _, index)) in placed.iter().enumerate() {
        sorted_at[*index] = sorted;
    }
    let receptacles: Vec<Receptacle> = placed.into_iter().map(|(receptacle, _, _)| receptacle).collect();
    let here = f64::from(tables.floor_here[0]) / f64::from(tables.floor_here[1].max(1));
    let mut objects: Vec<Object> = Vec::with_capacity(items.len());
    for item in items {
        let inside: Vec<usize> = item.inside.iter().map(|&index| sorted_at[index]).collect();
        let (centre, location) = match (item.inside.first(), inside.first()) {
            (Some(&index), Some(&sorted)) => (points[index], receptacles[sorted].location),
            _ if reached > 0 && names.rng.random::<f64>() < here => {
                (names.anywhere(), names.rng.random_range(0..reached))
            }
            _ => {
                let centre = names.anywhere();
                locations.push(names.location(centre));
                (centre, locations.len() - 1)
            }
        };
        let (id, _) = names.entity(&item.kind, centre);
        objects.push(Object {
            kind: item.kind.clone(),
            id,
            inside,
            nested: Vec::new(),
            location: Some(location),
            cool: false,
        });
    }
    objects.sort_by(|one, two| one.id.cmp(&two.id));
    contents::nest(tables, &mut objects, names.rng);
    let centre = names.anywhere();
    locations.push(names.location(centre));
    Household { room, start: locations.len() - 1, locations, receptacles, objects }
}
