//! Rollouts of a trained agent or a pretrained model, for evaluation or collection.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use stepladder_agent::AgentKind;
use stepladder_agent::himac::{Followed, followed};
use stepladder_algo::runtime::clock::Stopwatch;
use stepladder_core::trace::Episode;
use stepladder_core::{Role, choices};
use stepladder_data::Budgets;
use stepladder_env::{Draw, Subset};
use stepladder_model::{Device, GeneratorSource, device};
use stepladder_rollout::Job;
use stepladder_rollout::sampling::Distribution;
use stepladder_rollout::scheduler::Options;

use crate::choice::suffix;
use crate::config::Config;
use crate::directory::commit;
use crate::envs::{self, Pairs, Registered};
use crate::error::{Error, Result};
use crate::play::{Policy, play};
use crate::pretrained::{self, Examined, Pretrained, Prompting};
use crate::report::Reporter;
use crate::table::{self, Line};
use crate::worked::worked;
use crate::{generators, memory, workers};

/// Limit on the episodes of one evaluation, which are all kept in memory until the table is rendered.
const MOST_EPISODES: u64 = 1_000_000;

/// Selection of a trained agent or a pretrained model, an environment and a device.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// A run directory, a checkpoint directory, or the Hugging Face directory of a pretrained model; with a prompt style also its
    /// name in the data root, or a hub name.
    pub path: &'a Path,
    /// Name of an agent of the run, where `None` takes the first that has a checkpoint; the agent that a pretrained model plays.
    pub agent: Option<&'a str>,
    /// Prompts and adapter of a pretrained model.
    pub prompting: Prompting<'a>,
    /// Environment; `None` takes that of the run.
    pub env: Option<&'a str>,
    /// Split; `None` takes that of the run.
    pub split: Option<&'a str>,
    /// Options of the environment, which override those of the run.
    pub options: &'a Pairs,
    /// Directory of data sets, for the environments that need one.
    pub data_root: Option<&'a Path>,
    /// `cpu` or `cuda[:N]`.
    pub device: &'a str,
}

impl<'a> Source<'a> {
    /// Selects the first trained agent of a run, on the CPU and in the run's own environment.
    pub fn run(path: &'a Path) -> Self {
        Self {
            path,
            agent: None,
            prompting: Prompting::default(),
            env: None,
            split: None,
            options: &[],
            data_root: None,
            device: "cpu",
        }
    }
}

/// A trained agent or a pretrained model with the split that it plays.
pub struct Player {
    /// Policy of the agent.
    pub policy: Policy,
    /// The environment.
    pub env: Registered,
    /// Split of the environment.
    pub split: String,
    /// Source of its generators: [`Player::open`] sets generators in this process.
    pub generators: Arc<dyn GeneratorSource>,
}

choices! {
    /// Source of the blueprints that a HiMAC agent follows.
    pub enum Blueprints {
        /// The agent's own.
        Own = "own",
        /// The agent's own blueprint of the next task of the split that has a different one.
        Other = "other",
        /// The subtasks of the expert's solution; none for a task that it does not solve.
        Expert = "expert",
        /// Random valid sub-goals, for the fraction of them that is carried out; for environments that have them.
        Random = "random",
        /// No blueprint: the task is the only sub-goal.
        None = "none",
    }
}

/// Episodes for a [`Player`].
#[derive(Debug, Clone)]
pub struct Games {
    /// Tasks, and the number of tasks that they were selected from.
    pub subset: Subset,
    /// Jobs, one per episode.
    pub jobs: Vec<Job>,
    /// Source of the jobs' blueprints, for HiMAC.
    pub blueprints: Blueprints,
}

/// Settings of a rollout by a [`Player`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Step limit; `None` takes the limit of the run and the split.
    pub max_steps: Option<u32>,
    /// Distribution that replies are sampled from ([`Policy::distribution`]); `None` decodes greedily.
    pub sampling: Option<Distribution>,
    /// Stop strings of all replies ([`Policy::stop_strings`]).
    pub stop_strings: Option<Arc<[String]>>,
    /// Number of concurrent episodes.
    pub slots: usize,
    /// Seed of sampled tokens.
    pub seed: u64,
    /// Whether episodes record the prompts as the model read them.
    pub keep_prompts: bool,
    /// Whether episodes record their tokens.
    pub keep_tokens: bool,
    /// Whether acting roles reply with an admissible action; see [`Player::can_constrain`].
    pub constrained: bool,
}

impl Default for Settings {
    /// Greedy decoding within the limit of the run and the split.
    fn default() -> Self {
        Self {
            max_steps: None,
            sampling: None,
            stop_strings: None,
            slots: 100,
            seed: 0,
            keep_prompts: false,
            keep_tokens: false,
            constrained: false,
        }
    }
}

