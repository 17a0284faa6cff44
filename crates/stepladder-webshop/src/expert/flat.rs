//! The flat role: the hierarchy is replayed over the history.
//!
//! Planner, executor and progress writer are functions of what they read, so the history tells what each of them would have said.

use stepladder_core::query::NO_PROGRESS;

use super::{Scene, executor, planner, recorder};

/// Returns the next action.
pub(super) fn act(task: &str, context: &str, history: &[(String, String)]) -> String {
    let (mut page, steps) = match history.split_first() {
        Some(((action, answer), rest)) if action.is_empty() => (answer.as_str(), rest),
        _ => (context, history),
    };
    let mut memory = Memory { earlier: Vec::new(), subtask: None, progress: NO_PROGRESS.to_owned() };
    for (action, answer) in steps {
        let finished = memory.next(page, task).1;
        memory.record(action, answer, task);
        if finished {
            memory.subtask = None;
        }
        page = answer;
    }
    memory.next(page, task).0
}

/// What the roles of the hierarchy would remember.
struct Memory {
    earlier: Vec<String>,
    /// Subtask that is not finished.
    subtask: Option<String>,
    progress: String,
}

impl Memory {
    /// Returns the executor's action and flag. Asks the planner first if a subtask is due.
    fn next(&mut self, page: &str, task: &str) -> (String, bool) {
        let scene = Scene::new(page, task);
        let subtask = self.subtask.get_or_insert_with(|| {
            let subtask = planner::plan(&scene, &self.earlier, &self.progress);
            self.earlier.push(subtask.clone());
            self.progress = NO_PROGRESS.to_owned();
            subtask
        });
        executor::act(&scene, subtask, &self.progress)
    }

    fn record(&mut self, action: &str, answer: &str, task: &str) {
        let Some(subtask) = &self.subtask else { return };
        self.progress = recorder::record(&Scene::new(answer, task), subtask, &self.progress, action);
    }
}
