//! Parsed actions.

use std::fmt;

use super::entity::Entity;
use crate::dialect::Wording;

/// Treatment of a held object at a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Treatment {
    /// At a microwave.
    Heat,
    /// At a sink.
    Clean,
    /// At a fridge.
    Cool,
}

impl Treatment {
    /// Every treatment.
    pub const ALL: [Self; 3] = [Self::Heat, Self::Clean, Self::Cool];

    /// Verb of the action.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Heat => "heat",
            Self::Clean => "clean",
            Self::Cool => "cool",
        }
    }

    /// Kinds of receptacle that perform it, the common one first.
    pub fn devices(self) -> &'static [&'static str] {
        match self {
            Self::Heat => &["microwave"],
            Self::Clean => &["sinkbasin", "sink"],
            Self::Cool => &["fridge"],
        }
    }
}

/// An action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command<'a> {
    /// Walk to a receptacle.
    GoTo(Entity<'a>),
    /// Open a receptacle.
    Open(Entity<'a>),
    /// Close a receptacle.
    Close(Entity<'a>),
    /// Look at a receptacle again, or at the held object.
    Examine(Entity<'a>),
    /// Pick an object up.
    Take {
        /// The object.
        object: Entity<'a>,
        /// Its receptacle.
        receptacle: Entity<'a>,
    },
    /// Put the held object down.
    Place {
        /// The object.
        object: Entity<'a>,
        /// Target receptacle.
        receptacle: Entity<'a>,
        /// Wording of the action.
        wording: Wording,
    },
    /// Heat, clean or cool the held object.
    Treat {
        /// Treatment.
        treatment: Treatment,
        /// The object.
        object: Entity<'a>,
        /// The device.
        device: Entity<'a>,
    },
    /// Switch a device on.
    Use(Entity<'a>),
    /// Cut an object.
    Slice {
        /// The object.
        object: Entity<'a>,
        /// The knife.
        knife: Entity<'a>,
    },
    /// Look around.
    Look,
    /// Ask for the object in the hand.
    Inventory,
    /// Ask for the available actions.
    Help,
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoTo(receptacle) => write!(f, "go to {receptacle}"),
            Self::Open(receptacle) => write!(f, "open {receptacle}"),
            Self::Close(receptacle) => write!(f, "close {receptacle}"),
            Self::Examine(thing) => write!(f, "examine {thing}"),
            Self::Take { object, receptacle } => write!(f, "take {object} from {receptacle}"),
            Self::Place { object, receptacle, wording: Wording::V04 } => {
                write!(f, "move {object} to {receptacle}")
            }
            Self::Place { object, receptacle, wording: Wording::V03 } => {
                write!(f, "put {object} in/on {receptacle}")
            }
            Self::Treat { treatment, object, device } => {
                write!(f, "{} {object} with {device}", treatment.verb())
            }
            Self::Use(thing) => write!(f, "use {thing}"),
            Self::Slice { object, knife } => write!(f, "slice {object} with {knife}"),
            Self::Look => f.write_str("look"),
            Self::Inventory => f.write_str("inventory"),
            Self::Help => f.write_str("help"),
        }
    }
}

impl<'a> Command<'a> {
    /// Parses an action. `None` if the text has no known form.
    ///
    /// ```
    /// use stepladder_alfworld::view::Command;
    /// let text = "heat mug 1 with microwave 1";
    /// assert_eq!(Command::parse(text).unwrap().to_string(), text);
    /// assert_eq!(Command::parse("heat mug 1"), None);
    /// ```
    pub fn parse(text: &'a str) -> Option<Self> {
        match text {
            "look" => return Some(Self::Look),
            "inventory" => return Some(Self::Inventory),
            "help" => return Some(Self::Help),
            _ => {}
        }
        let one = |verb: &str| text.strip_prefix(verb).and_then(Entity::parse);
        let two = |verb: &str, between: &str| {
            let (first, rest) = Entity::take(text.strip_prefix(verb)?)?;
            Some((first, Entity::parse(rest.strip_prefix(between)?)?))
        };
        if let Some(receptacle) = one("go to ") {
            return Some(Self::GoTo(receptacle));
        }
        if let Some(receptacle) = one("open ") {
            return Some(Self::Open(receptacle));
        }
        if let Some(receptacle) = one("close ") {
            return Some(Self::Close(receptacle));
        }
        if let Some(thing) = one("examine ") {
            return Some(Self::Examine(thing));
        }
        if let Some(thing) = one("use ") {
            return Some(Self::Use(thing));
        }
        if let Some((object, receptacle)) = two("take ", " from ") {
            return Some(Self::Take { object, receptacle });
        }
        if let Some((object, receptacle)) = two("move ", " to ") {
            return Some(Self::Place { object, receptacle, wording: Wording::V04 });
        }
        if let Some((object, receptacle)) = two("put ", " in/on ") {
            return Some(Self::Place { object, receptacle, wording: Wording::V03 });
        }
        for treatment in Treatment::ALL {
            let verb = treatment.verb();
            if let Some(rest) = text.strip_prefix(verb).and_then(|rest| rest.strip_prefix(' ')) {
                let (object, rest) = Entity::take(rest)?;
                let device = Entity::parse(rest.strip_prefix(" with ")?)?;
                return Some(Self::Treat { treatment, object, device });
            }
        }
        two("slice ", " with ").map(|(object, knife)| Self::Slice { object, knife })
    }
}
