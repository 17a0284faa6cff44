//! Labellers: experts and segmenters; and action noise of rollouts.
//!
//! Labellers see only what an agent may see. An [`Expert`] is a function of the prompt's contents (docs/design.md D11): equal
//! queries get equal replies, so labels never contradict each other and exist for every state that a policy reaches.

use crate::query::{NO_PROGRESS, Observation, Query, Role};
use crate::reply::{Profile, parse_action_done};
use crate::seed::Rng;

/// A rule-based labeller: replies to queries of its roles as a function of their contents alone.
pub trait Expert: Send + Sync {
    /// The reply: a subtask (planner), `<action>; True|False` (executor), a progress text (progress), or an action
    /// (flat). None for a role that it does not play.
    fn reply(&self, query: &Query) -> Option<String>;

    /// Whether it plays a role: [`Expert::reply`] has a reply to every query of it, or to none.
    fn answers(&self, role: Role) -> bool;

    /// The action with which its executor ends a subtask that is complete already or cannot be pursued; none if it has no such
    /// action. Ending a subtask with it carries nothing out.
    fn gives_back(&self) -> Option<&str> {
        None
    }

    /// Whether an action, played after what was seen, completes a sub-goal: its executor would have ended the sub-goal with it. Neither
    /// a sub-goal that it gives back counts, nor an action that the environment's answer refuses.
    fn completes(&self, subgoal: &str, seen: &Observation, action: &str, _answer: &str) -> bool {
        would_end(self, (subgoal, NO_PROGRESS), seen, action)
    }
}

/// Whether an expert, asked with a sub-goal as its planner writes them and a progress text, would end the sub-goal with this action. Numbers
/// of things in the action do not matter: of two mugs either may be taken.
pub fn would_end<E: Expert + ?Sized>(
    expert: &E,
    (subgoal, progress): (&str, &str),
    seen: &Observation,
    action: &str,
) -> bool {
    let query = Query::Executor {
        subtask: subgoal.to_owned(),
        observation: seen.clone(),
        progress: progress.to_owned(),
    };
    let told = expert.reply(&query).map(|reply| parse_action_done(&reply, Profile::Fixed));
    told.is_some_and(|told| {
        told.finished
            && expert.gives_back() != Some(told.action.as_str())
            && without_numbers(&told.action) == without_numbers(action)
    })
}

fn without_numbers(action: &str) -> Vec<&str> {
    let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    action.split_whitespace().filter(|word| !is_number(word)).collect()
}

impl<E: Expert + ?Sized> Expert for &E {
    fn reply(&self, query: &Query) -> Option<String> {
        (**self).reply(query)
    }

    fn answers(&self, role: Role) -> bool {
        (**self).answers(role)
    }

    fn gives_back(&self) -> Option<&str> {
        (**self).gives_back()
    }

    fn completes(&self, subgoal: &str, seen: &Observation, action: &str, answer: &str) -> bool {
        (**self).completes(subgoal, seen, action, answer)
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
