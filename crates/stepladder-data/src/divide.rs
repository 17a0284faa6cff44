//! Division of an episode into subtasks of a [`Segmenter`], with progress texts of an [`Expert`]
//! (docs/spec/algorithms.md 3.0, steps 2 and 3).

use stepladder_agent::himac::Blueprint;
use stepladder_agent::{AgentFactory, AgentKind, AgentSpec, Want};
use stepladder_core::End;
use stepladder_core::label::{Demonstration, Expert, Segmenter};
use stepladder_core::query::Role;
use stepladder_core::reply::executor_reply;
use stepladder_core::trace::{Episode, Turn};

/// Error of the division of an episode.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DivideError {
    /// The segmenter failed.
    #[error("{task}: {reason}")]
    Segmenter {
        /// Task key.
        task: String,
        /// Message of the segmenter.
        reason: String,
    },
    /// The expert writes no progress texts.
    #[error("{task}: the environment has no expert that writes the progress texts of its subtasks")]
    NoProgress {
        /// Task key.
        task: String,
    },
    /// An action that an executor's reply cannot express.
    #[error("{task}: no reply of an executor names the action `{action}`")]
    Action {
        /// Task key.
        task: String,
        /// Action of the demonstration.
        action: String,
    },
    /// The segments do not cover the actions exactly.
    #[error("{task}: the segments cover {covered} of {actions} actions, or one of them is empty")]
    Coverage {
        /// Task key.
        task: String,
        /// Sum of the segments' lengths.
        covered: usize,
        /// Number of actions of the demonstration.
        actions: usize,
    },
}

/// Returns the part of an episode that a segmenter reads.
pub fn demonstration(episode: &Episode) -> Demonstration {
    Demonstration {
        task: episode.start.task.clone(),
        context: episode.start.context.clone(),
        steps: episode.steps().map(|step| (step.action.clone(), step.observation.clone())).collect(),
    }
}

/// Divides an episode into subtasks with flags and progress texts, in place of its own hierarchy.
///
/// The last action of the episode gets no progress text. In an episode that the step limit truncated, the last subtask is
/// not finished.
///
/// # Errors
/// [`DivideError`] if the segmenter fails, a segment is empty, the segments do not cover the actions exactly, an action
/// cannot be expressed in an executor's reply, or the expert writes no progress texts.
pub fn divide(
    episode: &Episode,
    segmenter: &dyn Segmenter,
    expert: &dyn Expert,
) -> Result<Episode, DivideError> {
    let task = episode.task.to_string();
    let segments = segmenter
        .segment(&demonstration(episode))
        .map_err(|reason| DivideError::Segmenter { task: task.clone(), reason })?;
    let (covered, actions) = (segments.iter().map(|segment| segment.len).sum(), episode.len());
    if covered != actions || segments.iter().any(|segment| segment.len == 0) {
        return Err(DivideError::Coverage { task, covered, actions });
    }
    let mut agent = AgentSpec::from(AgentKind::StepHrl).make(0, &Blueprint::Own);
    agent.start(&episode.start);
    let mut steps = episode.steps();
    for segment in segments {
        agent.on_reply(Turn::said(Role::Planner, segment.subtask));
        for (position, step) in steps.by_ref().take(segment.len).enumerate() {
            let finished = position + 1 == segment.len && step.end != Some(End::Truncated);
            let reply = executor_reply(&step.action, finished);
            if agent.on_reply(Turn::said(Role::Executor, reply)) != Want::Act(step.action.clone()) {
                return Err(DivideError::Action { task, action: step.action.clone() });
            }
            let Want::Reply(query) = agent.on_step(&step.answer()) else { continue };
            if query.role() == Role::Progress && step.end.is_none() {
                let written =
                    expert.reply(&query).ok_or_else(|| DivideError::NoProgress { task: task.clone() })?;
                agent.on_reply(Turn::said(Role::Progress, written));
            }
        }
    }
    Ok(Episode { agent: AgentKind::StepHrl.name().to_owned(), subtasks: agent.trace(), ..episode.clone() })
}
