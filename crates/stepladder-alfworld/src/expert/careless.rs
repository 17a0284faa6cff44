//! Demonstrator of mixed quality, for learning from better and worse episodes (docs/households.md).

use rand::RngExt;
use rand::seq::IndexedRandom;
use stepladder_core::label::Expert;
use stepladder_core::query::{Query, Role};
use stepladder_core::seed::stream;

use super::{AlfworldExpert, Progress, Subtask, named};
use crate::view::{Command, Entity, Feedback, Room};

/// Probability that a walk leads to another place than it should.
pub const DETOURS: f64 = 0.3;

/// The expert with two faults: it searches the kinds of receptacles in random order, and every walk leads to a wrong place with
/// probability [`DETOURS`]. It remembers what it checked.
///
/// Like the expert it is a function of the query, so equal prompts get equal replies: the random numbers are drawn from a stream that
/// the query names. It plays the roles of a STEP-HRL agent.
#[derive(Debug, Clone, Default)]
pub struct Careless {
    expert: AlfworldExpert,
}

/// Returns the lowest number of each kind, in the order of `places`.
fn next_of_each_kind<'a>(places: impl Iterator<Item = Entity<'a>>) -> Vec<Entity<'a>> {
    let mut next: Vec<Entity<'a>> = Vec::new();
    for place in places {
        match next.iter_mut().find(|known| known.kind == place.kind) {
            Some(known) => known.number = known.number.min(place.number),
            None => next.push(place),
        }
    }
    next
}

impl Expert for Careless {
    fn reply(&self, query: &Query) -> Option<String> {
        if !self.answers(query.role()) {
            return None;
        }
        let said = self.expert.reply(query)?;
        let Query::Executor { subtask, observation, progress } = query else { return Some(said) };
        let action = said.split_once("; ").map_or(said.as_str(), |(action, _)| action);
        let Some(Command::GoTo(wanted)) = Command::parse(action) else { return Some(said) };
        let parts = [subtask.as_str(), &observation.feedback, progress, &observation.context];
        let mut rng = stream(named(parts), "careless", &[]);
        let searches = matches!(
            Subtask::parse(subtask),
            Some(Subtask::Find { .. } | Subtask::FindNew { .. } | Subtask::FindUse { .. })
        );
        let wrong = rng.random_bool(DETOURS);
        if !searches && !wrong {
            return Some(said);
        }
        let room = Room::parse(&observation.context);
        let here = Feedback::parse(&observation.feedback).here();
        let elsewhere = |place: &&Entity<'_>| Some(**place) != here;
        let places: Vec<Entity<'_>> = if wrong {
            let wrong_one = |place: &&Entity<'_>| searches || **place != wanted;
            room.receptacles.iter().filter(elsewhere).filter(wrong_one).copied().collect()
        } else {
            let checked = Progress::parse(progress).checked;
            let open = room.receptacles.iter().filter(elsewhere).filter(|place| !checked.contains(place));
            next_of_each_kind(open.copied())
        };
        let walk = places.choose(&mut rng).map(|place| format!("{}; False", Command::GoTo(*place)));
        Some(walk.unwrap_or(said))
    }

    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Executor | Role::Progress)
    }

    fn gives_back(&self) -> Option<&str> {
        self.expert.gives_back()
    }
}
