//! Gives a bare demonstration its hierarchy: subtasks from a [`Segmenter`], progress texts from a [`ProgressLabeller`]
//! (spec/algorithms 3.0, steps 2 and 3).

use stepladder_core::label::{Demonstration, ProgressLabeller, Segmenter};
use stepladder_core::query::{NO_PROGRESS, Role};
use stepladder_core::reply::{clean_progress, executor_reply};
use stepladder_core::trace::{Episode, Subtask, Turn};
use stepladder_core::{End, Observation};

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
    /// The labeller writes no progress texts.
    #[error("{task}: the environment has no labeller that writes the progress texts of its subtasks")]
    NoProgress {
        /// Task key.
        task: String,
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
    labeller: &dyn ProgressLabeller,
) -> Result<Episode, AnnotateError> {
    if !episode.won || episode.end != Some(End::Terminated) {
        return Err(AnnotateError::NotSolved { task: episode.task.to_string() });
    }
    divide(episode, segmenter, labeller)
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
    labeller: &dyn ProgressLabeller,
) -> Result<Episode, AnnotateError> {
    let task = episode.task.to_string();
    let segments = segmenter
        .segment(&demonstration(episode))
        .map_err(|reason| AnnotateError::Segmenter { task: task.clone(), reason })?;
    let (covered, actions) = (segments.iter().map(|segment| segment.len).sum(), episode.len());
    if covered != actions || segments.iter().any(|segment| segment.len == 0) {
        return Err(AnnotateError::Coverage { task, covered, actions });
    }
    let mut context = episode.start.context.clone();
    let mut steps = episode.steps().cloned();
    let mut subtasks = Vec::with_capacity(segments.len());
    for segment in segments {
        let mut progress = NO_PROGRESS.to_owned();
        let mut members: Vec<_> = steps.by_ref().take(segment.len).collect();
        for (position, step) in members.iter_mut().enumerate() {
            step.finished = position + 1 == segment.len && step.end != Some(End::Truncated);
            step.turn = Turn::said(Role::Executor, executor_reply(&step.action, step.finished));
            step.unparsable = false;
            step.expert = None;
            if step.end.is_some() {
                (step.progress, step.progress_turn) = (None, None);
                continue;
            }
            if let Some(changed) = &step.context {
                context.clone_from(changed);
            }
            let observation = Observation { feedback: step.observation.clone(), context: context.clone() };
            let written = labeller
                .label(&segment.subtask, &progress, &step.action, &observation)
                .ok_or_else(|| AnnotateError::NoProgress { task: task.clone() })?;
            progress = clean_progress(&written);
            step.progress = Some(progress.clone());
            step.progress_turn = Some(Turn::said(Role::Progress, written));
        }
        subtasks.push(Subtask {
            turn: Some(Turn::said(Role::Planner, segment.subtask.clone())),
            text: segment.subtask,
            steps: members,
        });
    }
    Ok(Episode { agent: "step_hrl".to_owned(), subtasks, ..episode.clone() })
}
