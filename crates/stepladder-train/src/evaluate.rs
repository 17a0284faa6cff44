//! A trained agent plays: to be evaluated, or to have its episodes collected.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use stepladder_algo::runtime::clock::Stopwatch;
use stepladder_core::trace::Episode;
use stepladder_env::{Draw, Subset};
use stepladder_model::device;
use stepladder_rollout::Job;
use stepladder_rollout::scheduler::Options;

use crate::choice::suffix;
use crate::config::Config;
use crate::directory::commit;
use crate::envs::{self, Pairs, Registered};
use crate::error::{Error, Result};
use crate::play::{Policy, UntilStopped, play};
use crate::report::Reporter;
use crate::table::{self, Line};
use crate::{memory, workers};

/// Episodes of one evaluation; all are kept until the table is made.
const MOST_EPISODES: u64 = 1_000_000;

/// Which trained agent plays, and where.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// A run directory or a checkpoint directory.
    pub path: &'a Path,
    /// Name of an agent of the run; none takes the first that has a checkpoint.
    pub agent: Option<&'a str>,
    /// Environment; none takes that of the run.
    pub env: Option<&'a str>,
    /// Split; none takes that of the run.
    pub split: Option<&'a str>,
    /// Options of the environment, over those of the run.
    pub options: &'a Pairs,
    /// Directory of data sets, for the environments that need one.
    pub data_root: Option<&'a Path>,
    /// `cpu` or `cuda[:N]`.
    pub device: &'a str,
}

impl<'a> Source<'a> {
    /// The first trained agent of a run, on the CPU and in the run's own environment.
    pub fn run(path: &'a Path) -> Self {
        Self { path, agent: None, env: None, split: None, options: &[], data_root: None, device: "cpu" }
    }
}

/// A trained agent and the split that it plays.
pub struct Player {
    /// The agent.
    pub policy: Policy,
    /// The environment.
    pub env: Registered,
    /// Split of the environment.
    pub split: String,
}

/// The episodes that a [`Player`] is to play.
#[derive(Debug, Clone)]
pub struct Games {
    /// The tasks, and of how many they are a part.
    pub subset: Subset,
    /// One episode each.
    pub jobs: Vec<Job>,
}

/// How a [`Player`] plays.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Environment steps per episode; none takes the limit that suits run and split.
    pub max_steps: Option<u32>,
    /// Sampling temperature; none decodes greedily.
    pub temperature: Option<f64>,
    /// Episodes at once.
    pub slots: usize,
    /// Seed of sampled tokens.
    pub seed: u64,
    /// Whether episodes hold the prompts as the model read them.
    pub keep_prompts: bool,
    /// Whether episodes hold their tokens.
    pub keep_tokens: bool,
}

impl Default for Settings {
    /// Greedy, within the limit of run and split.
    fn default() -> Self {
        Self {
            max_steps: None,
            temperature: None,
            slots: 100,
            seed: 0,
            keep_prompts: false,
            keep_tokens: false,
        }
    }
}

/// What was played, and how long it took.
#[derive(Debug, Clone)]
pub struct Played {
    /// The episodes, in the order of [`Games::jobs`].
    pub episodes: Vec<Episode>,
    /// Time from the first prompt to the last step.
    pub seconds: f64,
}

impl Player {
    /// Opens the agent and the environment; where `source` names no split, `split_of_run` chooses one of the run's.
    ///
    /// # Errors
    /// If the device, the run, the agent, its checkpoint or the environment's data are absent, or a checkpoint alone is to
    /// play and environment or split are not named.
    pub fn open(source: &Source<'_>, split_of_run: fn(&Config) -> &str) -> Result<Self> {
        memory::enough_to_begin()?;
        let opened = device::open(source.device)?;
        device::one_thread_each();
        let policy = Policy::open(source.path, source.agent, opened)?;
        let choose = |what: &str, named: Option<&str>, of_run: fn(&Config) -> &str| -> Result<String> {
            let chosen = named.or_else(|| policy.run.as_ref().map(of_run));
            let missing =
                || Error::usage(format!("a checkpoint alone does not say which {what}: pass --{what}"));
            chosen.map(str::to_owned).ok_or_else(missing)
        };
        let id = choose("env", source.env, |config| &config.env.id)?;
        let split = choose("split", source.split, split_of_run)?;
        let env = envs::open_with(policy.run.as_ref(), &id, source.data_root, source.options)?;
        Ok(Self { policy, env, split })
    }

