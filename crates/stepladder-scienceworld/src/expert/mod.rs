//! The rule-based expert: planner, executor and progress writer as functions of prompt contents (design D11).
//!
//! None of them keeps anything between calls and none knows more than the prompt says, so the same prompt always gets the
//! same reply, at any state a learner may bring it into. The simulator's own gold paths know where everything is, may
//! take more than a hundred steps and roam through rooms; this expert searches, and is made for the 50 steps of the published protocol.
//!
//! A *family* is a group of task types that are solved alike: its plan, and the subtasks that only it needs. Subtasks
//! that several families use are in `common`.

pub(crate) mod common;
pub(crate) mod families;
pub(crate) mod map;
mod progress;

use stepladder_core::label::Expert;
use stepladder_core::query::{Query, Role};
use stepladder_core::reply::executor_reply;

use crate::view::Scene;

/// What a planner reads.
struct Plan<'a> {
    /// The task description.
    task: &'a str,
    /// Subtasks issued so far.
    earlier: &'a [String],
    /// Last progress text of the latest of them.
    progress: &'a str,
    /// What is in sight.
    scene: &'a Scene,
}

impl Plan<'_> {
    /// The latest subtask.
    fn last(&self) -> Option<&str> {
        self.earlier.last().map(String::as_str)
    }

    /// Whether the latest subtask ended with an action that the simulator refused.
    fn failed(&self) -> bool {
        progress::failed(self.progress)
    }

    /// Whether a subtask that begins like this was issued.
    fn issued(&self, start: &str) -> bool {
        self.earlier.iter().any(|subtask| subtask.starts_with(start))
    }
}

/// What an executor says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Act {
    action: String,
    finished: bool,
}

impl Act {
    /// An action after which the subtask goes on.
    fn then(action: impl Into<String>) -> Self {
        Self { action: action.into(), finished: false }
    }

    /// The last action of the subtask.
    fn last(action: impl Into<String>) -> Self {
        Self { action: action.into(), finished: true }
    }
}

/// A group of task types that are solved alike.
trait Family: Sync {
    /// The next subtask; none where the task is not of this family.
    fn plan(&self, plan: &Plan<'_>) -> Option<String>;

    /// The next action of a subtask that only this family issues; none for other subtasks.
    fn act(&self, subtask: &str, scene: &Scene, progress: &str) -> Option<Act> {
        let _ = (subtask, scene, progress);
        None
    }

    /// The progress text after an action of a subtask of its own; none where the usual text will do.
    fn note(&self, subtask: &str, previous: &str, action: &str, scene: &Scene) -> Option<String> {
        let _ = (subtask, previous, action, scene);
        None
    }
}

/// The expert of ScienceWorld's 24 task types of the published protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScienceWorldExpert;

/// What is planned where nothing is left to do, or for a task that no family knows.
pub(crate) const LOOK: &str = "look around";

impl ScienceWorldExpert {
    fn plan(self, plan: &Plan<'_>) -> String {
        families::ALL.iter().find_map(|family| family.plan(plan)).unwrap_or_else(|| LOOK.to_owned())
    }

    fn act(self, subtask: &str, scene: &Scene, progress: &str) -> Act {
        // A number answers a question about what was meant; the candidates are alike.
        if scene.feedback.starts_with("Ambiguous request") {
            return Act::then("0");
        }
        families::ALL
            .iter()
            .find_map(|family| family.act(subtask, scene, progress))
            .or_else(|| common::act(subtask, scene, progress))
            .unwrap_or_else(|| Act::last(LOOK))
    }

    fn note(self, subtask: &str, previous: &str, action: &str, scene: &Scene) -> String {
        families::ALL
            .iter()
            .find_map(|family| family.note(subtask, previous, action, scene))
            .or_else(|| common::note(subtask, previous, action, scene))
            .unwrap_or_else(|| progress::note(previous, action, scene))
    }
}

impl Expert for ScienceWorldExpert {
    fn reply(&self, query: &Query) -> Option<String> {
        Some(match query {
            Query::Planner { task, earlier, progress, observation } => {
                let scene = Scene::read(observation);
                self.plan(&Plan { task, earlier, progress, scene: &scene })
            }
            Query::Executor { subtask, observation, progress } => {
                let Act { action, finished } = self.act(subtask, &Scene::read(observation), progress);
                executor_reply(&action, finished)
            }
            Query::Progress { subtask, progress, action, observation } => {
                self.note(subtask, progress, action, &Scene::read(observation))
            }
            // What a flat history says is not enough for this expert: a flat agent clones the actions of its episodes.
            // Blueprints are taken from whole episodes.
            Query::Flat { .. } | Query::Macro { .. } | Query::Micro { .. } => return None,
        })
    }

    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Executor | Role::Progress)
    }
}
