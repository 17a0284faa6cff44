//! Rollouts of the current policy: tasks, episodes, groups.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rand::seq::SliceRandom;
use stepladder_agent::AgentSpec;
use stepladder_core::label::Expert;
use stepladder_core::seed::stream;
use stepladder_core::trace::Episode;
use stepladder_core::{Role, TaskKey};
use stepladder_data::PromptEncoder;
use stepladder_env::TaskSet;
use stepladder_model::{GeneratorSource, fingerprint};
use stepladder_rollout::sampling::Distribution;
use stepladder_rollout::scheduler::{Job, Options, Scheduler};
use stepladder_rollout::{Answer, Dropped, GenerateError, Generator, Request};

use crate::AlgoError;
use crate::online::reward::RewardRule;
use crate::runtime::clock::Stopwatch;
use crate::runtime::passes::Passes;
use crate::runtime::trainer::Trainer;

/// Setup of rollouts: environment, tasks, agent and resources.
pub struct Rollouts<'a> {
    /// The environment.
    pub tasks: &'a dyn TaskSet,
    /// Tasks to draw from; not empty.
    pub pool: &'a [TaskKey],
    /// Prompt encoder of the policy.
    pub encoder: Arc<dyn PromptEncoder>,
    /// Source of generators for the policy.
    pub generators: Arc<dyn GeneratorSource>,
    /// Largest number of environment steps per episode.
    pub limit: u32,
    /// Episodes running at once.
    pub slots: usize,
    /// Stop strings of all replies.
    pub stop_strings: Option<Arc<[String]>>,
    /// Threads that compute gradients.
    pub workers: usize,
    /// Settings of the passes that compute gradients.
    pub passes: Passes,
    /// Run seed.
    pub seed: u64,
    /// Agent of the rollouts.
    pub agent: AgentSpec,
    /// The environment's expert, if it plays STEP-HRL's executor: confirms sub-goals.
    pub expert: Option<&'a dyn Expert>,
    /// Flag that stops training, also inside a rollout.
    pub stop: &'a AtomicBool,
}

/// Sampling of the replies of an episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// Sampling temperature.
    pub temperature: f64,
    /// Role whose replies are sampled, while all others are greedy; none samples all replies.
    pub only: Option<Role>,
}

/// Episodes of one task.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Task of all episodes.
    pub task: TaskKey,
    /// Episodes in the order of samples.
    pub episodes: Vec<Episode>,
}

impl Group {
    /// Returns the return of each episode, including penalties of invalid replies.
    pub fn returns(&self, reward: RewardRule) -> Vec<f64> {
        let sum = |rewards: Vec<f64>| rewards.iter().sum();
        self.episodes.iter().map(|episode| sum(reward.penalised(episode))).collect()
    }
}

impl Rollouts<'_> {
    /// Draws `count` different tasks (or all, if fewer) for an iteration; depends only on seed and iteration.
    pub fn draw(&self, iteration: u64, count: usize) -> Vec<TaskKey> {
        let mut rng = stream(self.seed, "tasks", &[iteration]);
        let mut pool: Vec<&TaskKey> = self.pool.iter().collect();
        let (chosen, _) = pool.partial_shuffle(&mut rng, count);
        chosen.iter().map(|&task| task.clone()).collect()
    }

    /// Plays jobs with the trainer's parameters. Episodes are in the order of the jobs; `call` is the number of the call in the
    /// run, so that each call samples differently.
    ///
    /// # Errors
    /// [`AlgoError::Generate`] if the generator fails or [`Rollouts::stop`] is set. A failing environment or request aborts only its own episode.
    pub fn play(
        &self,
        trainer: &Trainer,
        jobs: &[Job],
        sampled: Sampled,
        call: u64,
    ) -> Result<(Vec<Episode>, PlaySeconds), AlgoError> {
        let clock = Stopwatch::start();
        let weights = &trainer.weights;
        let policy = fingerprint(&weights.trained.buffer)?;
        let inner = self.generators.open(weights, self.encoder.clone(), policy)?;
        let mut generator = Timed { inner, seconds: 0.0 };
        let options = Options {
            max_steps: self.limit,
            slots: self.slots,
            sampling: Some(Distribution::at(sampled.temperature)),
            stop_strings: self.stop_strings.clone(),
            sample_only: sampled.only,
            seed: self.seed,
            iteration: call,
            keep_prompts: false,
            keep_tokens: true,
            stop: Some(self.stop),
            ..Options::greedy(self.agent)
        };
        let episodes = Scheduler::new(self.tasks, &mut generator, options).run(jobs, |_| ())?;
        let generating = generator.seconds;
        Ok((episodes, PlaySeconds { generating, environment: clock.seconds() - generating }))
    }
}

/// Seconds of a rollout by activity.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PlaySeconds {
    /// Generation.
    pub generating: f64,
    /// Environments and scheduling.
    pub environment: f64,
}

struct Timed<G> {
    inner: G,
    seconds: f64,
}

impl<G: Generator> Generator for Timed<G> {
    fn submit(&mut self, requests: Vec<Request>) {
        self.inner.submit(requests);
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<Answer>, GenerateError> {
        let clock = Stopwatch::resume(self.seconds);
        let answers = self.inner.poll(wait);
        self.seconds = clock.seconds();
        answers
    }

    fn end_session(&mut self, session: u64) {
        self.inner.end_session(session);
    }

    fn policy(&self) -> String {
        self.inner.policy()
    }
}

/// Episodes and groups lost in an iteration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lost {
    /// Episodes aborted by an error.
    pub dropped: Dropped,
    /// Groups that were dropped because too few episodes remained.
    pub groups: usize,
}

/// Groups consecutive episodes of the same task. Aborted episodes are dropped, and then groups with fewer than `least` episodes
/// (docs/spec/algorithms.md 7).
///
/// # Errors
/// [`AlgoError::Aborted`] if too many episodes were aborted.
pub fn group(mut episodes: Vec<Episode>, least: usize) -> Result<(Vec<Group>, Lost), AlgoError> {
    let begun = episodes.chunk_by(|one, next| one.task == next.task).count();
    let dropped = Dropped::take_from(&mut episodes)?;
    let mut groups: Vec<Group> = Vec::new();
    for episode in episodes {
        match groups.last_mut() {
            Some(group) if group.task == episode.task => group.episodes.push(episode),
            _ => groups.push(Group { task: episode.task.clone(), episodes: vec![episode] }),
        }
    }
    groups.retain(|group| group.episodes.len() >= least);
    let lost = Lost { dropped, groups: begun - groups.len() };
    Ok((groups, lost))
}
