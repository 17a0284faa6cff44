//! The room description that stays visible all episode long.

use super::entity::{Entity, take_list};

/// What kind of room it is, as far as its receptacles tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RoomClass {
    /// A fridge, a microwave or a stove stands in it.
    Kitchen,
    /// A toilet or a bath stands in it.
    Bathroom,
    /// A bed stands in it, and nothing of the above.
    Bedroom,
    /// None of these.
    Living,
}

impl RoomClass {
    /// Every class, in the order of the prior's file.
    pub const ALL: [Self; 4] = [Self::Kitchen, Self::Bathroom, Self::Bedroom, Self::Living];

    /// The name in the prior's file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kitchen => "kitchen",
            Self::Bathroom => "bathroom",
            Self::Bedroom => "bedroom",
            Self::Living => "living",
        }
    }

    /// The class of a room with receptacles of these kinds.
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

/// The receptacles of a room, in the order in which its description names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Room<'a> {
    /// Every receptacle.
    pub receptacles: Vec<Entity<'a>>,
}

impl<'a> Room<'a> {
    /// Reads a room description; a text that is none gives a room without receptacles.
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

    /// Kinds of receptacle, each once, in the order of the description.
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

    /// The class of the room.
    pub fn class(&self) -> RoomClass {
        RoomClass::of(self.receptacles.iter().map(|receptacle| receptacle.kind))
    }
}
