//! The rule-based expert: three functions of prompt contents (design D11).
//!
//! It is a STEP-HRL agent itself. The planner reads the task, the earlier subtasks and the last progress text; the
//! executor reads the subtask, the observation and the progress text; the progress writer reads the subtask, its
//! previous text, the action and the answer. None of them keeps anything between calls, so the same prompt always gets
//! the same reply, at any state a learner may bring it into.
//!
//! Rules it had to learn from the environment:
//! * Receptacles can share one location. `go to` the second one then has no effect; `examine` shows it.
//! * `heat`, `clean` and `cool` need no open device; afterwards a device that is also the target has to be examined,
//!   because nothing says whether it is open.
//! * The hand holds one object, so a wrong one has to be put down before anything else.
//! * Nothing says that a goal of a chain has been reached: the earlier subtasks have to.

mod chain;
mod executor;
mod flat;
mod planner;
pub mod prior;
pub mod progress;
mod put_away;
mod recorder;
mod subtask;

use stepladder_core::label::Expert;
use stepladder_core::query::{Query, Role};

use crate::dialect::Wording;
use crate::view::{Feedback, Room};

pub use prior::Prior;
pub use progress::{Note, Progress};
pub use subtask::Subtask;

/// The expert of ALFWorld and of generated households.
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
    /// With the search order of the official training games, and the wording of the environment it will act in (no
    /// prompt shows that before an object has been placed).
    pub fn new(wording: Wording) -> Self {
        Self::with_prior(wording, Prior::official())
    }

    /// With another search order.
    pub fn with_prior(wording: Wording, prior: Prior) -> Self {
        Self { prior, wording }
    }
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
            // Blueprints are taken from its episodes (`stepladder_agent::replay`).
            Query::Macro { .. } | Query::Micro { .. } => return None,
        })
    }

    fn answers(&self, role: Role) -> bool {
        !matches!(role, Role::Macro | Role::Micro)
    }
}
