//! Interactive imitation (DAgger, arXiv:1011.0686): an expert labels every prompt of the policy's episodes.
//!
//! ```text
//! D ← D ∪ { (x, π*(x)) : x a prompt of an episode played by π }
//! ```
//! The expert is a function of the prompt (docs/design.md D11), so its reply fits the policy's subtasks and progress texts,
//! also wrong ones.

use stepladder_agent::AgentSpec;
use stepladder_agent::replay::{ReplayError, replay};
use stepladder_core::Role;
use stepladder_core::label::Expert;
use stepladder_core::trace::Episode;

use crate::samples::Sample;

/// A prompt of the policy with the expert's reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The policy's prompt, with the expert's reply as its target.
    pub sample: Sample,
    /// Whether the policy gave the same reply, so that its episode continued from it.
    pub agreed: bool,
}

/// Labels every prompt of an episode that the expert replies to. The expert reads the whole history of a flat episode, also
/// where the policy's prompt shows the latest pairs only.
///
/// The order is that of training rows: planner prompts first; of a flat episode, prompts with an agreeing reply first.
///
/// # Errors
/// [`ReplayError`] if the trace does not fit the agent.
pub fn relabel(spec: AgentSpec, episode: &Episode, expert: &dyn Expert) -> Result<Vec<Label>, ReplayError> {
    let shown = replay(spec, episode)?.decisions;
    let whole = match spec.history {
        Some(_) => replay(AgentSpec { history: None, ..spec }, episode)?.decisions,
        None => Vec::new(),
    };
    let mut labels: Vec<Label> = Vec::with_capacity(shown.len());
    for (at, decision) in shown.into_iter().enumerate() {
        let read = whole.get(at).map_or(&decision.query, |whole| &whole.query);
        let Some(reply) = expert.reply(read) else { continue };
        let agreed = reply == decision.reply && !decision.substituted;
        labels.push(Label { sample: Sample::new(decision.query, reply), agreed });
    }
    labels.sort_by_key(|label| match label.sample.role() {
        Role::Planner => 0,
        Role::Flat if !label.agreed => 2,
        _ => 1,
    });
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use stepladder_agent::AgentKind;
    use stepladder_core::Query;

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
        let labels = relabel(AgentKind::StepHrl.into(), &episode, &Parrot).unwrap();
        assert_eq!(labels.len(), episode.turns().count());
        for Label { sample, .. } in &labels {
            match &sample.query {
                Query::Progress { action, .. } => assert_eq!(sample.reply, format!("did {action}")),
                query => assert_eq!(Some(&sample.reply), Parrot.reply(query).as_ref()),
            }
        }
    }

    /// Replies to no prompt.
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
        for kind in [AgentKind::StepHrl, AgentKind::Flat, AgentKind::Himac] {
            assert_eq!(relabel(kind.into(), &episode(), &Mute).unwrap(), []);
        }
    }

    /// Returns the fixture's episode; the expert agrees with its first step only.
    fn played() -> Episode {
        let mut episode = episode();
        let steps = episode.subtasks.iter_mut().flat_map(|subtask| &mut subtask.steps);
        for (number, step) in steps.enumerate() {
            step.action = if number == 1 { "step 1".to_owned() } else { "wrong".to_owned() };
        }
        episode
    }

    #[test]
    fn a_flat_agent_keeps_what_the_expert_agrees_with() {
        let labels = relabel(AgentKind::Flat.into(), &played(), &Parrot).unwrap();
        let of = |label: &Label| (label.sample.reply.clone(), label.agreed);
        assert_eq!(
            labels.iter().map(of).collect::<Vec<_>>(),
            [("step 1".into(), true), ("step 0".into(), false)]
        );
        let rows: Vec<usize> = labels
            .iter()
            .map(|label| match &label.sample.query {
                Query::Flat { history, .. } => history.len(),
                query => panic!("{query:?}"),
            })
            .collect();
        assert_eq!(rows, [1, 0]);
    }

    #[test]
    fn the_expert_reads_more_than_a_policy_with_a_limited_history() {
        let spec = AgentSpec { history: Some(0), ..AgentKind::Flat.into() };
        let labels = relabel(spec, &played(), &Parrot).unwrap();
        for (Label { sample, agreed }, number) in labels.iter().zip([1, 0]) {
            assert_eq!((&sample.reply, *agreed), (&format!("step {number}"), number == 1));
            assert!(matches!(&sample.query, Query::Flat { history, .. } if history.is_empty()));
        }
    }
}
