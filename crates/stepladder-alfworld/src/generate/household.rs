//! A household: one room with its receptacles and objects, as in the facts of a game. Official games are parsed into
//! it, generated games are written from it, and statistics are computed on it.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::GenerateError;

/// Kind of room in the official games.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Room {
    /// Has a fridge, a microwave and a sink.
    Kitchen,
    /// Has a sofa and no bed.
    LivingRoom,
    /// Has a bed.
    Bedroom,
    /// Has a toilet.
    Bathroom,
}

impl Room {
    /// All kinds, in table order.
    pub const ALL: [Self; 4] = [Self::Kitchen, Self::LivingRoom, Self::Bedroom, Self::Bathroom];

    /// Name in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kitchen => "kitchen",
            Self::LivingRoom => "living_room",
            Self::Bedroom => "bedroom",
            Self::Bathroom => "bathroom",
        }
    }

    /// Classifies a room by its receptacles. One kind decides; the result agrees with the floor plan number of every
    /// official training game.
    pub fn of<'a>(receptacle_kinds: impl IntoIterator<Item = &'a str>) -> Self {
        let mut room = Self::LivingRoom;
        for kind in receptacle_kinds {
            match kind {
                "Fridge" => return Self::Kitchen,
                "Toilet" => return Self::Bathroom,
                "Bed" => room = Self::Bedroom,
                _ => {}
            }
        }
        room
    }
}

/// The six official task families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// Put an object of a kind into a receptacle of a kind.
    #[serde(rename = "pick_and_place_simple")]
    Pick,
    /// Hold an object of a kind where a lamp has been turned on.
    #[serde(rename = "look_at_obj_in_light")]
    Look,
    /// As `Pick`, after cleaning it.
    #[serde(rename = "pick_clean_then_place_in_recep")]
    Clean,
    /// As `Pick`, after heating it.
    #[serde(rename = "pick_heat_then_place_in_recep")]
    Heat,
    /// As `Pick`, after cooling it.
    #[serde(rename = "pick_cool_then_place_in_recep")]
    Cool,
    /// Put two objects of a kind into the same receptacle.
    #[serde(rename = "pick_two_obj_and_place")]
    Two,
}

impl Family {
    /// All families, in table order.
    pub const ALL: [Self; 6] = [Self::Pick, Self::Look, Self::Clean, Self::Heat, Self::Cool, Self::Two];

    /// Official name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pick => "pick_and_place_simple",
            Self::Look => "look_at_obj_in_light",
            Self::Clean => "pick_clean_then_place_in_recep",
            Self::Heat => "pick_heat_then_place_in_recep",
            Self::Cool => "pick_cool_then_place_in_recep",
            Self::Two => "pick_two_obj_and_place",
        }
    }

    /// Receptacle kind that the family needs besides the goal, if any.
    pub fn device(self) -> Option<&'static str> {
        match self {
            Self::Clean => Some("SinkBasin"),
            Self::Heat => Some("Microwave"),
            Self::Cool => Some("Fridge"),
            Self::Pick | Self::Look | Self::Two => None,
        }
    }

    /// Number of objects of the target kind to handle.
    pub fn needed(self) -> usize {
        if self == Self::Two { 2 } else { 1 }
    }

    /// Whether official games of this family never start with an object of the target kind in a goal receptacle.
    pub fn starts_away_from_goal(self) -> bool {
        matches!(self, Self::Pick | Self::Two)
    }
}

/// Task of one goal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Task {
    /// Family.
    pub family: Family,
    /// Kind of the object to handle, for example `Mug`.
    pub target: String,
    /// Kind of the goal receptacle; the kind of the lamp for [`Family::Look`].
    pub place: String,
}

/// A receptacle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receptacle {
    /// Kind, for example `SinkBasin`.
    pub kind: String,
    /// Name in the facts, such as `Sink_bar_…_bar_SinkBasin`.
    pub id: String,
    /// Index into [`Household::locations`]. Several receptacles may share one.
    pub location: usize,
    /// Whether it has a door; it is closed at the start.
    pub openable: bool,
}

/// An object, fixtures such as windows included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Kind, for example `Mug`.
    pub kind: String,
    /// Name in the facts.
    pub id: String,
    /// Indices of its receptacles: none (permanently out of reach), one, or two.
    pub inside: Vec<usize>,
    /// Index into [`Household::locations`].
    pub location: Option<usize>,
    /// Indices of the objects it is in or on (a spoon in a mug). Rare in official games.
    pub nested: Vec<usize>,
    /// Whether it is cool at the start.
    pub cool: bool,
}

/// One room and its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Household {
    /// Kind of room.
    pub room: Room,
    /// Names of the locations in the facts.
    pub locations: Vec<String>,
    /// Index of the agent's start location, which has no receptacle.
    pub start: usize,
    /// All receptacles.
    pub receptacles: Vec<Receptacle>,
    /// All objects.
    pub objects: Vec<Object>,
}

