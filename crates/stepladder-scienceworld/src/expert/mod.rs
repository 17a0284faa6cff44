//! Rule-based expert: planner, executor and progress writer as functions of their prompts (docs/design.md
//! D11).
//!
//! They keep no state between calls and use only the prompt, so equal prompts always get equal replies, in
//! any state that a policy reaches. The simulator's gold paths know where everything is, may take more than a
//! hundred steps and walk through rooms without need; this expert searches, and is written for the 50 steps
//! of the published protocol.
//!
//! A *family* is a group of task types with one method of solution: its plan and the subtasks that only it
//! uses. Shared subtasks are in `common`.

mod common;
mod families;
pub(crate) mod map;
mod plan;
mod progress;

use stepladder_core::label::Expert;
use stepladder_core::query::{Query, Role};
use stepladder_core::reply::executor_reply;

use crate::view::Scene;
use plan::{Act, PlannerInput};

/// Expert of the 24 task types of the published protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScienceWorldExpert;

/// Reply if nothing is left to do, and for tasks that no family knows.
const LOOK: &str = "look around";

impl ScienceWorldExpert {
    fn plan(self, plan: &PlannerInput<'_>) -> String {
        families::ALL.iter().find_map(|family| family.plan(plan)).unwrap_or_else(|| LOOK.to_owned())
    }

    fn act(self, subtask: &str, scene: &Scene, progress: &str) -> Act {
        // The simulator asks which thing is meant; the candidates are equivalent.
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
                self.plan(&PlannerInput { task, earlier, progress, scene: &scene })
            }
            Query::Executor { subtask, observation, progress } => {
                let Act { action, finished } = self.act(subtask, &Scene::read(observation), progress);
                executor_reply(&action, finished)
            }
            Query::Progress { subtask, progress, action, observation } => {
                self.note(subtask, progress, action, &Scene::read(observation))
            }
            // A flat history is not enough for this expert: flat agents clone the actions of its episodes.
            // Blueprints are derived from whole episodes.
            Query::Flat { .. } | Query::Macro { .. } | Query::Micro { .. } => return None,
        })
    }

    fn answers(&self, role: Role) -> bool {
        matches!(role, Role::Planner | Role::Executor | Role::Progress)
    }
}
