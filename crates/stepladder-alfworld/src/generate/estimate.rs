//! Estimates the generator's tables from a set of games. The committed tables come from the official training games;
//! estimates from generated games must approximately reproduce them.

use std::collections::{BTreeMap, BTreeSet};

use super::GenerateError;
use super::contents::{self, Choice};
use super::household::{Family, Household, Object, Room, Task, read_problem};
use super::tables::{AND, Combinations, FLOOR, Histogram, RoomTables, Tables};

/// Receptacle kinds that are counted jointly: a fitted wall has one or the other.
const TOGETHER: &[&[&str]] = &[&["Cabinet", "Drawer"]];

/// Iterations of the fit of [`Tables::hiding`]; the factors change by less than 1 % after the fifth.
const HIDING_ROUNDS: usize = 8;

/// Predicates that are properties of objects.
const PROPERTIES: &[&str] =
    &["pickupable", "isReceptacleObject", "cleanable", "heatable", "coolable", "toggleable", "sliceable"];

/// Counts tables over games, given as problem texts.
///
/// # Errors
/// [`GenerateError::Problem`] for a text that is not a household problem, [`GenerateError::NoGames`] for an empty set.
pub fn estimate<'a>(problems: impl IntoIterator<Item = &'a str>) -> Result<Tables, GenerateError> {
    let mut kinds = KindCounts::default();
    let mut games: Vec<(Household, Task)> = Vec::new();
    for problem in problems {
        let game = read_problem(problem)?;
        kinds.add(problem, &game.0);
        games.push(game);
    }
    if games.is_empty() {
        return Err(GenerateError::NoGames);
    }
    let mut tables = Tables {
        games: games.len() as u32,
        object_kinds: kinds.declared("otype"),
        receptacle_kinds: kinds.declared("rtype"),
        properties: kinds.properties(),
        contains: kinds.contains.iter().map(|(r, o)| (r.clone(), o.iter().cloned().collect())).collect(),
        capacity: BTreeMap::new(),
        rooms: BTreeMap::new(),
        tasks: BTreeMap::new(),
        hiding: BTreeMap::new(),
    };
    for (household, task) in &games {
        let room = tables.tasks.entry(task.family).or_default().entry(household.room).or_default();
        *room.entry(task.target.clone()).or_default().entry(task.place.clone()).or_default() += 1;
        let mut filled = vec![0; household.receptacles.len()];
        for object in household.objects.iter().flat_map(|object| &object.inside) {
            filled[*object] += 1;
        }
        for (receptacle, filled) in household.receptacles.iter().zip(filled) {
            let capacity = tables.capacity.entry(receptacle.kind.clone()).or_default();
            *capacity = filled.max(*capacity);
        }
    }
    for room in Room::ALL {
        let inside: Vec<(&Household, &Task)> = games
            .iter()
            .map(|(household, task)| (household, task))
            .filter(|(household, _)| household.room == room)
            .collect();
        if !inside.is_empty() {
            tables.rooms.insert(room, estimate_room(&inside));
        }
    }
    fit_hiding(&mut tables, &games);
    Ok(tables)
}

/// Counts per kind, independent of rooms.
#[derive(Default)]
struct KindCounts {
    declared: BTreeSet<(String, String)>,
    objects: BTreeMap<String, u32>,
    having: BTreeMap<(String, &'static str), u32>,
    contains: BTreeMap<String, BTreeSet<String>>,
}

impl KindCounts {
    fn add(&mut self, problem: &str, household: &Household) {
        let by_id: BTreeMap<&str, &str> =
            household.objects.iter().map(|object| (object.id.as_str(), object.kind.as_str())).collect();
        for kind in by_id.values() {
            *self.objects.entry((*kind).to_owned()).or_default() += 1;
        }
        for line in problem.lines().map(str::trim) {
            if let Some((name, class @ ("otype" | "rtype"))) = line.split_once(" - ") {
                let kind = name.strip_suffix("Type").unwrap_or(name);
                self.declared.insert((class.to_owned(), kind.to_owned()));
                continue;
            }
            let Some(fact) = line.strip_prefix('(').and_then(|line| line.strip_suffix(')')) else { continue };
            match fact.split_whitespace().collect::<Vec<_>>()[..] {
                ["canContain", receptacle, object] => {
                    let plain = |kind: &str| kind.strip_suffix("Type").unwrap_or(kind).to_owned();
                    self.contains.entry(plain(receptacle)).or_default().insert(plain(object));
                }
                [property, id] => {
                    if let Some(property) = PROPERTIES.iter().find(|known| **known == property)
                        && let Some(kind) = by_id.get(id)
                    {
                        *self.having.entry(((*kind).to_owned(), property)).or_default() += 1;
                    }
                }
                _ => {}
            }
        }
    }

