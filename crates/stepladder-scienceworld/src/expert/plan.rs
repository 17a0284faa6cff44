//! What planners read, what executors say, and the trait of the task families.

use super::progress;
use crate::view::Scene;

/// What a planner reads.
pub(super) struct PlannerInput<'a> {
    /// The task description.
    pub(super) task: &'a str,
    /// Subtasks issued so far.
    pub(super) earlier: &'a [String],
    /// Last progress text of the latest of them.
    pub(super) progress: &'a str,
    /// What is in sight.
    pub(super) scene: &'a Scene,
}

impl PlannerInput<'_> {
    /// The latest subtask.
    pub(super) fn last(&self) -> Option<&str> {
        self.earlier.last().map(String::as_str)
    }

    /// Whether the latest subtask ended with an action that the simulator refused.
    pub(super) fn failed(&self) -> bool {
        progress::failed(self.progress)
    }

    /// Whether a subtask that begins like this was issued.
    pub(super) fn issued(&self, start: &str) -> bool {
        self.earlier.iter().any(|subtask| subtask.starts_with(start))
    }
}

/// What an executor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) action: String,
    pub(super) finished: bool,
}

impl Act {
    /// An action after which the subtask goes on.
    pub(super) fn then(action: impl Into<String>) -> Self {
        Self { action: action.into(), finished: false }
    }

    /// The last action of the subtask.
    pub(super) fn last(action: impl Into<String>) -> Self {
        Self { action: action.into(), finished: true }
    }
}

/// A group of task types that are solved alike.
pub(super) trait TaskFamily: Sync {
    /// The next subtask; none where the task is not of this family.
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String>;

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
