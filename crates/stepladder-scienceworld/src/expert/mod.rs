//! The rule-based expert: planner, executor and progress writer as functions of prompt contents (design D11).
//!
//! None of them keeps anything between calls and none knows more than the prompt says, so the same prompt always gets the
//! same reply, at any state a learner may bring it into. The simulator's own gold paths know where everything is, may
//! take more than a hundred steps and roam through rooms; this expert searches, and is made for the 50 steps of the published protocol.
//!
//! A *family* is a group of task types that are solved alike: its plan, and the subtasks that only it needs. Subtasks
//! that several families use are in `common`.

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

/// The expert of ScienceWorld's 24 task types of the published protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScienceWorldExpert;

/// What is planned where nothing is left to do, or for a task that no family knows.
const LOOK: &str = "look around";

impl ScienceWorldExpert {
    fn plan(self, plan: &PlannerInput<'_>) -> String {
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
                self.plan(&PlannerInput { task, earlier, progress, scene: &scene })
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
