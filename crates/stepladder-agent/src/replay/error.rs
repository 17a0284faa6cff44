//! Errors of the replay of a recorded episode.

use std::fmt;

use stepladder_core::Role;

/// A place in an episode, counted from 0; printed from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Index of the subtask.
    pub subtask: usize,
    /// Index of the step within the subtask; `None` for the reply that issued the subtask.
    pub step: Option<usize>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subtask {}", self.subtask + 1)?;
        self.step.map_or(Ok(()), |step| write!(f, ", step {}", step + 1))
    }
}

/// A mismatch between a trace and an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The trace holds a reply of one role, the agent prompts another one.
    #[error("the trace holds a reply of the role {found}, the agent asks the role {asked}", found = found.name(), asked = asked.name())]
    Role {
        /// Role of the recorded reply.
        found: Role,
        /// Role of the prompt.
        asked: Role,
    },
    /// The trace holds a reply where the agent requests none.
    #[error("the trace holds a reply of the role {found}, the agent asks nothing", found = found.name())]
    Unasked {
        /// Role of the recorded reply.
        found: Role,
    },
    /// The trace holds a step where the agent waits for a reply.
    #[error("the trace has no reply of the role {asked}, which the agent asks", asked = asked.name())]
    Missing {
        /// Role of the prompt.
        asked: Role,
    },
    /// The trace holds a step where the agent has finished.
    #[error("the trace goes on after the end of the episode")]
    Over,
    /// The reply names another action than the recorded one, and no expert label explains it.
    #[error("the reply names the action `{said}`, the trace has `{played}` and no label of an expert")]
    Action {
        /// Action of the reply.
        said: String,
        /// Recorded action.
        played: String,
    },
    /// A field of the replayed episode differs from the trace.
    #[error("the {what} is `{found}`, the trace has `{recorded}`")]
    Differs {
        /// Field of the trace.
        what: &'static str,
        /// Value after the replay.
        found: String,
        /// Value of the trace.
        recorded: String,
    },
    /// A subtask without text cannot be a sub-goal.
    #[error("the subtask has no text, so it cannot be a sub-goal of a blueprint")]
    NoText,
}

/// An episode that the agent cannot have recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{task}, {place}: {fault}; the trace is damaged, or another agent recorded it")]
pub struct ReplayError {
    /// Key of the episode's task.
    pub task: String,
    /// Place of the mismatch.
    pub place: Place,
    /// The mismatch.
    pub fault: Fault,
}
