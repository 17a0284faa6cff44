//! Demonstrations of agents that lack a part of the method: the same episode, seen by the poorer agent.

use stepladder_core::query::NO_PROGRESS;
use stepladder_core::reply::remember;
use stepladder_core::trace::{Episode, Subtask};

/// What an agent keeps of the progress text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgressText {
    /// All of it.
    #[default]
    Full,
    /// The fact, without the list of places that were looked into.
    Unchecked,
    /// The actions of the subtask and their answers instead; nobody writes it.
    History,
    /// Nothing: the slot stays at [`NO_PROGRESS`] and nobody is asked to fill it.
    None,
}

/// A progress text without its `[Checked: …]` list.
///
/// ```
/// use stepladder_data::ablate::unchecked;
/// assert_eq!(unchecked("searching || [Checked: shelf 1, shelf 2]"), "searching");
/// assert_eq!(unchecked("at desk 1"), "at desk 1");
/// ```
pub fn unchecked(text: &str) -> &str {
    let end = text.find("|| [Checked:").unwrap_or(text.len());
    text[..end].trim()
}

/// The episode as an agent with this progress text would have gone through it.
pub fn with_progress(mut episode: Episode, progress: ProgressText) -> Episode {
    let steps = episode.subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps);
    match progress {
        ProgressText::Full => {}
        ProgressText::Unchecked => {
            for step in steps {
                if let Some(text) = &mut step.progress {
                    *text = unchecked(text).to_owned();
                }
                if let Some(turn) = &mut step.progress_turn {
                    turn.reply = unchecked(&turn.reply).to_owned();
                }
            }
        }
        ProgressText::History => {
            for subtask in &mut episode.subtasks {
                let mut history = NO_PROGRESS.to_owned();
                for step in &mut subtask.steps {
                    history = remember(&history, &step.action, &step.observation);
                    (step.progress, step.progress_turn) = (Some(history.clone()), None);
                }
            }
        }
        ProgressText::None => {
            for step in steps {
                (step.progress, step.progress_turn) = (None, None);
            }
        }
    }
    episode
}

/// The episode of an agent without planner: the task is its only subtask, and its progress text holds the last one of
/// every finished subtask, oldest first, before the current one.
///
/// Nothing else tells such an agent what it has done already, so the facts that the planner would have read stay in
/// the text. The executor says `True` with the last action only.
pub fn without_planner(episode: Episode) -> Episode {
    let mut finished: Vec<String> = Vec::new();
    let mut steps = Vec::with_capacity(episode.len());
    let count = episode.subtasks.len();
    for (index, subtask) in episode.subtasks.into_iter().enumerate() {
        let mut last = NO_PROGRESS.to_owned();
        for mut step in subtask.steps {
            let together = |text: &str| {
                let parts: Vec<&str> = finished.iter().map(String::as_str).chain([text]).collect();
                parts.join(" ; ")
            };
            if let Some(text) = &mut step.progress {
                last.clone_from(text);
                *text = together(text);
            }
            if let Some(turn) = &mut step.progress_turn {
                turn.reply = together(&turn.reply);
            }
            if index + 1 < count {
                step.finished = false;
                step.expert = step.expert.map(|reply| open(&reply));
            }
            steps.push(step);
        }
        // What was searched matters no more once the search is over.
        finished.push(unchecked(&last).to_owned());
    }
    let whole = Subtask { text: episode.start.task.clone(), turn: None, steps };
    Episode { subtasks: vec![whole], ..episode }
}

/// An executor's reply with the flag `False`.
fn open(reply: &str) -> String {
    let read = stepladder_core::reply::parse_action_done(reply, stepladder_core::reply::Profile::Fixed);
    stepladder_core::reply::executor_reply(&read.action, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::hierarchical;
    use stepladder_core::{Query, Role};

    fn episode() -> Episode {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap()
    }

    fn with_texts(texts: &[&[&str]]) -> Episode {
        let mut episode = episode();
        let step = episode.steps().find(|step| step.progress_turn.is_some()).unwrap().clone();
        let subtask = episode.subtasks[0].clone();
        episode.subtasks = texts
            .iter()
            .enumerate()
            .map(|(number, texts)| Subtask {
                text: format!("subtask {number}"),
                steps: texts
                    .iter()
                    .enumerate()
                    .map(|(at, text)| {
                        let mut step = step.clone();
                        step.progress = Some((*text).to_owned());
                        step.progress_turn.as_mut().unwrap().reply = (*text).to_owned();
                        step.finished = at + 1 == texts.len();
                        step
                    })
                    .collect(),
                ..subtask.clone()
            })
            .collect();
        episode
    }

    #[test]
    fn without_progress_only_planner_and_executor_learn() {
        let plain = with_progress(with_texts(&[&["a", "b"], &["c"]]), ProgressText::None);
        let samples = hierarchical(&plain);
        assert!(samples.iter().all(|sample| sample.role() != Role::Progress));
        for sample in samples {
            let (Query::Executor { progress, .. } | Query::Planner { progress, .. }) = sample.query else {
                panic!()
            };
            assert_eq!(progress, NO_PROGRESS);
        }
    }

    #[test]
    fn without_a_planner_finished_facts_stay_in_the_progress_text() {
        let flat = without_planner(with_texts(&[
            &["looking || [Checked: x]", "took it || [Checked: x]"],
            &["put it"],
        ]));
        assert_eq!(flat.subtasks.len(), 1);
        assert_eq!(flat.subtasks[0].text, flat.start.task);
        let texts: Vec<_> = flat.steps().map(|step| step.progress.clone().unwrap()).collect();
        assert_eq!(texts, ["looking || [Checked: x]", "took it || [Checked: x]", "took it ; put it"]);
        assert_eq!(flat.steps().map(|step| step.finished).collect::<Vec<_>>(), [false, false, true]);
        assert!(hierarchical(&flat).iter().all(|sample| sample.role() != Role::Planner || {
            matches!(&sample.query, Query::Planner { earlier, .. } if earlier.is_empty())
        }));
    }
}
