//! Progress texts: one fact, and for searches the list of checked receptacles.
//!
//! Every receptacle whose contents were visible is listed, also the one with the wanted object: the executor decides
//! from the observation whether the object is there. This decision is made in one place only, and a progress text never
//! claims more than the observations show.

use std::fmt;

use stepladder_core::query::NO_PROGRESS;

use crate::view::entity::Entity;
use crate::view::{Command, Treatment};

/// Fact stated by a progress text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note<'a> {
    /// No action of this subtask has been played.
    Fresh,
    /// A search continues.
    Searching {
        /// Object placed earlier, which is not the wanted one.
        except: Option<Entity<'a>>,
    },
    /// The agent is at a receptacle.
    At(Entity<'a>),
    /// The last action had no effect.
    Failed(&'a str),
    /// The hand is empty.
    HandEmpty,
    /// An object was picked up.
    PickedUp {
        /// The object.
        object: Entity<'a>,
        /// Its former receptacle.
        receptacle: Entity<'a>,
    },
    /// An object was heated, cleaned or cooled.
    Treated {
        /// Treatment.
        treatment: Treatment,
        /// The object.
        object: Entity<'a>,
        /// Device.
        device: Entity<'a>,
    },
    /// An object was put down.
    Put {
        /// The object.
        object: Entity<'a>,
        /// Its new receptacle.
        receptacle: Entity<'a>,
    },
    /// A device was switched on.
    Used(Entity<'a>),
    /// A text of another form.
    Unknown,
}

/// A parsed progress text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Wrong object in the hand, if known. It must be put down before another one can be picked up.
    pub held: Option<Entity<'a>>,
    /// Stated fact.
    pub note: Note<'a>,
    /// Receptacles checked in this search: kinds by first occurrence, numbers ascending.
    pub checked: Vec<Entity<'a>>,
}

/// Separator between sentence and list.
const CHECKED: &str = " || [Checked: ";

fn treated(treatment: Treatment) -> &'static str {
    match treatment {
        Treatment::Heat => "Heated ",
        Treatment::Clean => "Cleaned ",
        Treatment::Cool => "Cooled ",
    }
}

impl fmt::Display for Progress<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut note = &self.note;
        if let Some(object) = self.held {
            write!(f, "Holding {object}.")?;
            // The held object is fact enough; only a failure adds another sentence.
            if !matches!(note, Note::Failed(_)) {
                return self.write_checked(f);
            }
            f.write_str(" ")?;
        } else if matches!(note, Note::Fresh | Note::Unknown) {
            if self.checked.is_empty() {
                return f.write_str(NO_PROGRESS);
            }
            note = &Note::Searching { except: None };
        }
        match note {
            Note::Fresh | Note::Unknown | Note::Searching { except: None } => f.write_str("Searching.")?,
            Note::Searching { except: Some(object) } => write!(f, "Searching, not {object}.")?,
            Note::At(receptacle) => write!(f, "At {receptacle}.")?,
            Note::Failed(action) => write!(f, "Failed to {action}.")?,
            Note::HandEmpty => f.write_str("Holding nothing.")?,
            Note::PickedUp { object, receptacle } => write!(f, "Picked up {object} from {receptacle}.")?,
            Note::Treated { treatment, object, device } => {
                write!(f, "{}{object} with {device}.", treated(*treatment))?;
            }
            Note::Put { object, receptacle } => write!(f, "Put {object} in {receptacle}.")?,
            Note::Used(thing) => write!(f, "Used {thing}.")?,
        }
        self.write_checked(f)
    }
}

impl Progress<'_> {
    fn write_checked(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((first, others)) = self.checked.split_first() else { return Ok(()) };
        write!(f, "{CHECKED}{first}")?;
        for place in others {
            write!(f, ", {place}")?;
        }
        f.write_str("]")
    }
}

impl<'a> Progress<'a> {
    /// Parses a progress text. Never fails: unreadable text becomes [`Note::Unknown`].
    pub fn parse(text: &'a str) -> Self {
        let (sentence, list) = match text.split_once(CHECKED) {
            Some((sentence, list)) => (sentence, list.strip_suffix(']').unwrap_or(list)),
            None => (text, ""),
        };
        let (held, sentence) = holding(sentence);
        let note = if held.is_some() && sentence.is_empty() { Note::Fresh } else { note(sentence) };
        let mut progress = Self { held, note, checked: Vec::new() };
        for place in list.split(", ").filter_map(Entity::parse) {
            progress.check(place);
        }
        progress
    }

