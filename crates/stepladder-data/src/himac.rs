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
            pairs.push((seen, step.action.clone()));
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_agent::himac::{Himac, HimacOptions, Limits};
    use stepladder_agent::scheduler::Blueprint;
    use stepladder_agent::{Agent, Want};
    use stepladder_core::{Role, Step};

    /// Plays the demonstration again with an agent that says what the samples say; its prompts are the samples'.
    #[test]
    fn the_prompts_are_those_of_the_agent() {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let mut episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let more = episode.subtasks[0].clone();
        episode.subtasks.push(more);
        episode.subtasks[1].text = "again".into();
        let end = episode.subtasks[0].steps.last_mut().unwrap().end.take();
        episode.subtasks[1].steps.last_mut().unwrap().end = end;
        for history in [0, 1, 5] {
            let samples = demonstrated(&episode, history, true);
            let options =
                HimacOptions { limit: 50, history, limits: Limits::Declared, blueprint: Blueprint::Own };
            let mut agent = Himac::new(options);
            let mut want = agent.start(&episode.start);
            let mut steps = episode.steps();
            let mut turn = episode.turns().next().unwrap().clone();
            for sample in &samples {
                assert_eq!(want, Want::Reply(sample.query.clone()));
                (turn.role, turn.reply) = (sample.role(), sample.reply.clone());
                want = agent.on_reply(turn.clone());
                if sample.role() == Role::Macro {
                    continue;
                }
                let step = steps.next().unwrap();
                assert_eq!(want, Want::Act(step.action.clone()));
                let (observation, end) = (step.observation.clone(), step.end);
                want =
                    agent.on_step(&Step { observation, reward: 0.0, won: false, unknown_action: false, end });
            }
            assert_eq!(samples.len(), episode.len() + 1);
            assert_eq!(want, Want::Finished);
        }
    }
}