/// Episodes of a rollout with their duration.
#[derive(Debug, Clone)]
pub struct Played {
    /// Episodes, in the order of [`Games::jobs`].
    pub episodes: Vec<Episode>,
    /// Seconds from the first prompt to the last step.
    pub seconds: f64,
}

impl Player {
    /// Opens the agent and the environment. Where `source` names no split, `split_of_run` selects one of the run's. For a
    /// pretrained model that shows examples, the expert plays.
    ///
    /// # Errors
    /// If the device, the run, the agent, its checkpoint or the environment's data are absent; if `source` is a checkpoint or a
    /// pretrained model and does not name environment and split; if a pretrained model and its prompts or adapter are refused.
    pub fn open(
        source: &Source<'_>,
        split_of_run: fn(&Config) -> &str,
        reporter: &dyn Reporter,
    ) -> Result<Self> {
        memory::enough_to_begin()?;
        let opened = device::open(source.device)?;
        device::one_thread_each();
        // Only a pretrained model has a style to be named.
        if source.prompting.style.is_some() && !source.path.is_dir() {
            let path = pretrained::locate(&source.path.to_string_lossy(), source.data_root)?;
            return Self::pretrained(&Source { path: &path, ..*source }, opened, reporter);
        }
        if pretrained::is_model(source.path) {
            return Self::pretrained(source, opened, reporter);
        }
        let policy = Policy::open(source.path, source.agent, opened)?;
        source.prompting.refuse(source.path)?;
        let choose = |what: &str, named: Option<&str>, of_run: fn(&Config) -> &str| -> Result<String> {
            let chosen = named.or_else(|| policy.run.as_ref().map(of_run));
            let missing = || Error::usage(format!("a checkpoint does not record its {what}: pass --{what}"));
            chosen.map(str::to_owned).ok_or_else(missing)
        };
        let id = choose("env", source.env, |config| &config.env.id)?;
        let split = choose("split", source.split, split_of_run)?;
        let env = envs::open_with(policy.run.as_ref(), &id, source.data_root, source.options)?;
        let generators = generators::local(opened, workers(0), policy.run.as_ref());
        Ok(Self { policy, env, split, generators })
    }

    /// Opens a pretrained model. Whatever needs no weights is checked before they are read.
    fn pretrained(source: &Source<'_>, device: Device, reporter: &dyn Reporter) -> Result<Self> {
        let mut pretrained = Pretrained::choose(source.path, source.agent, &source.prompting)?;
        let choose = |what: &str, named: Option<&str>| -> Result<String> {
            let missing =
                || Error::usage(format!("a pretrained model has no {what} of its own: pass --{what}"));
            named.map(str::to_owned).ok_or_else(missing)
        };
        let (id, split) = (choose("env", source.env)?, choose("split", source.split)?);
        let env = envs::open_with(None, &id, source.data_root, source.options)?;
        env.family.known_split(&split)?;
        let (context, budgets) = (pretrained.config.shape.max_positions, Budgets::default());
        Examined::check_budgets(source.path, context, budgets)?;
        if device == Device::Cpu {
            memory::enough_to_load(source.path, pretrained.config.bytes_in_f32())?;
        }
        let encoder = pretrained.encoder(&env, budgets)?;
        if source.prompting.examples > 0 {
            let limits = (source.prompting.examples, context as usize);
            pretrained.examples = worked(&env, &split, pretrained.agent, encoder, limits, reporter)?;
        }
        let policy = Policy::of_pretrained(pretrained, device)?;
        Ok(Self { policy, env, split, generators: generators::pretrained(device, workers(0)) })
    }