/// Returns the kind at the start of a name of the facts, such as `SinkBasin` for `Sink_bar_…_bar_SinkBasin`.
pub fn kind_of_id(id: &str) -> String {
    let kind = id.split("_bar_").next().unwrap_or(id);
    if id[kind.len()..].to_ascii_lowercase().contains("basin") {
        format!("{kind}Basin")
    } else {
        kind.to_owned()
    }
}

/// Returns short names as in observations (`sinkbasin 1`): of all names of one kind, the last in order gets number 1.
pub fn short_names<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let ids: Vec<&str> = ids.into_iter().collect();
    let lower: Vec<String> = ids.iter().map(|id| id.to_ascii_lowercase()).collect();
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by(|&a, &b| lower[b].cmp(&lower[a]));
    let mut used: FxHashMap<String, usize> = FxHashMap::default();
    let mut names = vec![String::new(); ids.len()];
    for index in order {
        let kind = kind_of_id(ids[index]).to_ascii_lowercase();
        let number = used.entry(kind.clone()).or_default();
        *number += 1;
        names[index] = format!("{kind} {number}");
    }
    names
}

impl Household {
    /// Number of receptacles of each kind.
    pub fn receptacle_counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for receptacle in &self.receptacles {
            *counts.entry(receptacle.kind.as_str()).or_default() += 1;
        }
        counts
    }

    /// Number of objects of each kind.
    pub fn object_counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for object in &self.objects {
            *counts.entry(object.kind.as_str()).or_default() += 1;
        }
        counts
    }

    /// Indices of the receptacles at each location that has any.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, receptacle) in self.receptacles.iter().enumerate() {
            groups.entry(receptacle.location).or_default().push(index);
        }
        groups.into_values().collect()
    }

    /// Kinds of the receptacles of an object: sorted, at most two, none for an object out of reach.
    pub fn place_of(&self, object: &Object) -> Vec<&str> {
        let mut kinds: Vec<&str> =
            object.inside.iter().map(|&index| self.receptacles[index].kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.truncate(2);
        kinds
    }
}

/// Parses the household and the task of an official or generated problem text.
///
/// # Errors
/// [`GenerateError::Problem`] with the first invalid fact, and for a chain.
pub fn read_problem(problem: &str) -> Result<(Household, Task), GenerateError> {
    let (household, goal) = read_household(problem)?;
    if goal.contains("(sequence") {
        return Err(GenerateError::Problem { reason: "it is a chain of several goals".to_owned() });
    }
    Ok((household, read_goal(goal)?))
}

/// Parses the household. Also returns the text from the goal on.
pub(super) fn read_household(problem: &str) -> Result<(Household, &str), GenerateError> {
    let broken = |what: &str| GenerateError::Problem { reason: what.to_owned() };
    let init = problem.find("(:init").ok_or_else(|| broken("there is no `(:init`"))?;
    let goal = problem.find("(:goal").ok_or_else(|| broken("there is no `(:goal`"))?;
    let facts = problem
        .get(init + 6..goal)
        .ok_or_else(|| broken("`(:goal` precedes `(:init`"))?
        .split('(')
        .filter_map(|part| part.split(')').next())
        .map(|fact| fact.split_whitespace().collect::<Vec<_>>());
    let mut locations: Vec<String> = Vec::new();
    let mut location_index: FxHashMap<String, usize> = FxHashMap::default();
    let mut locate = |name: &str| {
        *location_index.entry(name.to_owned()).or_insert_with(|| {
            locations.push(name.to_owned());
            locations.len() - 1
        })
    };
    let mut start = None;
    let mut receptacles: BTreeMap<&str, Receptacle> = BTreeMap::new();
    let mut objects: BTreeMap<&str, Object> = BTreeMap::new();
    let facts: Vec<Vec<&str>> = facts.filter(|fact| !fact.is_empty()).collect();
    for fact in &facts {
        match fact[..] {
            ["receptacleType", id, _] => {
                let receptacle = Receptacle {
                    kind: kind_of_id(id),
                    id: id.to_owned(),
                    location: usize::MAX,
                    openable: false,
                };
                receptacles.insert(id, receptacle);
            }
            ["objectType", id, kind] => {
                let object = Object {
                    kind: kind.strip_suffix("Type").unwrap_or(kind).to_owned(),
                    id: id.to_owned(),
                    inside: Vec::new(),
                    nested: Vec::new(),
                    location: None,
                    cool: false,
                };
                objects.insert(id, object);
            }
            _ => {}
        }
    }
    let order: FxHashMap<&str, usize> = receptacles.keys().enumerate().map(|(i, &id)| (id, i)).collect();
    let object_order: FxHashMap<&str, usize> = objects.keys().enumerate().map(|(i, &id)| (id, i)).collect();
    for fact in &facts {
        match fact[..] {
            ["inReceptacleObject", inner, outer] => {
                if let (Some(object), Some(&outer)) = (objects.get_mut(inner), object_order.get(outer)) {
                    object.nested.push(outer);
                }
            }
            ["atLocation", _, location] => start = Some(locate(location)),
            ["receptacleAtLocation", id, location] => {
                let known = receptacles.get_mut(id).ok_or_else(|| broken(&format!("`{id}` has no type")))?;
                known.location = locate(location);
            }
            ["openable", id] => {
                if let Some(receptacle) = receptacles.get_mut(id) {
                    receptacle.openable = true;
                }
            }
            // Two official games mention objects without a type; no action applies to them.
            ["inReceptacle", id, receptacle] => {
                let inside =
                    *order.get(receptacle).ok_or_else(|| broken(&format!("`{receptacle}` has no type")))?;
                if let Some(object) = objects.get_mut(id) {
                    object.inside.push(inside);
                }
            }
            ["objectAtLocation", id, location] => {
                let location = locate(location);
                if let Some(object) = objects.get_mut(id) {
                    object.location = Some(location);
                }
            }
            ["isCool", id] => {
                if let Some(object) = objects.get_mut(id) {
                    object.cool = true;
                }
            }
            _ => {}
        }
    }
    let receptacles: Vec<Receptacle> = receptacles.into_values().collect();
    if let Some(lost) = receptacles.iter().find(|receptacle| receptacle.location == usize::MAX) {
        return Err(broken(&format!("`{}` has no location", lost.id)));
    }
    let room = Room::of(receptacles.iter().map(|receptacle| receptacle.kind.as_str()));
    let objects = objects.into_values().collect();
    let start = start.ok_or_else(|| broken("the agent has no location"))?;
    Ok((Household { room, locations, start, receptacles, objects }, &problem[goal..]))
}

