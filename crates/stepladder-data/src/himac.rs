//! What HiMAC's policies learn from a demonstration with subtasks: the subtasks, in hindsight, are the blueprint.
//!
//! The prompts are those that `stepladder_agent::himac` writes when it follows that blueprint.

use stepladder_core::blueprint::{MOST, write, write_micro};
use stepladder_core::reply::{Profile, parse_action_done};
use stepladder_core::trace::Episode;
use stepladder_core::{Observation, Query};

use crate::streams::Sample;

/// The sub-goals of a demonstration; none without subtasks.
///
/// Subtasks beyond the eighth have no place in a blueprint: their steps belong to the eighth.
pub fn subgoals(episode: &Episode) -> Vec<String> {
    let issued = episode.subtasks.iter().filter(|subtask| !subtask.steps.is_empty());
    issued.map(|subtask| subtask.text.clone()).take(MOST).collect()
}

/// The samples of a demonstration in the order in which the policies speak: the blueprint, then each action, which is
/// `done` where its subtask ends. The micro prompt shows the latest `history` pairs of a segment; without `sub_done` no
/// reply declares anything.
///
/// Where the played action was not the expert's (noisy rollouts), the target is what the expert had said, and the blueprint
/// is no target: part of it only makes good what the noise had done.
pub fn demonstrated(episode: &Episode, history: usize, sub_done: bool) -> Vec<Sample> {
    let blueprint = subgoals(episode);
    let task = &episode.start.task;
    let mut observation = Observation::first(&episode.start);
    let mut samples = Vec::with_capacity(episode.len() + 1);
    if !blueprint.is_empty() && episode.steps().all(|step| step.expert.is_none()) {
        let query = Query::Macro { task: task.clone(), observation: observation.clone() };
        samples.push(Sample { query, reply: write(&blueprint) });
    }
    let issued = episode.subtasks.iter().filter(|subtask| !subtask.steps.is_empty());
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (index, subtask) in issued.enumerate() {
        if index < MOST {
            pairs.clear();
        }
        for (place, step) in subtask.steps.iter().enumerate() {
            let query = Query::Micro {
                task: task.clone(),
                blueprint: blueprint.clone(),
                active: index.min(MOST - 1),
                history: pairs[pairs.len().saturating_sub(history)..].to_vec(),
                observation: observation.clone(),
            };
            let labelled = step.expert.as_ref().map(|reply| parse_action_done(reply, Profile::Fixed));
            let ends = place + 1 == subtask.steps.len();
            let (action, done) = match &labelled {
                Some(label) => (label.action.as_str(), label.finished),
                None => (step.action.as_str(), ends),
            };
            samples.push(Sample { query, reply: write_micro(Some(action), done && sub_done) });
            let seen = std::mem::replace(&mut observation.feedback, step.observation.clone());
            if let Some(context) = &step.context {
                observation.context.clone_from(context);
            }
            pairs.push((seen, step.action.clone()));
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_shows_the_context_of_its_moment() {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let mut episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        episode.start.context = "room 0".into();
        let steps = episode.subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps);
        for (number, step) in steps.enumerate() {
            step.context = Some(format!("room {}", number + 1));
        }
        let rooms: Vec<String> = demonstrated(&episode, 5, true)
            .into_iter()
            .filter_map(|sample| match sample.query {
                Query::Micro { observation, .. } => Some(observation.context),
                _ => None,
            })
            .collect();
        assert_eq!(rooms, ["room 0", "room 1"]);
    }
}
