//! The room description, which remains in the prompt for the whole episode.

use super::entity::{Entity, take_list};

/// Class of a room, inferred from its receptacles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoomClass {
    /// Has a fridge, a microwave or a stove.
    Kitchen,
    /// Has a toilet or a bath.
    Bathroom,
    /// Has a bed, and none of the above.
    Bedroom,
    /// Any other room.
    Living,
}

impl RoomClass {
    /// All classes, in the order of the prior's file.
    pub const ALL: [Self; 4] = [Self::Kitchen, Self::Bathroom, Self::Bedroom, Self::Living];

    /// Name in the prior's file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kitchen => "kitchen",
            Self::Bathroom => "bathroom",
            Self::Bedroom => "bedroom",
            Self::Living => "living",
        }
    }

    /// Classifies a room by the kinds of its receptacles.
    pub fn of<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Self {
        let mut class = Self::Living;
        for kind in kinds {
            match kind {
                "fridge" | "microwave" | "stoveburner" => return Self::Kitchen,
                "toilet" | "toiletpaperhanger" | "bathtubbasin" | "towelholder" | "handtowelholder" => {
                    class = Self::Bathroom;
                }
                "bed" if class == Self::Living => class = Self::Bedroom,
                _ => {}
            }
        }
        class
    }
}

/// Receptacles of a room, in the order of its description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room<'a> {
    /// All receptacles.
    pub receptacles: Vec<Entity<'a>>,
}

impl<'a> Room<'a> {
    /// Parses a room description. Any other text gives a room without receptacles.
    ///
    /// ```
    /// use stepladder_alfworld::view::{Room, RoomClass};
    /// let room = Room::parse("Looking quickly around you, you see a bed 1, a desk 2, and a desk 1.");
    /// assert_eq!(room.numbers("desk"), [1, 2]);
    /// assert_eq!(room.class(), RoomClass::Bedroom);
    /// ```
    pub fn parse(context: &'a str) -> Self {
        let receptacles = context
            .split_once("Looking quickly around you, you see ")
            .and_then(|(_, list)| take_list(list, "a "))
            .map_or_else(Vec::new, |(items, _)| items);
        Self { receptacles }
    }

    /// Distinct kinds of receptacles, in the order of the description.
    pub fn kinds(&self) -> Vec<&'a str> {
        let mut kinds = Vec::new();
        for receptacle in &self.receptacles {
            if !kinds.contains(&receptacle.kind) {
                kinds.push(receptacle.kind);
            }
        }
        kinds
    }

    /// Numbers of the receptacles of one kind, ascending.
    pub fn numbers(&self, kind: &str) -> Vec<u32> {
        let mut numbers: Vec<u32> = self
            .receptacles
            .iter()
            .filter(|receptacle| receptacle.kind == kind)
            .map(|receptacle| receptacle.number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Class of the room.
    pub fn class(&self) -> RoomClass {
        RoomClass::of(self.receptacles.iter().map(|receptacle| receptacle.kind))
    }
}
