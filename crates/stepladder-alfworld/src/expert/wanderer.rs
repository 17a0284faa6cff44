//! Random valid sub-goals, for executors that are to carry out any sub-goal (docs/spec/algorithms.md 9.2).

use std::mem::Discriminant;

use rand::seq::IndexedRandom;
use stepladder_core::label::Expert;
use stepladder_core::query::{Query, Role};
use stepladder_core::seed::stream;

use super::put_away::accepts;
use super::{AlfworldExpert, Note, Progress, Subtask, named};
use crate::view::{Entity, Family, Goal, Room, Treatment};

/// The expert with a planner that does not pursue the task: it draws a sub-goal that can be carried out, among things that the task
/// and the episode name.
///
/// | hand | sub-goals |
/// |---|---|
/// | free | find any object of the task; use any lamp of the task |
/// | holds an object | put it into any receptacle that takes its kind; heat, clean or cool it as a goal asks; use any lamp of the task |
///
/// Like the expert it is a function of the query, and of a number: another number draws other sub-goals.
#[derive(Debug, Clone, Default)]
pub struct Wanderer {
    expert: AlfworldExpert,
    number: u64,
}

/// What the hand holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hand<'a> {
    Free,
    Holds(Entity<'a>),
    /// An object of this kind; its number is in no text.
    HoldsSome(&'a str),
}

/// Infers what the hand holds from the subtasks so far and the last progress text.
fn hand<'a>(earlier: &[Subtask<'a>], progress: &Progress<'a>) -> Hand<'a> {
    if let Some(object) = progress.held {
        return Hand::Holds(object);
    }
    match progress.note {
        Note::PickedUp { object, .. } | Note::Treated { object, .. } => Hand::Holds(object),
        Note::Used(_) => {
            let last = earlier.iter().rev().find(|subtask| !matches!(subtask, Subtask::FindUse { .. }));
            match last {
                Some(Subtask::Find { kind }) => Hand::HoldsSome(kind),
                Some(Subtask::Treat { object, .. }) => Hand::Holds(*object),
                _ => Hand::Free,
            }
        }
        _ => Hand::Free,
    }
}

/// Which of the subtasks it is, whatever its things are.
fn verb<'a>(subtask: &Subtask<'a>) -> Discriminant<Subtask<'a>> {
    std::mem::discriminant(subtask)
}

impl Wanderer {
    /// Creates a wanderer that draws by this number.
    pub fn new(number: u64) -> Self {
        Self { expert: AlfworldExpert::default(), number }
    }

    /// Returns the sub-goals that can be carried out; none for a task sentence of unknown form.
    fn choices<'a>(goals: &[Goal<'a>], hand: Hand<'a>, note: &Note<'a>, room: &Room<'a>) -> Vec<Subtask<'a>> {
        let lamps = goals.iter().filter(|goal| goal.family == Family::Look).map(|goal| goal.target);
        let lit = |kind: &str| matches!(note, Note::Used(thing) if thing.kind == kind);
        let uses = lamps.filter(|kind| !lit(kind)).map(|kind| Subtask::FindUse { kind });
        let mut found: Vec<Subtask<'a>> = Vec::new();
        match hand {
            Hand::Free => {
                let put = |kind: &str| matches!(note, Note::Put { object, .. } if object.kind == kind);
                found.extend(goals.iter().map(|goal| Subtask::Find { kind: goal.object }));
                // What was just put down would be taken again at once.
                if found.iter().any(|subtask| !matches!(subtask, Subtask::Find { kind } if put(kind))) {
                    found.retain(|subtask| !matches!(subtask, Subtask::Find { kind } if put(kind)));
                }
            }
            Hand::Holds(object) => {
                let asked = |treatment: Treatment| {
                    let done = matches!(note, Note::Treated { treatment: last, .. } if *last == treatment);
                    let of_goal = |goal: &Goal<'_>| {
                        goal.object == object.kind && goal.family == Family::Treat(treatment)
                    };
                    !done && goals.iter().any(of_goal)
                };
                let treatments = Treatment::ALL.into_iter().filter(|treatment| asked(*treatment));
                found.extend(treatments.map(|treatment| Subtask::Treat { treatment, object }));
                let takes = |place: &&Entity<'_>| accepts(place.kind, object.kind);
                let places = room.receptacles.iter().filter(takes);
                found.extend(places.map(|place| Subtask::Put { object, receptacle: *place }));
            }
            Hand::HoldsSome(kind) => found.push(Subtask::PutAway { kind }),
        }
        if !matches!(hand, Hand::HoldsSome(_)) {
            found.extend(uses);
        }
        found.sort_by_key(ToString::to_string);
        found.dedup();
        found
    }
}

impl Expert for Wanderer {
    fn reply(&self, query: &Query) -> Option<String> {
        if !self.answers(query.role()) {
            return None;
        }
        let Query::Planner { task, earlier, progress, observation } = query else {
            return self.expert.reply(query);
        };
        let goals = Goal::parse_all(task).unwrap_or_default();
        let subtasks: Vec<Subtask<'_>> = earlier.iter().filter_map(|text| Subtask::parse(text)).collect();
        let read = Progress::parse(progress);
        let room = Room::parse(&observation.context);
        let choices = Self::choices(&goals, hand(&subtasks, &read), &read.note, &room);
        let parts = earlier.iter().chain([task, progress, &observation.context]).map(String::as_str);
        let mut rng = stream(named(parts), "wanderer", &[self.number]);
        // Kinds of sub-goals are equally likely; there are many more receptacles than lamps.
        let mut verbs = Vec::new();
        for subtask in &choices {
            if !verbs.contains(&verb(subtask)) {
                verbs.push(verb(subtask));
            }
        }
        let drawn = verbs.choose(&mut rng);
        let alike: Vec<&Subtask<'_>> =
            choices.iter().filter(|subtask| Some(&verb(subtask)) == drawn).collect();
        match alike.choose(&mut rng) {
            Some(subtask) => Some(subtask.to_string()),
            // A task sentence of unknown form: as the expert.
            None => self.expert.reply(query),
        }
    }

    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Executor | Role::Progress)
    }

    fn gives_back(&self) -> Option<&str> {
        self.expert.gives_back()
    }
}
