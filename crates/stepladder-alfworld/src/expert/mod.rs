//! Rule-based expert: functions of the query (docs/design.md D11).
//!
//! The expert is itself a STEP-HRL agent. The planner reads the task, the earlier subtasks and the last progress text.
//! The executor reads the subtask, the observation and the progress text. The progress writer reads the subtask, its
//! previous text, the action and the answer. None of them keeps state between calls, so equal prompts get equal
//! replies, in every state that a policy reaches.
//!
//! Rules derived from the environment:
//! * Receptacles can share a location. `go to` the second one then has no effect; `examine` describes it.
//! * `heat`, `clean` and `cool` need no open device. Afterwards, a device that is also the target must be examined,
//!   because no answer reports whether it is open.
//! * The hand holds one object, so a wrong one must be put down first.
//! * No answer reports that a goal of a chain is reached; it is inferred from the earlier subtasks.

mod careless;
mod chain;
mod executor;
mod flat;
mod numbered;
mod planner;
pub mod prior;
pub mod progress;
mod put_away;
mod recorder;
mod subtask;
mod wanderer;

use stepladder_core::label::{Expert, would_end};
use stepladder_core::query::{NO_PROGRESS, Observation, Query, Role};
use stepladder_core::seed::Fingerprint;

use crate::dialect::Wording;
use crate::view::{Command, Feedback, Room};

pub use careless::{Careless, DETOURS};
use numbered::numbered;
pub use prior::Prior;
pub use progress::{Note, Progress};
pub use subtask::Subtask;
pub use wanderer::Wanderer;

/// Expert of ALFWorld and of generated households.
#[derive(Debug, Clone)]
pub struct AlfworldExpert {
    prior: Prior,
    wording: Wording,
}

impl Default for AlfworldExpert {
    fn default() -> Self {
        Self::new(Wording::V04)
    }
}

impl AlfworldExpert {
    /// Creates an expert with the search prior of the official training games, for the wording of an environment. (No
    /// prompt shows the wording before an object has been placed.)
    pub fn new(wording: Wording) -> Self {
        Self::with_prior(wording, Prior::official())
    }

    /// Creates an expert with another search prior.
    pub fn with_prior(wording: Wording, prior: Prior) -> Self {
        Self { prior, wording }
    }
}

/// Names the random stream of a query by the parts that a reply depends on, so that equal queries draw the same.
fn named<'a>(parts: impl IntoIterator<Item = &'a str>) -> u64 {
    let mut name = Fingerprint::default();
    for part in parts {
        name.add(part.as_bytes());
        name.add(b"\0");
    }
    name.finish()
}

impl Expert for AlfworldExpert {
    fn reply(&self, query: &Query) -> Option<String> {
        Some(match query {
            Query::Planner { task, earlier, progress, observation } => {
                self.plan(task, earlier, progress, &Room::parse(&observation.context))
            }
            Query::Executor { subtask, observation, progress } => {
                let (action, finished) = self.act(
                    subtask,
                    &Feedback::parse(&observation.feedback),
                    progress,
                    &Room::parse(&observation.context),
                );
                format!("{action}; {}", if finished { "True" } else { "False" })
            }
            Query::Progress { subtask, progress, action, observation } => {
                recorder::record(subtask, progress, action, &observation.feedback)
            }
            Query::Flat { task, context, history } => self.act_flat(task, context, history),
            // Blueprints are derived from its episodes (`stepladder_agent::replay`).
            Query::Macro { .. } | Query::Micro { .. } => return None,
        })
    }

    fn answers(&self, role: Role) -> bool {
        !matches!(role, Role::Macro | Role::Micro)
    }

    fn gives_back(&self) -> Option<&str> {
        Some("look")
    }

    fn completes(&self, subgoal: &str, seen: &Observation, action: &str, answer: &str) -> bool {
        if matches!(Feedback::parse(answer), Feedback::NothingHappens) {
            return false;
        }
        let filled = numbered(subgoal, action);
        let subgoal = filled.as_deref().unwrap_or(subgoal);
        // What is put away was named by an inventory, some steps ago.
        let progress = match (Subtask::parse(subgoal), Command::parse(action)) {
            (Some(Subtask::PutAway { kind }), Some(Command::Place { object, .. })) if object.kind == kind => {
                Progress { held: Some(object), note: Note::Fresh, checked: Vec::new() }.to_string()
            }
            _ => NO_PROGRESS.to_owned(),
        };
        would_end(self, (subgoal, &progress), seen, action)
    }
}
