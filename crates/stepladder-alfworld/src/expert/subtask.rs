//! Subtasks of the planner and their texts.

use std::fmt;

use crate::view::entity::take_kind;
use crate::view::{Entity, Treatment};

/// A subtask (docs/spec/algorithms.md 3.0: locate and pick up, locate and use, clean, heat, cool, put).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subtask<'a> {
    /// Find an object of a kind and pick it up.
    Find {
        /// The kind.
        kind: &'a str,
    },
    /// Find a second object of a kind after the first has been placed.
    FindNew {
        /// The kind.
        kind: &'a str,
        /// The first object, which must stay in place.
        placed: Entity<'a>,
        /// Its receptacle. No second object of the kind can be there, or the task would be solved.
        at: Entity<'a>,
    },
    /// Find a device of a kind and switch it on.
    FindUse {
        /// The kind.
        kind: &'a str,
    },
    /// Heat, clean or cool the held object.
    Treat {
        /// Treatment.
        treatment: Treatment,
        /// The object.
        object: Entity<'a>,
    },
    /// Put the held object down.
    Put {
        /// The object.
        object: Entity<'a>,
        /// Target receptacle.
        receptacle: Entity<'a>,
    },
    /// Put down, anywhere, the object left in the hand by a goal without a target receptacle.
    PutAway {
        /// Its kind. Prompts of the planner do not show its number.
        kind: &'a str,
    },
}

impl fmt::Display for Subtask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Find { kind } => write!(f, "locate and pick up a {kind}"),
            Self::FindNew { kind, placed, at } => {
                write!(f, "locate and pick up a new {kind} except {placed} in {at}")
            }
            Self::FindUse { kind } => write!(f, "locate and use a {kind}"),
            Self::Treat { treatment, object } => write!(f, "{} {object}", treatment.verb()),
            Self::Put { object, receptacle } => write!(f, "put {object} in {receptacle}"),
            Self::PutAway { kind } => write!(f, "put away the {kind}"),
        }
    }
}

impl<'a> Subtask<'a> {
    /// Parses a subtask. `None` for any other text.
    ///
    /// ```
    /// use stepladder_alfworld::expert::Subtask;
    /// let text = "locate and pick up a new mug except mug 1 in cabinet 1";
    /// assert_eq!(Subtask::parse(text).unwrap().to_string(), text);
    /// ```
    pub fn parse(text: &'a str) -> Option<Self> {
        let only = |text: &'a str| take_kind(text).filter(|(_, rest)| rest.is_empty()).map(|(kind, _)| kind);
        if let Some(rest) = text.strip_prefix("locate and pick up a new ") {
            let (kind, rest) = take_kind(rest)?;
            let (placed, rest) = Entity::take(rest.strip_prefix(" except ")?)?;
            let at = Entity::parse(rest.strip_prefix(" in ")?)?;
            return Some(Self::FindNew { kind, placed, at });
        }
        if let Some(rest) = text.strip_prefix("locate and pick up a ") {
            return only(rest).map(|kind| Self::Find { kind });
        }
        if let Some(rest) = text.strip_prefix("locate and use a ") {
            return only(rest).map(|kind| Self::FindUse { kind });
        }
        if let Some(rest) = text.strip_prefix("put away the ") {
            return only(rest).map(|kind| Self::PutAway { kind });
        }
        if let Some(rest) = text.strip_prefix("put ") {
            let (object, rest) = Entity::take(rest)?;
            let receptacle = Entity::parse(rest.strip_prefix(" in ")?)?;
            return Some(Self::Put { object, receptacle });
        }
        Treatment::ALL.into_iter().find_map(|treatment| {
            let object = Entity::parse(text.strip_prefix(treatment.verb())?.strip_prefix(' ')?)?;
            Some(Self::Treat { treatment, object })
        })
    }

    /// Whether an object is the one that this subtask looks for.
    pub fn wants(&self, object: Entity<'_>) -> bool {
        match self {
            Self::Find { kind } => object.kind == *kind,
            Self::FindNew { kind, placed, .. } => object.kind == *kind && object != *placed,
            Self::FindUse { .. } | Self::Treat { .. } | Self::Put { .. } | Self::PutAway { .. } => false,
        }
    }
}
