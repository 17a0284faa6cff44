//! Success by the number of sub-goals in the expert's solution of a task.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde::Serialize;
use stepladder_core::trace::Episode;

use super::Comparison;
use crate::directory::RunDir;
use crate::error::{Result, bail};
use crate::statistics::Estimate;
use crate::{evaluated, results, trace_file};

/// Numbers of sub-goals from this one on are one class.
const MOST: usize = 6;

/// Success of an agent on the tasks of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// Number of sub-goals; the last class holds larger ones too. 0: the expert does not solve the task.
    pub subgoals: usize,
    /// Number of tasks.
    pub tasks: usize,
    /// Success with its interval, over the same runs as that on all tasks.
    #[serde(flatten)]
    pub success: Estimate,
}

/// Tasks by class.
fn classes(expert: &[Episode]) -> BTreeMap<usize, BTreeSet<String>> {
    let mut classes: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for episode in expert {
        let begun = episode.subtasks.iter().filter(|subtask| !subtask.steps.is_empty()).count();
        let class = if episode.won { begun.min(MOST) } else { 0 };
        classes.entry(class).or_default().insert(results::name(episode));
    }
    classes
}

impl Comparison {
    /// Adds success by the number of sub-goals of the expert to each row. The expert's solutions are those that a run kept when it was
    /// evaluated.
    ///
    /// # Errors
    /// If the run kept none, or they cannot be read.
    pub fn add_subgoals(&mut self, run: &RunDir) -> Result<()> {
        let path = run.root.join(format!("expert-{}.jsonl.zst", evaluated::stem(&self.target, false)));
        if !path.exists() {
            bail!(
                "{}: no such file; only runs whose environment has an expert keep its solutions",
                path.display()
            );
        }
        let expert = trace_file::load(&path).with_context(|| "solutions of the expert".to_owned())?;
        let classes = classes(&expert);
        for row in &mut self.rows {
            let of = |(&subgoals, tasks): (&usize, &BTreeSet<String>)| {
                let part = row.results.on(tasks);
                Some(Class { subgoals, tasks: part.tasks().len(), success: part.estimate()? })
            };
            row.by_subgoals = classes.iter().filter_map(of).filter(|class| class.tasks > 0).collect();
        }
        Ok(())
    }

    /// Renders the table of [`Comparison::add_subgoals`].
    pub(super) fn subgoals_markdown(&self) -> String {
        let classes: BTreeMap<usize, usize> = self
            .rows
            .iter()
            .flat_map(|row| &row.by_subgoals)
            .map(|class| (class.subgoals, class.tasks))
            .collect();
        let name = |(&subgoals, tasks): (&usize, &usize)| match subgoals {
            0 => format!(" not solved by the expert ({tasks}) |"),
            MOST => format!(" {MOST} and more ({tasks}) |"),
            _ => format!(" {subgoals} ({tasks}) |"),
        };
        let mut text = format!(
            "| success by the expert's number of sub-goals (tasks) |{}\n|---|{}\n",
            classes.iter().map(name).collect::<String>(),
            "---|".repeat(classes.len())
        );
        for row in &self.rows {
            let cell = |subgoals: &usize| {
                let found = row.by_subgoals.iter().find(|class| class.subgoals == *subgoals);
                found.map_or(" - |".to_owned(), |Class { success, .. }| {
                    let [mean, low, high] =
                        [success.mean, success.interval[0], success.interval[1]].map(|share| 100.0 * share);
                    format!(" {mean:.1} [{low:.1}, {high:.1}] |")
                })
            };
            text.push_str(&format!("| {} |{}\n", row.agent, classes.keys().map(cell).collect::<String>()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tasks_are_counted_by_what_the_expert_began() {
        let episode = |seed: u64, begun: usize, won: bool| {
            let step = json!({
                "turn": { "role": "executor", "reply": "up" }, "action": "up", "observation": "", "reward": 0.0, "won": false,
            });
            let mut subtasks = vec![json!({ "text": "push", "steps": [step] }); begun];
            subtasks.push(json!({ "text": "never begun", "steps": [] }));
            let task = json!({ "env": "sokoban", "split": "dev", "id": "1" });
            let start = json!({ "text": "", "task": "", "context": "", "family": "" });
            let episode = json!({
                "version": 1, "task": task, "seed": seed, "agent": "step_hrl", "policy": "", "start": start,
                "subtasks": subtasks, "won": won, "score": 0.0, "end": null,
            });
            serde_json::from_value::<Episode>(episode).unwrap()
        };
        let expert = [(1, 1, true), (2, 2, true), (3, 2, true), (4, 9, true), (5, 6, true), (6, 3, false)];
        let expert: Vec<Episode> =
            expert.iter().map(|&(seed, begun, won)| episode(seed, begun, won)).collect();
        let sizes =
            classes(&expert).into_iter().map(|(class, tasks)| (class, tasks.len())).collect::<Vec<_>>();
        assert_eq!(sizes, [(0, 1), (1, 1), (2, 2), (6, 2)]);
    }
}
