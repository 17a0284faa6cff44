//! Search prior: usual locations of objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::BufRead;

use stepladder_core::label::Demonstration;

use crate::generate::Household;
use crate::view::{Entity, Feedback, Lid, Room, RoomClass};

/// Counts estimated from the official training games.
const EMBEDDED: &str = include_str!("prior.tsv");

/// Why a prior cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PriorError {
    /// A line is not `room class, receptacle kind, count, closed, object:count ...`, separated by tabs.
    #[error(
        "line {line} of the search prior is not `class<TAB>receptacle<TAB>seen<TAB>closed<TAB>object:count ...`"
    )]
    Line {
        /// Line number, from 1.
        line: usize,
    },
    /// The file cannot be read.
    #[error("the search prior could not be read: {0}")]
    Io(#[from] std::io::Error),
}

/// One receptacle and its contents, for estimation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stock {
    /// Kind of the receptacle.
    pub receptacle: String,
    /// Whether it is closed at the start.
    pub closed: bool,
    /// Kinds of the objects in or on it; duplicates have no effect.
    pub objects: Vec<String>,
}

impl Stock {
    /// Returns the receptacles of a household, as named in texts.
    pub fn of_household(household: &Household) -> Vec<Self> {
        let mut stocks: Vec<Self> = household
            .receptacles
            .iter()
            .map(|receptacle| Self {
                receptacle: receptacle.kind.to_ascii_lowercase(),
                closed: receptacle.openable,
                objects: Vec::new(),
            })
            .collect();
        for object in &household.objects {
            for place in &object.inside {
                if let Some(stock) = stocks.get_mut(*place) {
                    stock.objects.push(object.kind.to_ascii_lowercase());
                }
            }
        }
        stocks
    }
}

/// Counts for one kind of receptacle in one class of room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Row {
    /// Number of receptacles seen.
    seen: u32,
    /// Number of them that were closed at first.
    closed: u32,
    /// Number of them that held at least one object of each kind.
    holding: BTreeMap<String, u32>,
}

/// Cost of opening, in actions. Opening is one action, but an object in closed receptacles is in one of many; with a
/// cost of 2, training games take 8.06 instead of 8.09 steps (`examples/expert_stats`).
const OPENING: f64 = 2.0;

impl Row {
    /// Number of actions to look into all of them; at least 1.
    fn actions(&self) -> f64 {
        (f64::from(self.seen) + OPENING * f64::from(self.closed)).max(1.0)
    }
}

/// Frequencies of objects in receptacles, by kind and class of room.
///
/// The expert searches receptacles by decreasing probability per action: the fraction of receptacles of this kind that
/// hold the object, divided by one action plus the opening cost times the fraction that is closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prior {
    rows: BTreeMap<(RoomClass, String), Row>,
}

impl Prior {
    /// Loads the prior estimated from the official training games.
    ///
    /// # Panics
    /// If the embedded table is malformed, which a test excludes.
    pub fn official() -> Self {
        Self::load(EMBEDDED.as_bytes()).expect("the embedded table is checked by a test")
    }

    /// Estimates a prior from complete rooms, each a list of receptacles with their contents at the start.
    pub fn estimate(rooms: impl IntoIterator<Item = Vec<Stock>>) -> Self {
        let mut prior = Self::default();
        for room in rooms {
            let class = RoomClass::of(room.iter().map(|stock| stock.receptacle.as_str()));
            for stock in &room {
                prior.count(class, &stock.receptacle, stock.closed, stock.objects.iter().map(String::as_str));
            }
        }
        prior
    }

    /// Adds the observations of a demonstration: every receptacle when its contents are first visible.
    pub fn observe(&mut self, demonstration: &Demonstration) {
        let class = Room::parse(&demonstration.context).class();
        let mut closed: BTreeSet<Entity<'_>> = BTreeSet::new();
        let mut known: BTreeSet<Entity<'_>> = BTreeSet::new();
        for (_, answer) in &demonstration.steps {
            let Feedback::Sight(sight) = Feedback::parse(answer) else { continue };
            if sight.lid == Lid::Closed {
                closed.insert(sight.receptacle);
            } else if known.insert(sight.receptacle) {
                let objects = sight.items.iter().map(|item| item.kind);
                self.count(class, sight.receptacle.kind, closed.contains(&sight.receptacle), objects);
            }
        }
    }

