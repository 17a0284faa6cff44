//! The progress texts: one fact, and for searches the list of places looked into so far.
//!
//! Every place whose contents were seen is listed, also the one where the wanted thing lies: whether it lies there is
//! decided by the executor, from the observation. So this question is answered in one place only, and a progress text
//! can never claim a sight that the observation does not show.

use std::fmt;

use stepladder_core::query::NO_PROGRESS;

use crate::view::entity::Entity;
use crate::view::{Command, Treatment};

/// The fact a progress text states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note<'a> {
    /// Nothing happened yet in this subtask.
    Fresh,
    /// A search goes on; the object named, if any, is not the wanted one.
    Searching {
        /// The object that has been placed already.
        except: Option<Entity<'a>>,
    },
    /// The agent is at a receptacle.
    At(Entity<'a>),
    /// The last action had no effect.
    Failed(&'a str),
    /// The hand holds nothing.
    HandEmpty,
    /// An object was picked up.
    PickedUp {
        /// The object.
        object: Entity<'a>,
        /// Where it was.
        receptacle: Entity<'a>,
    },
    /// An object was heated, cleaned or cooled.
    Treated {
        /// Which of them.
        treatment: Treatment,
        /// The object.
        object: Entity<'a>,
        /// Where.
        device: Entity<'a>,
    },
    /// An object was put down.
    Put {
        /// The object.
        object: Entity<'a>,
        /// Where.
        receptacle: Entity<'a>,
    },
    /// Something was switched on.
    Used(Entity<'a>),
    /// A text of another form.
    Unknown,
}

/// A progress text as structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress<'a> {
    /// What the hand is known to hold and should not: nothing else can be picked up before it is put down.
    pub held: Option<Entity<'a>>,
    /// The fact.
    pub note: Note<'a>,
    /// Places looked into in this search: kinds in the order of their first place, numbers ascending.
    pub checked: Vec<Entity<'a>>,
}

/// Between the sentence and the list.
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
            // That is fact enough; only a failure is worth another sentence.
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
    /// Reads a progress text. Any text gives something; what cannot be read is [`Note::Unknown`].
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

    /// Adds a place to the list, once.
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

    /// The action that failed last, if the note says so and the action can be read.
    pub fn failed(&self) -> Option<Command<'a>> {
        match self.note {
            Note::Failed(action) => Command::parse(action),
            _ => None,
        }
    }
}

/// Splits off the sentence that says what the hand holds.
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