    /// Adds a receptacle to the checked list, once.
    pub fn check(&mut self, place: Entity<'a>) {
        let same_kind = |other: &Entity<'_>| other.kind == place.kind;
        let Some(first) = self.checked.iter().position(same_kind) else {
            self.checked.push(place);
            return;
        };
        let run = self.checked[first..].iter().take_while(|other| same_kind(other));
        let before = run.take_while(|other| other.number < place.number).count();
        if self.checked.get(first + before) != Some(&place) {
            self.checked.insert(first + before, place);
        }
    }

    /// Returns the last failed action, if the note states one that parses.
    pub fn failed(&self) -> Option<Command<'a>> {
        match self.note {
            Note::Failed(action) => Command::parse(action),
            _ => None,
        }
    }
}

/// Splits off the sentence about the held object.
fn holding(text: &str) -> (Option<Entity<'_>>, &str) {
    let held = text.strip_prefix("Holding ").and_then(Entity::take);
    match held.and_then(|(object, rest)| Some((object, rest.strip_prefix('.')?))) {
        Some((object, rest)) => (Some(object), rest.strip_prefix(' ').unwrap_or(rest)),
        None => (None, text),
    }
}

fn note(sentence: &str) -> Note<'_> {
    if sentence == NO_PROGRESS {
        return Note::Fresh;
    }
    let Some(fact) = sentence.strip_suffix('.') else { return Note::Unknown };
    structured(fact).unwrap_or(Note::Unknown)
}

fn structured(fact: &str) -> Option<Note<'_>> {
    match fact {
        "Searching" => return Some(Note::Searching { except: None }),
        "Holding nothing" => return Some(Note::HandEmpty),
        _ => {}
    }
    if let Some(action) = fact.strip_prefix("Failed to ") {
        return Some(Note::Failed(action));
    }
    if let Some(object) = fact.strip_prefix("Searching, not ") {
        return Entity::parse(object).map(|object| Note::Searching { except: Some(object) });
    }
    if let Some(receptacle) = fact.strip_prefix("At ") {
        return Entity::parse(receptacle).map(Note::At);
    }
    if let Some(thing) = fact.strip_prefix("Used ") {
        return Entity::parse(thing).map(Note::Used);
    }
    let two = |verb: &str, between: &str| {
        let (object, rest) = Entity::take(fact.strip_prefix(verb)?)?;
        Some((object, Entity::parse(rest.strip_prefix(between)?)?))
    };
    if let Some((object, receptacle)) = two("Picked up ", " from ") {
        return Some(Note::PickedUp { object, receptacle });
    }
    if let Some((object, receptacle)) = two("Put ", " in ") {
        return Some(Note::Put { object, receptacle });
    }
    Treatment::ALL.into_iter().find_map(|treatment| {
        let (object, device) = two(treated(treatment), " with ")?;
        Some(Note::Treated { treatment, object, device })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_prints_as_it_was_read() {
        for text in [
            "None",
            "Searching.",
            "Searching. || [Checked: shelf 1, shelf 2, desk 1]",
            "Searching, not mug 1. || [Checked: cabinet 1]",
            "Failed to go to shelf 3. || [Checked: shelf 2]",
            "Failed to None.",
            "Holding fork 1. || [Checked: shelf 2]",
            "Holding fork 1.",
            "Holding fork 1. Failed to go to desk 1. || [Checked: shelf 2]",
            "Holding nothing.",
            "At desk 1.",
            "Picked up mug 1 from desk 1.",
            "Heated mug 1 with microwave 1.",
            "Cleaned mug 1 with sinkbasin 2.",
            "Cooled mug 1 with fridge 1.",
            "Put mug 1 in desk 1.",
            "Used desklamp 1.",
        ] {
            assert_eq!(Progress::parse(text).to_string(), text);
        }
        assert_eq!(Progress::parse("whatever a model writes").note, Note::Unknown);
    }

    #[test]
    fn places_are_grouped_by_kind_and_listed_once() {
        let mut progress = Progress::parse("Searching. || [Checked: shelf 2, desk 1]");
        for place in ["shelf 1", "desk 2", "shelf 2", "bed 1", "shelf 3"] {
            progress.check(Entity::parse(place).unwrap());
        }
        assert_eq!(
            progress.to_string(),
            "Searching. || [Checked: shelf 1, shelf 2, shelf 3, desk 1, desk 2, bed 1]"
        );
    }
}
