//! Interactive imitation (DAgger; Ross, Gordon and Bagnell 2011): the learner has played, the expert says what it would
//! have replied to every prompt that the learner met.
//!
//! ```text
//! D ← D ∪ { (x, π*(x)) : x a prompt of an episode played by π }
//! ```
//! The expert is a function of the prompt (design D11), so its answer fits the learner's own subtasks and progress
//! texts, wrong ones included.

use stepladder_core::label::Expert;
use stepladder_core::reply::clean_progress;
use stepladder_core::trace::Episode;
use stepladder_core::{Observation, Query, Role};

use crate::streams::{FlatEpisode, FlatStep, Sample, view};

/// One sample for every planner, executor and progress prompt that the learner was asked and the expert answers.
pub fn relabel(episode: &Episode, expert: &dyn Expert) -> Vec<Sample> {
    let label = |query: Query| {
        let reply = expert.reply(&query)?;
        let reply = if query.role() == Role::Progress { clean_progress(&reply) } else { reply };
        Some(Sample { query, reply })
    };
    let view = view(episode);
    let issued = episode.subtasks.iter().map(|subtask| subtask.turn.is_some());
    let mut samples: Vec<Sample> = view
        .planner
        .into_iter()
        .zip(issued)
        .filter(|(_, asked)| *asked)
        .filter_map(|(query, _)| label(query))
        .collect();
    for step in view.steps {
        samples.extend(label(step.executor));
        if step.step.progress_turn.is_some() {
            samples.extend(label(step.progress));
        }
    }
    samples
}

/// The same for a flat learner: its episode, in which only the actions that the expert agrees with are to be learnt, and
/// one episode for every other decision, which ends with the expert's action. Nothing is to be learnt from a decision that
/// the expert does not answer.
pub fn relabel_flat(episode: &Episode, expert: &dyn Expert) -> Vec<FlatEpisode> {
    let (task, context) = (&episode.start.task, &episode.start.context);
    let mut now = context.clone();
    let opening = Observation::first(&episode.start).feedback;
    let mut history: Vec<(String, String)> =
        (!opening.is_empty()).then(|| (String::new(), opening.clone())).into_iter().collect();
    let mut played: Vec<FlatStep> = Vec::new();
    let mut corrected = Vec::new();
    for step in episode.steps() {
        let wanted =
            expert.reply(&Query::Flat { task: task.clone(), context: now.clone(), history: history.clone() });
        let agreed = wanted.as_ref() == Some(&step.action);
        if let Some(wanted) = wanted.filter(|_| !agreed) {
            let read_only = |step: &FlatStep| FlatStep { target: false, ..step.clone() };
            let mut steps: Vec<FlatStep> = played.iter().map(read_only).collect();
            steps.push(FlatStep { action: wanted, answer: String::new(), target: true, context: None });
            corrected.push(FlatEpisode {
                task: task.clone(),
                context: context.clone(),
                opening: opening.clone(),
                steps,
            });
        }
        history.push((step.action.clone(), step.observation.clone()));
        if let Some(context) = &step.context {
            now.clone_from(context);
        }
        played.push(FlatStep {
            action: step.action.clone(),
            answer: step.observation.clone(),
            target: agreed,
            context: step.context.clone(),
        });
    }
    corrected.insert(0, FlatEpisode { task: task.clone(), context: context.clone(), opening, steps: played });
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Parrot;

    impl Expert for Parrot {
        fn reply(&self, query: &Query) -> Option<String> {
            Some(match query {
                Query::Planner { earlier, .. } => format!("plan {}", earlier.len()),
                Query::Executor { subtask, .. } => format!("act on {subtask}; False"),
                Query::Progress { action, .. } => format!("did {action} || [Checked: ]"),
                Query::Flat { history, .. } => format!("step {}", history.len()),
                Query::Macro { .. } | Query::Micro { .. } => return None,
            })
        }

        fn answers(&self, role: Role) -> bool {
            !matches!(role, Role::Macro | Role::Micro)
        }
    }

    fn episode() -> Episode {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap()
    }

    #[test]
    fn every_prompt_that_was_asked_gets_the_experts_reply() {
        let episode = episode();
        let samples = relabel(&episode, &Parrot);
        assert_eq!(samples.len(), episode.turns().count());
        for sample in &samples {
            match &sample.query {
                Query::Progress { action, .. } => assert_eq!(sample.reply, format!("did {action}")),
                query => assert_eq!(Some(&sample.reply), Parrot.reply(query).as_ref()),
            }
        }
    }

    /// Plays no role at all.
    struct Mute;

    impl Expert for Mute {
        fn reply(&self, _query: &Query) -> Option<String> {
            None
        }

        fn answers(&self, _role: Role) -> bool {
            false
        }
    }

    #[test]
    fn nothing_is_learnt_from_prompts_that_the_expert_does_not_answer() {
        let episode = episode();
        assert_eq!(relabel(&episode, &Mute), []);
        let flat = relabel_flat(&episode, &Mute);
        assert_eq!(flat.len(), 1);
        assert!(flat[0].steps.iter().all(|step| !step.target));
    }

    #[test]
    fn a_flat_learner_keeps_what_the_expert_agrees_with() {
        let mut episode = episode();
        let mut number = 0;
        for step in episode.subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps) {
            step.action = if number == 0 { "step 0".to_owned() } else { "wrong".to_owned() };
            number += 1;
        }
        let all = relabel_flat(&episode, &Parrot);
        assert_eq!(all.len(), 1 + number - 1);
        assert_eq!(all[0].steps.iter().map(|step| step.target).collect::<Vec<_>>(), [true, false]);
        let last = &all[1].steps;
        assert_eq!(last.len(), 2);
        assert_eq!((last[0].action.as_str(), last[0].target), ("step 0", false));
        assert_eq!((last[1].action.as_str(), last[1].target), ("step 1", true));
    }
}
