//! The counts from which the generator draws: statistics of the official training games, computed by
//! [`super::estimate()`] and stored in `households.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::GenerateError;
use super::household::{Family, Room};

/// Place of an object in no receptacle.
pub(super) const FLOOR: &str = "floor";

/// Separator of two kinds in a key.
pub(super) const AND: char = '+';

/// Counts by value; the index is the value.
pub type Histogram = Vec<u32>;

/// Rate as `[occurrences, opportunities]`.
pub type Rate = [u32; 2];

/// Number of games by target kind and goal kind.
pub type Goals = BTreeMap<String, BTreeMap<String, u32>>;

/// Statistics of a set of games.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    /// Number of games counted.
    pub games: u32,
    /// All object kinds of the domain.
    pub object_kinds: Vec<String>,
    /// All receptacle kinds of the domain.
    pub receptacle_kinds: Vec<String>,
    /// Properties that every object of a kind has, as predicate names.
    pub properties: BTreeMap<String, Vec<String>>,
    /// Object kinds that a receptacle kind can hold.
    pub contains: BTreeMap<String, Vec<String>>,
    /// Largest number of objects seen in one receptacle of a kind.
    pub capacity: BTreeMap<String, usize>,
    /// Statistics per kind of room.
    pub rooms: BTreeMap<Room, RoomTables>,
    /// Number of games by family, room, target kind and goal kind.
    pub tasks: BTreeMap<Family, BTreeMap<Room, Goals>>,
    /// Factor on the probability that a target object, relative to other objects, starts in a receptacle kind, by
    /// family.
    pub hiding: BTreeMap<Family, BTreeMap<String, f64>>,
}

/// Statistics of the games of one kind of room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomTables {
    /// Number of games.
    pub games: u32,
    /// Combinations of receptacles, over games whose task does not involve the kinds: in the others, the task requires them,
    /// and counting those would inflate them elsewhere. Dependent kinds (fitted cabinets and drawers) are counted
    /// jointly.
    pub receptacles: Vec<Combinations>,
    /// Receptacles with a door, per kind.
    pub openable: BTreeMap<String, Rate>,
    /// Receptacles at a shared location, per pair of kinds. For one kind: members of groups beyond the first, of all in
    /// the room beyond the first. For two kinds: locations with both, of rooms with both.
    pub shared: BTreeMap<String, Rate>,
    /// Statistics per object kind.
    pub objects: BTreeMap<String, ObjectTables>,
    /// Objects inside another one, of the pairs in one receptacle, by outer and inner kind.
    pub nested: BTreeMap<String, BTreeMap<String, Rate>>,
    /// Objects out of reach that are at a location of a receptacle.
    pub floor_here: Rate,
}

/// Counts of the combinations of numbers of some receptacle kinds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Combinations {
    /// The kinds.
    pub kinds: Vec<String>,
    /// Number of each kind, and the number of games with this combination.
    pub seen: Vec<(Vec<usize>, u32)>,
}

/// Statistics of one object kind in one kind of room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectTables {
    /// Games by number of objects, where the task does not involve the kind.
    pub count: Histogram,
    /// Games by number of objects, where the kind is the target and one is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_count: Histogram,
    /// Games by number of objects, where the kind is the target and two are needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pair_count: Histogram,
    /// Objects by start place: a receptacle kind, two joined by `+`, or `floor`.
    pub at: BTreeMap<String, u32>,
}

static OFFICIAL: LazyLock<Tables> = LazyLock::new(|| {
    serde_json::from_str(include_str!("households.json"))
        .expect("the committed table was written by `estimate`")
});

impl Tables {
    /// Returns the tables of the official training games.
    ///
    /// # Panics
    /// If the embedded table is malformed, which tests exclude.
    pub fn official() -> &'static Self {
        &OFFICIAL
    }

    /// Formats the tables as JSON with one line per kind, so that new estimates give readable differences.
    ///
    /// # Errors
    /// [`GenerateError::Json`] if a number is not finite.
    pub fn to_json(&self) -> Result<String, GenerateError> {
        let mut text = String::new();
        lines(&serde_json::to_value(self)?, 0, &mut text);
        text.push('\n');
        Ok(text)
    }
}

/// Longest line of the file; a value that fits stays on one line.
const WIDTH: usize = 160;

fn lines(value: &serde_json::Value, indent: usize, text: &mut String) {
    use serde_json::Value;
    let line = value.to_string();
    let inner = |text: &mut String| text.extend(std::iter::repeat_n(' ', indent + 1));
    match value {
        Value::Object(entries) if line.len() > WIDTH => {
            text.push_str("{\n");
            for (index, (key, entry)) in entries.iter().enumerate() {
                inner(text);
                text.push_str(&format!("{}: ", Value::String(key.clone())));
                lines(entry, indent + 1, text);
                text.push_str(if index + 1 < entries.len() { ",\n" } else { "\n" });
            }
            text.extend(std::iter::repeat_n(' ', indent));
            text.push('}');
        }
        Value::Array(entries) if line.len() > WIDTH => {
            text.push('[');
            let mut width = 0;
            for (index, entry) in entries.iter().enumerate() {
                let entry = entry.to_string();
                if width == 0 || width + entry.len() > WIDTH {
                    text.push('\n');
                    inner(text);
                    width = 0;
                }
                width += entry.len() + 1;
                text.push_str(&entry);
                text.push_str(if index + 1 < entries.len() { "," } else { "\n" });
            }
            text.extend(std::iter::repeat_n(' ', indent));
            text.push(']');
        }
        _ => text.push_str(&line),
    }
}