    fn count<'a>(
        &mut self,
        class: RoomClass,
        receptacle: &str,
        closed: bool,
        objects: impl Iterator<Item = &'a str>,
    ) {
        let row = self.rows.entry((class, receptacle.to_owned())).or_default();
        row.seen += 1;
        row.closed += u32::from(closed);
        for object in objects.collect::<BTreeSet<_>>() {
            *row.holding.entry(object.to_owned()).or_default() += 1;
        }
    }

    /// Reads a table written by [`Prior::save`].
    ///
    /// # Errors
    /// [`PriorError`] if the reader fails or a line is malformed.
    pub fn load(reader: impl BufRead) -> Result<Self, PriorError> {
        let mut prior = Self::default();
        for (index, line) in reader.lines().enumerate() {
            let line = line?;
            let (key, row) = parse_row(&line).ok_or(PriorError::Line { line: index + 1 })?;
            prior.rows.insert(key, row);
        }
        Ok(prior)
    }

    /// Writes the table as text: one line per class of room and kind of receptacle.
    pub fn save(&self) -> String {
        let mut text = String::new();
        for ((class, receptacle), row) in &self.rows {
            let objects: Vec<String> =
                row.holding.iter().map(|(kind, count)| format!("{kind}:{count}")).collect();
            let _ = writeln!(
                text,
                "{}\t{receptacle}\t{}\t{}\t{}",
                class.name(),
                row.seen,
                row.closed,
                objects.join(" ")
            );
        }
        text
    }

    /// Probability per action of finding the object in a receptacle of this kind.
    fn score(row: &Row, object: &str) -> f64 {
        let held = row.holding.get(object).copied().unwrap_or(0);
        f64::from(held) / row.actions()
    }

    /// Whether receptacles of this kind have ever held objects of that kind.
    pub fn can_hold(&self, receptacle: &str, object: &str) -> bool {
        RoomClass::ALL.iter().any(|class| {
            let row = self.rows.get(&(*class, receptacle.to_owned()));
            row.is_some_and(|row| row.holding.contains_key(object))
        })
    }

    /// Sorts the receptacles of a room for the search of an object: kinds by decreasing probability per action, ties by
    /// the probability over all rooms, then by mean number of object kinds; numbers ascending.
    pub fn order<'a>(&self, room: &Room<'a>, object: &str) -> Vec<Entity<'a>> {
        let class = room.class();
        let scores = |kind: &str| -> [f64; 3] {
            let mut all = Row::default();
            let mut items = 0;
            for class in RoomClass::ALL {
                let Some(row) = self.rows.get(&(class, kind.to_owned())) else { continue };
                all.seen += row.seen;
                all.closed += row.closed;
                items += row.holding.values().sum::<u32>();
                if let Some(held) = row.holding.get(object) {
                    *all.holding.entry(object.to_owned()).or_default() += held;
                }
            }
            let here = self.rows.get(&(class, kind.to_owned())).map_or(0.0, |row| Self::score(row, object));
            [here, Self::score(&all, object), f64::from(items) / all.actions()]
        };
        let mut kinds: Vec<(&'a str, [f64; 3])> =
            room.kinds().into_iter().map(|kind| (kind, scores(kind))).collect();
        kinds.sort_by(|(a, x), (b, y)| {
            let falling = x.iter().zip(y).map(|(x, y)| y.total_cmp(x));
            falling.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then).then_with(|| a.cmp(b))
        });
        kinds
            .into_iter()
            .flat_map(|(kind, _)| room.numbers(kind).into_iter().map(move |number| Entity::new(kind, number)))
            .collect()
    }
}

fn parse_row(line: &str) -> Option<((RoomClass, String), Row)> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let class = RoomClass::ALL.into_iter().find(|class| class.name() == name)?;
    let receptacle = fields.next()?.to_owned();
    let mut row =
        Row { seen: fields.next()?.parse().ok()?, closed: fields.next()?.parse().ok()?, ..Row::default() };
    for entry in fields.next()?.split_whitespace() {
        let (kind, count) = entry.split_once(':')?;
        row.holding.insert(kind.to_owned(), count.parse().ok()?);
    }
    fields.next().is_none().then_some(((class, receptacle), row))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITCHEN: &str = "Looking quickly around you, you see a cabinet 2, a cabinet 1, a countertop 1, \
                           a fridge 1, and a microwave 1.";

    #[test]
    fn the_embedded_table_is_read_and_saved_alike() {
        let prior = Prior::load(EMBEDDED.as_bytes()).unwrap();
        assert_eq!(prior.save(), EMBEDDED);
        assert!(EMBEDDED.len() < 60_000);
    }

    #[test]
    fn the_likely_places_come_first() {
        let order = Prior::official().order(&Room::parse(KITCHEN), "lettuce");
        assert_eq!(order.len(), 5);
        let first: Vec<&str> = order.iter().take(2).map(|place| place.kind).collect();
        assert!(first.contains(&"fridge") && first.contains(&"countertop"), "{order:?}");
        assert!(order[3..].iter().all(|place| place.kind == "cabinet"), "{order:?}");
        assert_eq!(order[3].number, 1);
    }

    #[test]
    fn a_table_is_estimated_from_rooms_and_from_what_is_seen() {
        let stock = |receptacle: &str, closed, objects: &[&str]| Stock {
            receptacle: receptacle.into(),
            closed,
            objects: objects.iter().map(|kind| (*kind).to_owned()).collect(),
        };
        let room = [
            stock("desk", false, &["pen", "pen"]),
            stock("drawer", true, &["pen"]),
            stock("bed", false, &[]),
        ];
        let complete = Prior::estimate([room.to_vec()]);
        let mut seen = Prior::default();
        seen.observe(&Demonstration {
            task: String::new(),
            context: "Looking quickly around you, you see a bed 1, a desk 1, and a drawer 1.".into(),
            steps: [
                "You arrive at desk 1. On the desk 1, you see a pen 2, and a pen 1.",
                "You arrive at drawer 1. The drawer 1 is closed.",
                "You open the drawer 1. The drawer 1 is open. In it, you see a pen 3.",
                "You pick up the pen 3 from the drawer 1.",
                "The drawer 1 is open. In it, you see nothing.",
                "You arrive at bed 1. On the bed 1, you see nothing.",
            ]
            .map(|answer| (String::new(), answer.to_owned()))
            .into(),
        });
        assert_eq!(complete, seen);
        assert_eq!(complete, Prior::load(complete.save().as_bytes()).unwrap());
        let order = complete.order(
            &Room::parse("Looking quickly around you, you see a bed 1, a drawer 1, and a desk 1."),
            "pen",
        );
        let kinds: Vec<&str> = order.iter().map(|place| place.kind).collect();
        assert_eq!(kinds, ["desk", "drawer", "bed"]);
    }

    #[test]
    fn a_broken_table_is_refused() {
        let error =
            Prior::load("kitchen\tshelf\t1\t0\t\nkitchen\tshelf\tmany\t0\t\n".as_bytes()).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
