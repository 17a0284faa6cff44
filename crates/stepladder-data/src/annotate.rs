//! Gives a bare demonstration its hierarchy: subtasks from a [`Segmenter`], progress texts from an [`Expert`]
//! (docs/spec/algorithms.md 3.0, steps 2 and 3).

use stepladder_agent::himac::Blueprint;
use stepladder_agent::{AgentFactory, AgentKind, AgentSpec, Want};
use stepladder_core::End;
use stepladder_core::label::{Demonstration, Expert, Segmenter};
use stepladder_core::query::Role;
use stepladder_core::reply::executor_reply;
use stepladder_core::trace::{Episode, Turn};

/// Why a demonstration cannot become training data.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnnotateError {
    /// It does not solve its task.
    #[error("{task}: the demonstration does not solve its task")]
    NotSolved {
        /// Task key.
        task: String,
    },
    /// The segmenter gave up.
    #[error("{task}: {reason}")]
    Segmenter {
        /// Task key.
        task: String,
        /// Its words.
        reason: String,
    },
    /// The expert writes no progress texts.
    #[error("{task}: the environment has no expert that writes the progress texts of its subtasks")]
    NoProgress {
        /// Task key.
        task: String,
    },
    /// An action that a reply cannot hold.
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
        /// Sum of the lengths.
        covered: usize,
        /// Actions of the demonstration.
        actions: usize,
    },
}

/// What the segmenter sees of an episode.
pub fn demonstration(episode: &Episode) -> Demonstration {
    Demonstration {
        task: episode.start.task.clone(),
        context: episode.start.context.clone(),
        steps: episode.steps().map(|step| (step.action.clone(), step.observation.clone())).collect(),
    }
}

/// A solved episode as training data: [`divide`]d.
///
/// # Errors
/// See [`AnnotateError`]; only solved episodes with an exact, non-empty segmentation are accepted.
pub fn annotate(
    episode: &Episode,
    segmenter: &dyn Segmenter,
    expert: &dyn Expert,
) -> Result<Episode, AnnotateError> {
    if !episode.won || episode.end != Some(End::Terminated) {
        return Err(AnnotateError::NotSolved { task: episode.task.to_string() });
    }
    divide(episode, segmenter, expert)
}

/// The same episode with subtasks, flags and progress texts; whatever hierarchy it had is replaced.
///
/// The action that ends the episode gets no progress text. One that a limit cut off did not finish its last subtask.
///
/// # Errors
/// See [`AnnotateError`]; only an exact, non-empty segmentation is accepted.
pub fn divide(
    episode: &Episode,
    segmenter: &dyn Segmenter,
    expert: &dyn Expert,
) -> Result<Episode, AnnotateError> {
    let task = episode.task.to_string();
    let segments = segmenter
        .segment(&demonstration(episode))
        .map_err(|reason| AnnotateError::Segmenter { task: task.clone(), reason })?;
    let (covered, actions) = (segments.iter().map(|segment| segment.len).sum(), episode.len());
    if covered != actions || segments.iter().any(|segment| segment.len == 0) {
        return Err(AnnotateError::Coverage { task, covered, actions });
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
                return Err(AnnotateError::Action { task, action: step.action.clone() });
            }
            let Want::Reply(query) = agent.on_step(&step.answer()) else { continue };
            if query.role() == Role::Progress && step.end.is_none() {
                let written =
                    expert.reply(&query).ok_or_else(|| AnnotateError::NoProgress { task: task.clone() })?;
                agent.on_reply(Turn::said(Role::Progress, written));
            }
        }
    }
    Ok(Episode { agent: AgentKind::StepHrl.name().to_owned(), subtasks: agent.trace(), ..episode.clone() })
}