    /// `count` tasks of the split (0 takes all), each played once per seed from 0 to `seeds`.
    ///
    /// # Errors
    /// If the split is unknown or its data are absent, the seeds would only repeat the same episodes (`temperature` is none
    /// and the environment deterministic), or there are too many episodes.
    pub fn evaluation(&self, count: usize, seeds: u64, temperature: Option<f64>) -> Result<Games> {
        let subset = Subset::draw(&*self.env.tasks, &self.split, count, Draw::Evaluation)?;
        if seeds > 1 && temperature.is_none() && self.env.spec().deterministic {
            return Err(Error::usage(format!(
                "{} ignores seeds and decoding is greedy: --seeds {seeds} would play the same episodes again; add --temperature, or leave --seeds out",
                self.env.spec().id
            )));
        }
        let tasks = subset.tasks.len();
        let episodes = (tasks as u64).saturating_mul(seeds);
        if episodes > MOST_EPISODES {
            return Err(Error::usage(format!(
                "--seeds {seeds} on {tasks} tasks are {episodes} episodes; at most {MOST_EPISODES} are played at a time"
            )));
        }
        let jobs = (0..seeds)
            .flat_map(|seed| subset.tasks.iter().map(move |task| Job { seed, ..Job::sampled(task, seed) }))
            .collect();
        Ok(Games { subset, jobs })
    }

    /// `count` tasks of the split (0 takes all), drawn by a seed.
    ///
    /// # Errors
    /// If the split is unknown or its data are absent.
    pub fn collection(&self, count: usize, seed: u64) -> Result<Games> {
        let subset = Subset::draw(&*self.env.tasks, &self.split, count, Draw::Training { seed })?;
        let jobs = Job::each(&subset.tasks);
        Ok(Games { subset, jobs })
    }

    /// Plays; setting `stop` ends it before the next reply. An episode that an error broke off holds the error.
    ///
    /// # Errors
    /// If the agent was trained on prompts of another style, generation fails, or `stop` was set.
    pub fn play(
        &self,
        games: &Games,
        settings: Settings,
        reporter: &dyn Reporter,
        stop: &AtomicBool,
    ) -> Result<Played> {
        let mut generator = self.policy.generator(&self.env, workers(0))?;
        let options = Options {
            max_steps: self.policy.max_steps(settings.max_steps, &self.env, &self.split),
            temperature: settings.temperature,
            slots: settings.slots,
            seed: settings.seed,
            keep_prompts: settings.keep_prompts,
            keep_tokens: settings.keep_tokens,
            ..Options::greedy(self.policy.agent)
        };
        let clock = Stopwatch::start();
        let mut generator = UntilStopped { inner: &mut *generator, stop };
        let episodes = play(&self.env, &mut generator, &games.jobs, options, &self.policy.name, reporter)?;
        Ok(Played { episodes, seconds: clock.seconds() })
    }

    /// The table of an evaluation.
    pub fn table(&self, games: &Games, played: &Played) -> String {
        let evaluation = self.env.evaluate(&played.episodes);
        let title = format!(
            "{}/{}{}, {}",
            self.env.spec().id,
            self.split,
            suffix(&games.subset),
            self.policy.checkpoint.display()
        );
        table::render(&title, &[Line { name: self.policy.name.clone(), evaluation }])
    }

    /// An evaluation as JSON, with its costs.
    pub fn json(&self, games: &Games, played: &Played) -> Value {
        let evaluation = self.env.evaluate(&played.episodes);
        let about = (self.env.spec().id, self.split.as_str(), &games.subset);
        let place = self.policy.checkpoint.display().to_string();
        let mut value = table::json(about, &self.policy.name, &place, commit(), &evaluation);
        let steps: usize = played.episodes.iter().map(Episode::len).sum();
        value["seconds"] = json!(played.seconds);
        value["seconds_per_step"] = json!(played.seconds / steps.max(1) as f64);
        value["peak_memory_bytes"] = json!(memory::peak_bytes());
        value
    }
}
