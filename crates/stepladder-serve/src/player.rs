//! A session behind the protocol: requests in, answers as JSON out.

use std::sync::Arc;

use stepladder_core::{End, seed};
use stepladder_env::EnvError;
use stepladder_env::session::Session;

use crate::config::Config;
use crate::message::{Code, Failure, Observation, Outcome, ResetData, SessionState, StepData, write};
use crate::state::Shared;

/// Where a session begins: anew, or after the environment of one panicked.
#[derive(Debug)]
pub(crate) struct Beginning {
    /// Number of the session.
    number: u64,
    split: String,
    /// Episodes played before.
    episodes: u64,
    /// Environments that panicked.
    panics: u64,
}

impl Beginning {
    /// Begins a session anew.
    pub(crate) fn first(config: &Config, number: u64) -> Self {
        Self { number, split: config.split.clone(), episodes: 0, panics: 0 }
    }

    /// Returns the seed of the stream from which episodes without a seed draw theirs: another one after each panic, lest the
    /// episodes repeat.
    fn seed(&self) -> u64 {
        match self.panics {
            0 => self.number,
            panics => seed::derive(self.number, "session after a panic", &[panics]),
        }
    }
}

/// A session behind the protocol.
pub(crate) struct Player {
    session: Session,
    number: u64,
    episodes: u64,
    panics: u64,
    episode_id: Option<String>,
    /// Observations of this episode list the admissible actions.
    admissible: bool,
    shared: Arc<Shared>,
}

impl Player {
    /// Opens a session. Its number names its episodes, and the stream from which episodes without a seed draw theirs.
    ///
    /// # Errors
    /// [`Code::FactoryError`] if the split or the environment cannot be opened.
    pub(crate) fn open(shared: &Arc<Shared>, beginning: Beginning) -> Result<Self, Failure> {
        let open = || {
            let session = Session::new(shared.tasks.clone(), &beginning.split, beginning.seed())?;
            let mut session = session.limited(shared.config.max_steps);
            session.prepare()?;
            Ok(session)
        };
        let session = open().map_err(|error: EnvError| {
            let text = shared.config.told(&error);
            Failure::new(Code::FactoryError, text).with("factory_name", shared.tasks.spec().id)
        })?;
        let Beginning { number, episodes, panics, .. } = beginning;
        let shared = shared.clone();
        Ok(Self { session, number, episodes, panics, episode_id: None, admissible: false, shared })
    }

    /// Returns where the session goes on after its environment panicked.
    pub(crate) fn again(&self) -> Beginning {
        Beginning {
            number: self.number,
            split: self.session.split().name().to_owned(),
            episodes: self.episodes,
            panics: self.panics + 1,
        }
    }

    /// Starts an episode and returns its first observation.
    ///
    /// # Errors
    /// [`Code::ExecutionError`].
    pub(crate) fn reset<R>(
        &mut self,
        data: &ResetData,
        answer: impl FnOnce(&Outcome<'_>) -> R,
    ) -> Result<R, Failure> {
        self.session.reset(&data.choice()).map_err(|error| refusal(&self.shared.config, &error))?;
        self.episodes += 1;
        let named = || format!("{}-{}", self.number, self.episodes);
        self.episode_id = Some(data.episode_id.clone().unwrap_or_else(named));
        self.admissible = data.admissible.unwrap_or(false);
        let admissible_actions = self.admissible.then(|| self.session.admissible_actions()).flatten();
        let episode = self.session.episode().ok_or_else(gone)?;
        let observation = Observation {
            text: &episode.start.text,
            context: &episode.context,
            task: Some(&episode.start.task),
            score: episode.score,
            won: episode.won,
            unknown_action: false,
            terminated: false,
            truncated: false,
            steps: 0,
            admissible_actions,
        };
        Ok(answer(&Outcome { observation, reward: None, done: false }))
    }

    /// Plays an action and returns the observation.
    ///
    /// # Errors
    /// [`Code::ExecutionError`].
    pub(crate) fn step(&mut self, data: &StepData) -> Result<String, Failure> {
        let step = self.session.step(&data.action).map_err(|error| refusal(&self.shared.config, &error))?;
        let admissible = data.admissible.unwrap_or(self.admissible);
        let admissible_actions = admissible.then(|| self.session.admissible_actions()).flatten();
        let episode = self.session.episode().ok_or_else(gone)?;
        let observation = Observation {
            text: &step.observation,
            context: &episode.context,
            task: None,
            score: episode.score,
            won: step.won,
            unknown_action: step.unknown_action,
            terminated: step.end == Some(End::Terminated),
            truncated: step.end == Some(End::Truncated),
            steps: episode.steps,
            admissible_actions,
        };
        let outcome = Outcome { observation, reward: Some(step.reward), done: step.end.is_some() };
        Ok(write("observation", &outcome))
    }

    /// Describes the session.
    pub(crate) fn state(&self) -> SessionState<'_> {
        let episode = self.session.episode();
        let max_steps = self.shared.config.max_steps.unwrap_or_else(|| self.session.split().max_steps());
        SessionState {
            episode_id: episode.and(self.episode_id.as_deref()),
            step_count: episode.map_or(0, |episode| episode.steps),
            env: self.session.spec().id,
            split: self.session.split().name(),
            task_id: episode.map(|episode| &*episode.task.id),
            task_index: episode.map(|episode| episode.index),
            family: episode.map(|episode| &*episode.start.family),
            seed: episode.map(|episode| episode.seed),
            score: episode.map_or(0.0, |episode| episode.score),
            won: episode.is_some_and(|episode| episode.won),
            max_steps: episode.map_or(max_steps, |episode| episode.max_steps),
        }
    }
}

impl std::fmt::Debug for Player {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Player")
            .field("session", &self.session)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// Turns an error of the session into one for the client.
fn refusal(config: &Config, error: &EnvError) -> Failure {
    let text = match error {
        EnvError::StepBeforeReset { .. } => format!("{error}; send a reset first"),
        EnvError::Backend { .. } | EnvError::Reward { .. } => {
            format!("{error}; a reset makes a new environment")
        }
        other => config.told(other),
    };
    Failure::new(Code::ExecutionError, text)
}

fn gone() -> Failure {
    Failure::new(Code::ExecutionError, "the episode is gone; send a reset")
}
