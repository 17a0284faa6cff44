//! A session that Python holds: open or closed, and bound to a process where a fork does not copy its simulator.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use stepladder_env::{EnvError, Reset, Session, SharedTasks};

use crate::errors::Fault;
use crate::outcome::Outcome;
use crate::shared::{Opened, bound, panicked};

/// A session and what Python asks of it.
pub(crate) struct Held {
    id: &'static str,
    session: Option<Session>,
    /// Process in which it works; none for any.
    process: Option<u32>,
    /// Outcomes list the admissible actions.
    admissible: bool,
}

impl Held {
    /// Creates a session.
    pub(crate) fn new(
        opened: &Opened,
        split: &str,
        max_steps: Option<u32>,
        seed: u64,
        admissible: bool,
    ) -> Result<Self, Fault> {
        let session = Session::new(opened.shared.clone(), split, seed)?.limited(max_steps);
        let process = bound(opened.family);
        Ok(Self { id: opened.family.spec.id, session: Some(session), process, admissible })
    }

    /// Starts an episode; a seed also seeds the stream of the following episodes.
    pub(crate) fn reset(&mut self, request: &Reset) -> Result<Outcome, Fault> {
        self.play(|session| session.reset(request).map(drop))?;
        let session = self.session()?;
        if let Some(seed) = request.seed {
            session.reseed(seed);
        }
        let text = session.episode().map(|episode| episode.start.text.clone()).unwrap_or_default();
        self.outcome(text, 0.0, false)
    }

    /// Plays an action.
    pub(crate) fn step(&mut self, action: &str) -> Result<Outcome, Fault> {
        let step = self.play(|session| session.step(action))?;
        self.outcome(step.observation, step.reward, step.unknown_action)
    }

    /// Returns the state of the episode as it is, with an empty text and no reward.
    pub(crate) fn stay(&mut self) -> Result<Outcome, Fault> {
        self.outcome(String::new(), 0.0, false)
    }

    /// Whether its episode is over.
    pub(crate) fn over(&self) -> bool {
        let episode = self.session.as_ref().and_then(Session::episode);
        episode.is_some_and(|episode| episode.end.is_some())
    }

    /// Lists the admissible actions; none once the episode is over.
    pub(crate) fn admissible_actions(&mut self) -> Result<Vec<String>, Fault> {
        let id = self.id;
        let session = self.session()?;
        let Some(episode) = session.episode() else {
            return Err(EnvError::StepBeforeReset { env: id }.into());
        };
        if episode.end.is_some() {
            return Ok(Vec::new());
        }
        let listed = self.play(|session| Ok(session.admissible_actions()))?;
        listed.ok_or_else(|| EnvError::Usage(format!("{id} does not list its admissible actions")).into())
    }

    /// Returns actions that solve the current task, where it has them.
    pub(crate) fn solution(&mut self) -> Result<Option<Vec<String>>, Fault> {
        let id = self.id;
        let session = self.session()?;
        if session.episode().is_none() {
            return Err(EnvError::StepBeforeReset { env: id }.into());
        }
        self.play(|session| Ok(session.solution()))
    }

    /// Returns the tasks behind the session.
    pub(crate) fn shared(&mut self) -> Result<Arc<SharedTasks>, Fault> {
        Ok(self.session()?.shared().clone())
    }

    /// Frees the environment.
    pub(crate) fn close(&mut self) {
        let session = self.session.take();
        if self.forked() {
            // Its simulator belongs to the parent process, and dropping the session would end it there.
            std::mem::forget(session);
        }
    }

    /// Whether it was closed.
    pub(crate) fn closed(&self) -> bool {
        self.session.is_none()
    }

    fn forked(&self) -> bool {
        self.process.is_some_and(|process| process != std::process::id())
    }

    /// Lets the environment work. Its panic becomes an error, and the next reset makes a new environment.
    fn play<T>(&mut self, work: impl FnOnce(&mut Session) -> Result<T, EnvError>) -> Result<T, Fault> {
        let id = self.id;
        let session = self.session()?;
        let worked = catch_unwind(AssertUnwindSafe(|| work(session)));
        worked
            .unwrap_or_else(|payload| {
                // The state that a panic left may panic again.
                let _ = catch_unwind(AssertUnwindSafe(|| session.abandon()));
                Err(panicked(id, &*payload))
            })
            .map_err(Fault::from)
    }

    fn session(&mut self) -> Result<&mut Session, Fault> {
        if self.forked() {
            return Err(Fault::Forked(self.id));
        }
        self.session.as_mut().ok_or(Fault::Closed(self.id))
    }

    fn outcome(&mut self, observation: String, reward: f64, unknown_action: bool) -> Result<Outcome, Fault> {
        let admissible = if self.admissible { Some(self.admissible_actions()?) } else { None };
        let id = self.id;
        let episode = self.session()?.episode().ok_or(EnvError::StepBeforeReset { env: id })?;
        Ok(Outcome::new(episode, observation, reward, unknown_action, admissible))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.close();
    }
}