    /// Selects `count` tasks of the split (0 takes all), each played once per seed from 0 to `seeds`.
    ///
    /// # Errors
    /// If the split is unknown or its data are absent, the seeds would only repeat the same episodes (`temperature` is `None` and
    /// the environment is deterministic), or there are too many episodes.
    pub fn evaluation(&self, count: usize, seeds: u64, temperature: Option<f64>) -> Result<Games> {
        let subset = Subset::draw(&*self.env.tasks, &self.split, count, Draw::Evaluation)?;
        if seeds > 1 && temperature.is_none() && self.env.spec().deterministic {
            return Err(Error::usage(format!(
                "{} ignores seeds and decoding is greedy: --seeds {seeds} would repeat the same episodes; add --temperature, or omit --seeds",
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
        Ok(Games { subset, jobs, blueprints: Blueprints::Own })
    }

    /// Selects `count` tasks of the split (0 takes all) with a seed.
    ///
    /// # Errors
    /// If the split is unknown or its data are absent.
    pub fn collection(&self, count: usize, seed: u64) -> Result<Games> {
        let subset = Subset::draw(&*self.env.tasks, &self.split, count, Draw::Training { seed })?;
        let jobs = Job::each(&subset.tasks);
        Ok(Games { subset, jobs, blueprints: Blueprints::Own })
    }

    /// Checks that constrained decoding is possible: the environment lists its admissible actions.
    ///
    /// # Errors
    /// If it does not.
    pub fn can_constrain(&self) -> Result<()> {
        self.env.check_admissible(&self.split)
    }

    /// Plays the episodes. Setting `stop` ends the rollout before the next reply. An aborted episode records its error.
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
        let mut generator = self.policy.generator(&self.env, &*self.generators)?;
        let options = Options {
            max_steps: self.policy.max_steps(settings.max_steps, &self.env, &self.split),
            sampling: settings.sampling,
            stop_strings: settings.stop_strings,
            slots: settings.slots,
            seed: settings.seed,
            keep_prompts: settings.keep_prompts,
            keep_tokens: settings.keep_tokens,
            constrained: settings.constrained,
            stop: Some(stop),
            ..Options::greedy(self.policy.agent)
        };
        let clock = Stopwatch::start();
        let name = &self.policy.name;
        let label = if settings.constrained { table::constrained(name) } else { name.clone() };
        let episodes = play(&self.env, &mut *generator, &games.jobs, options, &label, reporter)?;
        Ok(Played { episodes, seconds: clock.seconds() })
    }

    /// Renders the table of an evaluation, with a further line for the same games with constrained decoding.
    pub fn table(&self, games: &Games, played: &Played, constrained: Option<&Played>) -> String {
        let line =
            |name: String, played: &Played| Line { name, evaluation: self.env.evaluate(&played.episodes) };
        let name = &self.policy.name;
        let mut lines = vec![line(name.clone(), played)];
        lines.extend(constrained.map(|played| line(table::constrained(name), played)));
        let prompts =
            self.policy.pretrained().map(|pretrained| format!(", {pretrained}")).unwrap_or_default();
        let blueprints = match games.blueprints {
            Blueprints::Own => String::new(),
            other => format!(", blueprints: {}", other.name()),
        };
        let title = format!(
            "{}/{}{}{}, {}{prompts}{blueprints}",
            self.env.spec().id,
            self.split,
            envs::suffix(&envs::chosen(&self.env.options)),
            suffix(&games.subset),
            self.policy.checkpoint.display()
        );
        let mut text = table::render(&title, &lines);
        if let Some(counts) = self.followed(played) {
            text.push_str(&followed_line(counts));
        }
        text
    }

    /// Counts the sub-goals that a HiMAC agent carried out; none for other agents, or if no expert can tell.
    fn followed(&self, played: &Played) -> Option<Followed> {
        let expert = self.env.expert().ok().filter(|expert| expert.answers(Role::Executor))?;
        let mut counts = Followed::default();
        if self.policy.agent.kind == AgentKind::Himac {
            played.episodes.iter().for_each(|episode| counts.add(followed(expert, episode)));
        }
        (counts.begun > 0).then_some(counts)
    }

    /// Returns an evaluation as JSON, with its costs; `constrained` has that of the same games with constrained decoding.
    pub fn json(&self, games: &Games, played: &Played, constrained: Option<&Played>) -> Value {
        let mut value = self.evaluation_json(games, played);
        if let Some(played) = constrained {
            value["constrained"] = self.evaluation_json(games, played);
        }
        value
    }

    fn evaluation_json(&self, games: &Games, played: &Played) -> Value {
        let evaluation = self.env.evaluate(&played.episodes);
        let about = (&self.env, self.split.as_str(), &games.subset);
        let place = self.policy.checkpoint.display().to_string();
        let mut value = table::json(about, &self.policy.name, &place, commit(), &evaluation);
        if let Some(pretrained) = self.policy.pretrained() {
            pretrained.describe(&mut value);
        }
        if games.blueprints != Blueprints::Own {
            value["blueprints"] = json!(games.blueprints.name());
        }
        if let Some(counts) = self.followed(played) {
            value["follow_rate"] = json!(counts.rate());
            value["subgoals"] = json!(counts.begun);
        }
        let turns = || played.episodes.iter().flat_map(Episode::turns);
        value["prompt_tokens"] = json!(turns().map(|turn| u64::from(turn.prompt_tokens)).sum::<u64>());
        value["new_tokens"] = json!(turns().map(|turn| u64::from(turn.new_tokens)).sum::<u64>());
        let steps: usize = played.episodes.iter().map(Episode::len).sum();
        value["seconds"] = json!(played.seconds);
        value["seconds_per_step"] = json!(played.seconds / steps.max(1) as f64);
        value["peak_memory_bytes"] = json!(memory::peak_bytes());
        value
    }
}

/// Renders the fraction of the sub-goals that were carried out.
fn followed_line(counts: Followed) -> String {
    let Followed { begun, carried_out, .. } = counts;
    format!(
        "\n{:.1} % of {begun} sub-goals were carried out to the expert's satisfaction (follow_rate)\n",
        100.0 * carried_out as f64 / begun.max(1) as f64
    )
}
