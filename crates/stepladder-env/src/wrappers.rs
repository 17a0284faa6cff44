//! Environment wrappers.

use stepladder_core::{End, Start, Step, TaskKey};

use crate::contract::{Admissible, Env, EnvError, EnvSpec, Walkthrough};

/// Step limit: the last step is [`End::Truncated`] unless the environment ended the episode. Refuses rewards that are
/// not finite ([`EnvError::Reward`]).
pub struct TimeLimit<E> {
    inner: E,
    limit: u32,
    steps: u32,
    over: bool,
}

impl<E: Env> TimeLimit<E> {
    /// Limits episodes to `limit` environment steps, at least 1.
    pub fn new(inner: E, limit: u32) -> Self {
        Self { inner, limit: limit.max(1), steps: 0, over: false }
    }

    /// Sets the limit, from the next step on.
    pub fn set_limit(&mut self, limit: u32) {
        self.limit = limit.max(1);
    }
}

impl Env for Box<dyn Env> {
    fn spec(&self) -> &EnvSpec {
        (**self).spec()
    }
    fn reset(&mut self, task: &TaskKey, seed: u64) -> Result<Start, EnvError> {
        (**self).reset(task, seed)
    }
    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        (**self).step(action)
    }
    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        (**self).admissible()
    }
    fn walkthrough(&mut self) -> Option<&mut dyn Walkthrough> {
        (**self).walkthrough()
    }
}

impl<E: Env> Env for TimeLimit<E> {
    fn spec(&self) -> &EnvSpec {
        self.inner.spec()
    }

    fn reset(&mut self, task: &TaskKey, seed: u64) -> Result<Start, EnvError> {
        let start = self.inner.reset(task, seed)?;
        self.steps = 0;
        self.over = false;
        Ok(start)
    }

    fn step(&mut self, action: &str) -> Result<Step, EnvError> {
        if self.over {
            return Err(EnvError::EpisodeOver { env: self.inner.spec().id });
        }
        let mut step = self.inner.step(action)?;
        if !step.reward.is_finite() {
            let env = self.inner.spec().id;
            return Err(EnvError::Reward { env, action: action.to_owned(), reward: step.reward });
        }
        self.steps += 1;
        if step.end.is_none() && self.steps >= self.limit {
            step.end = Some(End::Truncated);
        }
        self.over = step.end.is_some();
        Ok(step)
    }

    fn admissible(&mut self) -> Option<&mut dyn Admissible> {
        self.inner.admissible()
    }

    fn walkthrough(&mut self) -> Option<&mut dyn Walkthrough> {
        self.inner.walkthrough()
    }
}
