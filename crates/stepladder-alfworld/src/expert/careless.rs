//! Demonstrator of mixed quality, for learning from better and worse episodes (docs/households.md).

use rand::RngExt;
use rand::seq::IndexedRandom;
use stepladder_core::label::Expert;
use stepladder_core::query::{Query, Role};
use stepladder_core::seed::{Fingerprint, Rng, stream};

use super::{AlfworldExpert, Subtask};
use crate::view::{Command, Feedback, Room};

/// Probability that a walk with a known destination leads to another place.
pub const DETOURS: f64 = 0.3;

/// The expert with two faults: it searches a room in random order and without memory, and other walks lead to a wrong place with
/// probability [`DETOURS`].
///
/// Like the expert it is a function of the query, so equal prompts get equal replies: the random numbers are drawn from a stream that
/// the query names. It plays the roles of a STEP-HRL agent.
#[derive(Debug, Clone, Default)]
pub struct Careless {
    expert: AlfworldExpert,
}

/// Opens the random stream of a query to the executor.
fn draws(parts: [&str; 4]) -> Rng {
    let mut name = Fingerprint::default();
    for part in parts {
        name.add(part.as_bytes());
        name.add(b"\0");
    }
    stream(name.finish(), "careless", &[])
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
        let mut rng = draws([subtask, &observation.feedback, progress, &observation.context]);
        let searches = matches!(
            Subtask::parse(subtask),
            Some(Subtask::Find { .. } | Subtask::FindNew { .. } | Subtask::FindUse { .. })
        );
        if !searches && !rng.random_bool(DETOURS) {
            return Some(said);
        }
        let room = Room::parse(&observation.context);
        let here = Feedback::parse(&observation.feedback).here();
        let elsewhere: Vec<_> = room
            .receptacles
            .iter()
            .filter(|place| (searches || **place != wanted) && Some(**place) != here)
            .collect();
        let detour = elsewhere.choose(&mut rng).map(|place| format!("{}; False", Command::GoTo(**place)));
        Some(detour.unwrap_or(said))
    }

    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Executor | Role::Progress)
    }
}
