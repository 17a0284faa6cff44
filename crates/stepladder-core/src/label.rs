//! Who can label: experts, segmenters and progress labellers; and noise for rollouts.
//!
//! All of them see only what an agent may see. An [`Expert`] is a function of the prompt's contents (design D11): the
//! same query always gets the same reply, so labels never contradict each other and can be asked for at any state the
//! learner reaches.

use crate::query::{Observation, Query, Role};
use crate::seed::Rng;

/// Replies to queries of the roles that it plays, as a function of their contents alone.
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

/// What a demonstration looks like before it is segmented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demonstration {
    /// Task text.
    pub task: String,
    /// Standing context of the episode.
    pub context: String,
    /// Actions with the answer each got, oldest first.
    pub steps: Vec<(String, String)>,
}

/// Cuts a demonstration into named subtasks (spec/algorithms 3.0, step 2).
pub trait Segmenter: Send + Sync {
    /// Segments whose lengths add up to the number of actions, none empty.
    ///
    /// # Errors
    /// One sentence that says which action could not be assigned.
    fn segment(&self, demonstration: &Demonstration) -> Result<Vec<Segment>, String>;
}

/// Writes the progress text after an action (spec/algorithms 3.0, step 3).
pub trait ProgressLabeller: Send + Sync {
    /// The new progress text from (subtask, previous progress, action, resulting observation); `None` from an expert that writes no progress texts.
    fn label(&self, subtask: &str, previous: &str, action: &str, observation: &Observation)
    -> Option<String>;
}

/// Every expert is a progress labeller: its progress role answers the same question.
impl<E: Expert + ?Sized> ProgressLabeller for E {
    fn label(
        &self,
        subtask: &str,
        previous: &str,
        action: &str,
        observation: &Observation,
    ) -> Option<String> {
        self.reply(&Query::Progress {
            subtask: subtask.to_owned(),
            progress: previous.to_owned(),
            action: action.to_owned(),
            observation: observation.clone(),
        })
    }
}

/// Proposes another action than the wanted one, for noisy rollouts.
pub trait Perturb: Send + Sync {
    /// Another, harmless action in view of what the agent sees, or none if there is nothing to propose here.
    fn perturb(&self, action: &str, seen: &Observation, rng: &mut Rng) -> Option<String>;
}
