//! Input of planners, reply of executors, and the trait of the task families.

use super::progress;
use crate::view::Scene;

/// Contents of a planner prompt.
pub(super) struct PlannerInput<'a> {
    /// The task description.
    pub(super) task: &'a str,
    /// Subtasks issued so far.
    pub(super) earlier: &'a [String],
    /// Last progress text of the latest subtask.
    pub(super) progress: &'a str,
    /// Visible things.
    pub(super) scene: &'a Scene,
}

impl PlannerInput<'_> {
    /// Returns the latest subtask.
    pub(super) fn last(&self) -> Option<&str> {
        self.earlier.last().map(String::as_str)
    }

    /// Whether the latest subtask ended with a refused action.
    pub(super) fn failed(&self) -> bool {
        progress::failed(self.progress)
    }

    /// Whether a subtask with this prefix was issued.
    pub(super) fn issued(&self, start: &str) -> bool {
        self.earlier.iter().any(|subtask| subtask.starts_with(start))
    }
}

/// Reply of an executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) action: String,
    pub(super) finished: bool,
}

impl Act {
    /// Creates a reply after which the subtask continues.
    pub(super) fn then(action: impl Into<String>) -> Self {
        Self { action: action.into(), finished: false }
    }

    /// Creates the last reply of the subtask.
    pub(super) fn last(action: impl Into<String>) -> Self {
        Self { action: action.into(), finished: true }
    }
}

/// Group of task types with one method of solution.
pub(super) trait TaskFamily: Sync {
    /// Returns the next subtask; `None` for tasks of other families.
    fn plan(&self, plan: &PlannerInput<'_>) -> Option<String>;

    /// Returns the next action of a subtask that only this family issues; `None` for other subtasks.
    fn act(&self, subtask: &str, scene: &Scene, progress: &str) -> Option<Act> {
        let _ = (subtask, scene, progress);
        None
    }

    /// Returns the progress text after an action of such a subtask; `None` for the usual text.
    fn note(&self, subtask: &str, previous: &str, action: &str, scene: &Scene) -> Option<String> {
        let _ = (subtask, previous, action, scene);
        None
    }
}