    fn declared(&self, class: &str) -> Vec<String> {
        self.declared.iter().filter(|(known, _)| known == class).map(|(_, kind)| kind.clone()).collect()
    }

    /// Returns the properties of kinds: a kind has a property if more than half of its objects have it.
    fn properties(&self) -> BTreeMap<String, Vec<String>> {
        let mut properties = BTreeMap::new();
        for (kind, objects) in &self.objects {
            let having: Vec<String> = PROPERTIES
                .iter()
                .filter(|property| {
                    self.having.get(&(kind.clone(), **property)).copied().unwrap_or(0) * 2 > *objects
                })
                .map(|property| (*property).to_owned())
                .collect();
            if !having.is_empty() {
                properties.insert(kind.clone(), having);
            }
        }
        properties
    }
}

fn estimate_room(games: &[(&Household, &Task)]) -> RoomTables {
    let households: Vec<&Household> = games.iter().map(|(household, _)| *household).collect();
    let mut room = RoomTables { games: games.len() as u32, ..RoomTables::default() };
    let receptacle_kinds: BTreeSet<&str> =
        households.iter().flat_map(|household| household.receptacle_counts().into_keys()).collect();
    room.receptacles = receptacle_numbers(games, &receptacle_kinds);
    for household in &households {
        for receptacle in &household.receptacles {
            let rate = room.openable.entry(receptacle.kind.clone()).or_default();
            rate[0] += u32::from(receptacle.openable);
            rate[1] += 1;
        }
        count_shared(household, &mut room);
    }
    for household in &households {
        count_nested(household, &mut room);
    }
    room.nested.retain(|_, inners| {
        inners.retain(|_, rate| rate[0] > 0);
        !inners.is_empty()
    });
    room.openable.retain(|_, rate| rate[0] > 0);
    room.shared.retain(|_, rate| rate[0] > 0);
    let object_kinds: BTreeSet<&str> =
        households.iter().flat_map(|household| household.object_counts().into_keys()).collect();
    for kind in object_kinds {
        let object = room.objects.entry(kind.to_owned()).or_default();
        for (household, task) in games {
            let number = household.object_counts().get(kind).copied().unwrap_or(0);
            if task.target == kind && task.family.needed() > 1 {
                add_to(&mut object.pair_count, number);
            } else if task.target == kind {
                add_to(&mut object.target_count, number);
            } else if task.place != kind {
                add_to(&mut object.count, number);
            }
        }
    }
    for household in households {
        let occupied: BTreeSet<usize> =
            household.receptacles.iter().map(|receptacle| receptacle.location).collect();
        for object in &household.objects {
            let place = place_key(household, object);
            if place == FLOOR {
                room.floor_here[0] += u32::from(object.location.is_some_and(|at| occupied.contains(&at)));
                room.floor_here[1] += 1;
            }
            let at = &mut room.objects.entry(object.kind.clone()).or_default().at;
            *at.entry(place).or_default() += 1;
        }
    }
    room
}

/// Key of an object's place: one receptacle kind, two joined by `+`, or `floor`.
pub(super) fn place_key(household: &Household, object: &Object) -> String {
    match household.place_of(object)[..] {
        [] => FLOOR.to_owned(),
        [one] => one.to_owned(),
        [one, two, ..] => format!("{one}+{two}"),
    }
}

fn receptacle_numbers(games: &[(&Household, &Task)], kinds: &BTreeSet<&str>) -> Vec<Combinations> {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for &kind in kinds {
        let together = TOGETHER.iter().find(|together| together.contains(&kind));
        let group: Vec<&str> = together
            .map_or(vec![kind], |all| all.iter().filter(|kind| kinds.contains(**kind)).copied().collect());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
        .into_iter()
        .map(|group| {
            let mut seen: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
            let asked = |task: &Task| group.contains(&task.place.as_str());
            let all_ask = games.iter().all(|(_, task)| asked(task));
            for (household, _) in games.iter().filter(|(_, task)| all_ask || !asked(task)) {
                let counts = household.receptacle_counts();
                let numbers = group.iter().map(|kind| counts.get(kind).copied().unwrap_or(0)).collect();
                *seen.entry(numbers).or_default() += 1;
            }
            Combinations {
                kinds: group.into_iter().map(str::to_owned).collect(),
                seen: seen.into_iter().collect(),
            }
        })
        .collect()
}

fn count_shared(household: &Household, room: &mut RoomTables) {
    let counts = household.receptacle_counts();
    let kinds: Vec<&str> = counts.keys().copied().collect();
    for (index, &first) in kinds.iter().enumerate() {
        room.shared.entry(format!("{first}+{first}")).or_default()[1] += counts[first] as u32 - 1;
        for second in &kinds[index + 1..] {
            room.shared.entry(format!("{first}+{second}")).or_default()[1] += 1;
        }
    }
    for group in household.groups() {
        let mut here: BTreeMap<&str, u32> = BTreeMap::new();
        for index in group {
            *here.entry(household.receptacles[index].kind.as_str()).or_default() += 1;
        }
        for (index, (first, &number)) in here.iter().enumerate() {
            room.shared.entry(format!("{first}+{first}")).or_default()[0] += number - 1;
            for second in here.keys().skip(index + 1) {
                room.shared.entry(format!("{first}+{second}")).or_default()[0] += 1;
            }
        }
    }
}

fn count_nested(household: &Household, room: &mut RoomTables) {
    for inner in &household.objects {
        for &outer in &inner.nested {
            let rate = room.nested.entry(household.objects[outer].kind.clone()).or_default();
            rate.entry(inner.kind.clone()).or_default()[0] += 1;
        }
        for (index, outer) in household.objects.iter().enumerate() {
            let together = inner.inside.iter().any(|receptacle| outer.inside.contains(receptacle));
            if (together && !std::ptr::eq(inner, outer)) || inner.nested.contains(&index) {
                let rate = room.nested.entry(outer.kind.clone()).or_default();
                rate.entry(inner.kind.clone()).or_default()[1] += 1;
            }
        }
    }
}

fn add_to(histogram: &mut Histogram, value: usize) {
    if histogram.len() <= value {
        histogram.resize(value + 1, 0);
    }
    histogram[value] += 1;
}

/// Fits factors for the start places of target objects, which differ from those of other objects of the kind because a
/// robot had to reach them when official games were recorded. The factors make the expected places equal the observed
/// ones.
fn fit_hiding(tables: &mut Tables, games: &[(Household, Task)]) {
    let mut observed: BTreeMap<Family, BTreeMap<String, f64>> = BTreeMap::new();
    // Per game: task, number of targets, and the possible places of a target.
    let mut cases: Vec<(&Task, f64, Vec<Choice<'_>>)> = Vec::new();
    for (household, task) in games {
        let Some(room) = tables.rooms.get(&household.room) else { continue };
        let mut targets = 0.0;
        for object in household.objects.iter().filter(|object| object.kind == task.target) {
            targets += 1.0;
            for kind in place_key(household, object).split(AND) {
                *observed.entry(task.family).or_default().entry(kind.to_owned()).or_default() += 1.0;
            }
        }
        cases.push((task, targets, contents::choices(room, &task.target, &household.receptacle_counts())));
    }
    let mut hiding: BTreeMap<Family, BTreeMap<String, f64>> = BTreeMap::new();
    for _ in 0..HIDING_ROUNDS {
        let mut expected: BTreeMap<Family, BTreeMap<&str, f64>> = BTreeMap::new();
        for (task, targets, choices) in &cases {
            let mut choices = choices.clone();
            contents::aim(&mut choices, hiding.get(&task.family), task);
            let total: f64 = choices.iter().map(|choice| choice.weight).sum();
            let expected = expected.entry(task.family).or_default();
            for Choice { place, weight } in &choices {
                for kind in place.split(AND) {
                    *expected.entry(kind).or_default() += targets * weight / total;
                }
            }
        }
        for (family, kinds) in expected {
            for (kind, expected) in kinds {
                let seen = observed.get(&family).and_then(|kinds| kinds.get(kind)).copied().unwrap_or(0.0);
                let factor = hiding.entry(family).or_default().entry(kind.to_owned()).or_insert(1.0);
                // Half a game more on both sides stabilises rare places. Impossible places (an object to be cooled that
                // starts in the fridge) remain impossible.
                *factor *= if seen > 0.0 { (seen + 0.5) / (expected + 0.5) } else { 0.0 };
            }
        }
    }
    for factor in hiding.values_mut().flat_map(BTreeMap::values_mut) {
        *factor = (*factor * 1000.0).round() / 1000.0;
    }
    tables.hiding = hiding;
}
