//! Success by the number of sub-goals in the expert's solution of a task.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use stepladder_core::trace::Episode;

use super::row::{Class, Row};
use crate::error::{Result, bail};
use crate::{evaluated, results, trace_file};

/// Numbers of sub-goals from this one on are one class.
const MOST: usize = 6;

/// Fewest tasks of a class with an interval; for fewer the variance over tasks is not known well enough.
const FEWEST: usize = 10;

/// Tasks by class.
fn classes(expert: &[Episode]) -> BTreeMap<Option<usize>, BTreeSet<String>> {
    let mut classes: BTreeMap<Option<usize>, BTreeSet<String>> = BTreeMap::new();
    for episode in expert {
        let begun = episode.subtasks.iter().filter(|subtask| !subtask.steps.is_empty()).count();
        let class = episode.won.then_some(begun.min(MOST));
        classes.entry(class).or_default().insert(results::name(episode));
    }
    classes
}

/// Adds success by the number of sub-goals of the expert to each row of a comparison on `target`. The expert's solutions are those that
/// the runs kept when they were evaluated.
///
/// # Errors
/// If no run kept solutions of these tasks, they cannot be read, or the runs kept no episodes.
pub(super) fn add(rows: &mut [Row], target: &str, runs: &[PathBuf]) -> Result<()> {
    let mut expert: Vec<Episode> = Vec::new();
    let name = format!("expert-{}.jsonl.zst", evaluated::stem(target, false));
    for path in runs.iter().map(|run| run.join(&name)).filter(|path| path.exists()) {
        expert.extend(trace_file::load(&path)?);
    }
    if expert.is_empty() {
        bail!(
            "none of these runs has {name}, the expert's solutions of a split that it plays itself: name --on one of its own splits, \
             continue a run with stepladder train --resume, or leave out --by-subgoals"
        );
    }
    let classes = classes(&expert);
    for row in rows.iter_mut() {
        let of = |(&subgoals, tasks): (&Option<usize>, &BTreeSet<String>)| {
            let part = row.results.on(tasks);
            let tasks = part.tasks().len();
            (tasks > 0).then(|| Some(Class { subgoals, tasks, success: row.estimate(&part)? }))?
        };
        row.by_subgoals = classes.iter().filter_map(of).collect();
    }
    if rows.iter().all(|row| row.by_subgoals.is_empty()) {
        bail!(
            "{}: the runs kept no episodes of the tasks that the expert solved, so success by sub-goals is not known; evaluate them again, \
             or leave out --by-subgoals",
            target
        );
    }
    Ok(())
}

/// Renders the table of [`add`].
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut most: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    for class in rows.iter().flat_map(|row| &row.by_subgoals) {
        let tasks = most.entry(class.subgoals).or_default();
        *tasks = class.tasks.max(*tasks);
    }
    let name = |(subgoals, tasks): (&Option<usize>, &usize)| match subgoals {
        None => format!(" not solved by the expert ({tasks}) |"),
        Some(MOST) => format!(" {MOST} and more ({tasks}) |"),
        Some(subgoals) => format!(" {subgoals} ({tasks}) |"),
    };
    let mut text = format!(
        "| success by the expert's number of sub-goals (tasks) |{}\n|---|{}\n",
        most.iter().map(name).collect::<String>(),
        "---|".repeat(most.len())
    );
    for row in rows {
        let cell = |(subgoals, most): (&Option<usize>, &usize)| {
            let Some(class) = row.by_subgoals.iter().find(|class| class.subgoals == *subgoals) else {
                return " - |".to_owned();
            };
            let [mean, low, high] =
                [class.success.mean, class.success.interval[0], class.success.interval[1]]
                    .map(|share| 100.0 * share);
            let interval =
                if class.tasks < FEWEST { String::new() } else { format!(" [{low:.1}, {high:.1}]") };
            let tasks = if class.tasks == *most { String::new() } else { format!(" ({})", class.tasks) };
            format!(" {mean:.1}{interval}{tasks} |")
        };
        text.push_str(&format!("| {} |{}\n", row.agent, most.iter().map(cell).collect::<String>()));
    }
    text + &format!("\nIntervals: as above; none for fewer than {FEWEST} tasks.\n")
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
        assert_eq!(sizes, [(None, 1), (Some(1), 1), (Some(2), 2), (Some(6), 2)]);
    }
}