pub(super) fn read_goal(goal: &str) -> Result<Task, GenerateError> {
    let kinds = |predicate: &str| -> Vec<String> {
        goal.match_indices(predicate)
            .filter_map(|(at, _)| goal[at..].split([')', ' ']).nth(2))
            .map(|kind| kind.strip_suffix("Type").unwrap_or(kind).to_owned())
            .collect()
    };
    let objects = kinds("(objectType ");
    let places = kinds("(receptacleType ");
    let (family, target, place) = if goal.contains("(isToggled ") {
        (Family::Look, objects.get(1), objects.first())
    } else {
        let family = if goal.contains("(= ") {
            Family::Two
        } else if goal.contains("(isClean ") {
            Family::Clean
        } else if goal.contains("(isHot ") {
            Family::Heat
        } else if goal.contains("(isCool ") {
            Family::Cool
        } else {
            Family::Pick
        };
        (family, objects.first(), places.first())
    };
    match (target, place) {
        (Some(target), Some(place)) => Ok(Task { family, target: target.clone(), place: place.clone() }),
        _ => Err(GenerateError::Problem { reason: "the goal is none of the six known ones".to_owned() }),
    }
}

impl Household {
    /// Identity of the room up to numbering: the groups of receptacles per location, doors, contents, and objects out
    /// of reach. Coordinates have no effect.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(
            self.receptacles.iter().map(|one| (one.kind.as_str(), one.openable, one.location)),
            self.objects.iter().map(|one| (one.kind.as_str(), one.inside.as_slice())),
        )
    }
}

/// Identity of a room from its receptacles (kind, door, location) and objects (kind, receptacles), independent of their
/// order.
pub(super) fn fingerprint<'a>(
    receptacles: impl Iterator<Item = (&'a str, bool, usize)>,
    objects: impl Iterator<Item = (&'a str, &'a [usize])>,
) -> u64 {
    let mut receptacles: Vec<(&str, bool, usize, Vec<&str>)> =
        receptacles.map(|(kind, openable, location)| (kind, openable, location, Vec::new())).collect();
    let mut nowhere = Vec::new();
    for (kind, inside) in objects {
        if inside.is_empty() {
            nowhere.push(kind);
        }
        for &index in inside {
            receptacles[index].3.push(kind);
        }
    }
    let mut locations: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (kind, openable, location, mut contents) in receptacles {
        contents.sort_unstable();
        let text = format!("{kind} {openable} {}", contents.join(" "));
        locations.entry(location).or_default().push(text);
    }
    let mut parts: Vec<String> = locations
        .into_values()
        .map(|mut here| {
            here.sort_unstable();
            here.join(";")
        })
        .collect();
    parts.sort_unstable();
    nowhere.sort_unstable();
    parts.push(nowhere.join(" "));
    stepladder_core::seed::fingerprint(&parts.join("\n"))
}
