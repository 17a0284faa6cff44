//! The counts that the generator draws from: facts about the official training games, made by [`super::estimate()`] and
//! kept in `households.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::GenerateError;
use super::household::{Family, Room};

/// Where an object is when it lies in no receptacle.
pub(super) const FLOOR: &str = "floor";

/// Separates two kinds in a key.
pub(super) const AND: char = '+';

/// How often each value was seen: index is the value.
pub type Histogram = Vec<u32>;

/// Counted over games: `[seen, chances]`.
pub type Share = [u32; 2];

/// Number of games by target kind and goal kind.
pub type Goals = BTreeMap<String, BTreeMap<String, u32>>;

/// What was counted over a set of games.
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
    /// Most objects seen in one receptacle of a kind.
    pub capacity: BTreeMap<String, usize>,
    /// Per kind of room.
    pub rooms: BTreeMap<Room, RoomTables>,
    /// Number of games by family, room, target kind and goal kind.
    pub tasks: BTreeMap<Family, BTreeMap<Room, Goals>>,
    /// How many times more often (or rarer) than other objects an object of the target kind starts in a receptacle kind.
    pub hiding: BTreeMap<Family, BTreeMap<String, f64>>,
}

/// What was counted over the games of one kind of room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomTables {
    /// Number of games.
    pub games: u32,
    /// Numbers of receptacles in the games whose task does not ask for the kinds (in the others they are there because
    /// the task needs them, and counting those would make them too frequent elsewhere). Kinds that depend on each other (fitted cabinets and drawers) are counted together.
    pub receptacles: Vec<Numbers>,
    /// Receptacles of a kind that have a door.
    pub openable: BTreeMap<String, Share>,
    /// Receptacles that share a location, by a pair of kinds. For one kind: members beyond the first, of all beyond the
    /// first in the room. For two kinds: locations with both, of rooms with both.
    pub shared: BTreeMap<String, Share>,
    /// Object kinds.
    pub objects: BTreeMap<String, ObjectTables>,
    /// By outer and inner kind: objects that lie in another one, of the pairs in one receptacle.
    pub nested: BTreeMap<String, BTreeMap<String, Share>>,
    /// Objects out of reach that stand at a location of a receptacle.
    pub floor_here: Share,
}

/// How often each combination of numbers was seen for some receptacle kinds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numbers {
    /// The kinds.
    pub kinds: Vec<String>,
    /// Number of each kind, and games that have those.
    pub seen: Vec<(Vec<usize>, u32)>,
}

/// What was counted for one object kind in one kind of room.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectTables {
    /// Games by the number of such objects, where the task does not ask for the kind.
    pub count: Histogram,
    /// Games by the number of such objects, where the kind is the target and one is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_count: Histogram,
    /// Games by the number of such objects, where the kind is the target and two are needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pair_count: Histogram,
    /// Objects by the place they start in: a receptacle kind, two of them joined by `+`, or `floor`.
    pub at: BTreeMap<String, u32>,
}

static OFFICIAL: LazyLock<Tables> = LazyLock::new(|| {
    serde_json::from_str(include_str!("households.json"))
        .expect("the committed table is what `estimate` wrote")
});

impl Tables {
    /// The tables counted over the official training games.
    pub fn official() -> &'static Self {
        &OFFICIAL
    }

    /// The file form: JSON with one line per kind, so that a new estimate gives a readable difference.
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

/// Longest line of the file form; a value that fits stays on one line.
const WIDTH: usize = 160;

fn lines(value: &serde_json::Value, indent: usize, text: &mut String) {
    use serde_json::Value;
    let flat = value.to_string();
    let inner = |text: &mut String| text.extend(std::iter::repeat_n(' ', indent + 1));
    match value {
        Value::Object(entries) if flat.len() > WIDTH => {
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
        Value::Array(entries) if flat.len() > WIDTH => {
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
        _ => text.push_str(&flat),
    }
}
