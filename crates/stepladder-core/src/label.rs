//! Labellers: experts and segmenters; and action noise of rollouts.
//!
//! Labellers see only what an agent may see. An [`Expert`] is a function of the prompt's contents (docs/design.md D11): equal
//! queries get equal replies, so labels never contradict each other and exist for every state that a policy reaches.

use crate::query::{Observation, Query, Role};
use crate::seed::Rng;

/// A rule-based labeller: replies to queries of its roles as a function of their contents alone.
pub trait Expert: Send + Sync {
    /// The reply: a subtask (planner), `<action>; True|False` (executor), a progress text (progress), or an action
    /// (flat). None for a role that it does not play.
    fn reply(&self, query: &Query) -> Option<String>;

    /// Whether it plays a role: [`Expert::reply`] has a reply to every query of it, or to none.
    fn answers(&self, role: Role) -> bool;
}

impl<E: Expert + ?Sized> Expert for &E {
    fn reply(&self, query: &Query) -> Option<String> {
        (**self).reply(query)
    }

    fn answers(&self, role: Role) -> bool {
        (**self).answers(role)
    }
}

/// One subtask of a demonstration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Subtask text.
    pub subtask: String,
    /// Number of consecutive actions that belong to it; at least 1.
    pub len: usize,
}

/// An unsegmented demonstration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demonstration {
    /// Task text.
    pub task: String,
    /// Context of the episode.
    pub context: String,
    /// Actions with the answer each got, oldest first.
    pub steps: Vec<(String, String)>,
}

/// Cuts a demonstration into named subtasks (docs/spec/algorithms.md 3.0, step 2).
pub trait Segmenter: Send + Sync {
    /// Segments whose lengths add up to the number of actions, none empty.
    ///
    /// # Errors
    /// A sentence naming the action that could not be assigned.
    fn segment(&self, demonstration: &Demonstration) -> Result<Vec<Segment>, String>;
}

/// Action noise: proposes an action in place of the chosen one.
pub trait Perturb: Send + Sync {
    /// Proposes a harmless other action given the agent's observation; none if there is no candidate.
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String>;
}
