//! Rules of the labels of offline RL: what ends a return, who is paid for what, who learns from noise, and
//! what the policy learns (docs/spec/algorithms.md 3.1, 9.1).

use std::fmt;

use stepladder_core::label::Expert;
use stepladder_core::reply::{Profile, clean_progress};
use stepladder_core::trace::{Episode, TraceStep};
use stepladder_core::{End, Observation, Query, Role};

stepladder_core::choices! {
    /// What the step limit of a task means for a return.
    pub enum Truncation {
        /// It ends the episode as the environment would: nothing follows, with the value 0.
        Terminal = "terminal",
        /// The return goes on in the prompts that would have come next.
        Bootstrap = "bootstrap",
    }
}

stepladder_core::choices! {
    /// Reward of executor and progress writer.
    pub enum Intrinsic {
        /// 1 for the last step of a subtask, which the executor declares (the released code).
        Declared = "declared",
        /// The same, unless the next subtask or the expert contradicts the executor's word.
        Verified = "verified",
        /// The environment's reward; the return is that of the rest of the episode.
        Task = "task",
    }
}

stepladder_core::choices! {
    /// Returns that Q is fitted to.
    pub enum Returns {
        /// The reward of a decision, and the value of the next prompt.
        Td = "td",
        /// The rewards of the decision and of all later ones: no value is read.
        MonteCarlo = "monte_carlo",
    }
}

stepladder_core::choices! {
    /// Who learns from a step at which noise replaced the action.
    pub enum Noise {
        /// Only the critics: noise chose the action.
        Critics = "critics",
        /// The policy too, which then imitates the noise.
        Imitated = "imitated",
    }
}

stepladder_core::choices! {
    /// Levels whose replies the policy learns from; the critics of every level learn.
    pub enum ActorLevels {
        /// All levels.
        All = "all",
        /// The planner alone, whose reward is the task's.
        Planner = "planner",
    }
}

impl ActorLevels {
    /// Whether the policy learns from replies of a role.
    pub(crate) fn includes(self, role: Role) -> bool {
        self == Self::All || role == Role::Planner
    }
}

/// Rules of [`transitions`](crate::transitions::transitions). Made from a [`Profile`] they are those of docs/spec/algorithms.md 3.1:
/// a truncated episode bootstraps, and the executor is paid for its own word.
#[derive(Clone, Copy)]
pub struct Labels<'a> {
    /// Labels of episodes that end inside a subtask.
    pub profile: Profile,
    /// What the step limit means.
    pub truncation: Truncation,
    /// Reward of executor and progress writer.
    pub intrinsic: Intrinsic,
    /// Confirms subtasks ([`Intrinsic::Verified`]), besides the next subtask of the episode.
    pub expert: Option<&'a dyn Expert>,
}

impl From<Profile> for Labels<'_> {
    fn from(profile: Profile) -> Self {
        Self { profile, truncation: Truncation::Bootstrap, intrinsic: Intrinsic::Declared, expert: None }
    }
}

impl fmt::Debug for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labels")
            .field("profile", &self.profile)
            .field("truncation", &self.truncation)
            .field("intrinsic", &self.intrinsic)
            .field("expert", &self.expert.is_some())
            .finish()
    }
}

impl Labels<'_> {
    /// Whether nothing follows a step with this end.
    pub(crate) fn ends(&self, end: Option<End>) -> bool {
        match end {
            Some(End::Terminated) => true,
            Some(End::Truncated) => self.truncation == Truncation::Terminal,
            None => false,
        }
    }

    /// Whether nothing contradicts that the last step of subtask `number` finished it. `asked` is the executor's prompt of that step.
    ///
    /// Two witnesses can: the agent's planner, by issuing the same subtask again; and the expert's, which reads the expert's progress
    /// text about this step instead of the agent's own, by doing so. A solved task contradicts nothing.
    pub(crate) fn confirms(&self, episode: &Episode, number: usize, step: &TraceStep, asked: &Query) -> bool {
        if step.won {
            return true;
        }
        let Some(subtask) = episode.subtasks.get(number) else { return true };
        if episode.subtasks.get(number + 1).is_some_and(|next| next.text == subtask.text) {
            return false;
        }
        let (Some(expert), Query::Executor { observation, progress, .. }) = (self.expert, asked) else {
            return true;
        };
        let context = step.context.clone().unwrap_or_else(|| observation.context.clone());
        let seen = Observation { feedback: step.observation.clone(), context };
        let written = expert.reply(&Query::Progress {
            subtask: subtask.text.clone(),
            progress: progress.clone(),
            action: step.action.clone(),
            observation: seen.clone(),
        });
        let Some(written) = written else { return true };
        let next = expert.reply(&Query::Planner {
            task: episode.start.task.clone(),
            earlier: episode.subtasks[..=number].iter().map(|subtask| subtask.text.clone()).collect(),
            progress: clean_progress(&written),
            observation: seen,
        });
        next.is_none_or(|next| next.trim() != subtask.text)
    }
}
