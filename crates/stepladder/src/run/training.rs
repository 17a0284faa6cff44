//! A whole run: demonstrations, every agent trained and evaluated, the table. Whatever is finished is not done again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use stepladder_agent::evaluation::{Evaluation, evaluate};
use stepladder_agent::generator::budget;
use stepladder_agent::scheduler::Options;
use stepladder_agent::{AgentKind, Job};
use stepladder_algo::bc::Ending;
use stepladder_algo::runtime::checkpoint::{self, Progress};
use stepladder_algo::runtime::clock::Stopwatch;
use stepladder_core::trace::Episode;
use stepladder_core::{Role, TaskKey};
use stepladder_data::Row;
use stepladder_model::Device;

use super::agents::AgentRun;
use super::demonstrations::{Rollout, TrainingSet, demonstrate, expert_rollout, training_set};
use super::directory::{RunDir, commit, replace_file};
use super::play::{Policy, play, warn_of_broken};
use super::progress::{Reporter, minutes};
use super::table::{self, Line};
use super::trace_file;
use crate::commands::say;
use crate::config::{AgentConfig, AlgoConfig, Config};
use crate::envs::{self, Registered};
use crate::threads;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEnding {
    Complete,
    Interrupted,
}

/// One run.
pub(crate) struct Run<'a> {
    pub(crate) directory: RunDir,
    pub(crate) config: Config,
    pub(crate) data_root: Option<&'a Path>,
    pub(crate) device: Device,
    pub(crate) stop: Arc<AtomicBool>,
}

impl Run<'_> {
    fn agents(&self) -> Vec<(AgentKind, &AgentConfig)> {
        let agents = &self.config.agents;
        [(AgentKind::StepHrl, &agents.step_hrl), (AgentKind::Flat, &agents.flat)]
            .into_iter()
            .filter_map(|(kind, numbers)| numbers.as_ref().map(|numbers| (kind, numbers)))
            .collect()
    }

    /// Demonstrations are played once and kept; a continued run reads them.
    fn episodes(&self, env: &Registered) -> Result<Vec<Episode>> {
        let path = self.directory.demonstrations();
        if path.exists() {
            return trace_file::load(&path).context(
                "the run's demonstrations cannot be read; remove the file to have the expert play again",
            );
        }
        let episodes = demonstrate(env, &self.config)?;
        trace_file::save(&path, &episodes)?;
        Ok(episodes)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Refuses a window that the demonstrations do not fit, before any time is spent on training.
    ///
    /// Step-level prompts must leave room for their reply, as when the agent plays; a flat agent may have to forget its
    /// oldest steps then, but not while it learns.
    fn check_window(&self, set: &TrainingSet) -> Result<()> {
        let window = self.config.model.max_positions;
        for (agent, _) in self.agents() {
            let needs = |row: &Row| match row.replies.as_slice() {
                [span] if row.role != Role::Flat => {
                    row.ids.len().max((span.start + budget(row.role)) as usize)
                }
                _ => row.ids.len(),
            };
            let needed = rows(set, agent).iter().map(needs).max().unwrap_or(0);
            if needed as i64 > window {
                bail!(
                    "model.max_positions is {window}, but {} needs {needed} for these demonstrations, prompt and reply \
                     together: raise it to at least {needed}",
                    agent.name()
                );
            }
        }
        Ok(())
    }

    /// Does everything that is not done yet.
    pub(crate) fn run(&self) -> Result<RunEnding> {
        let env = envs::open(&self.config.env.id, self.data_root)?;
        let dev = split_tasks(&env, &self.config.eval.split, self.config.eval.episodes)?;
        let clock = Stopwatch::start();
        let episodes = self.episodes(&env)?;
        let AlgoConfig::Bc(bc) = &self.config.algo;
        let set = training_set(&episodes, &*env.style, bc.duplicates);
        eprintln!(
            "{} demonstrations with {} steps in {}; {} words; step_hrl: {} samples, {} distinct; flat: {} episodes",
            episodes.len(),
            episodes.iter().map(Episode::len).sum::<usize>(),
            minutes(clock.seconds()),
            set.tokenizer.len(),
            set.samples,
            set.step_hrl.len(),
            set.flat.len()
        );
        drop(episodes);
        self.check_window(&set)?;
        let clock = Stopwatch::start();
        let mut lines = vec![self.expert(&env, &dev)?];
        let workers = threads::workers(self.config.threads);
        let tokenizer = Arc::new(set.tokenizer.clone());
        for (agent, numbers) in self.agents() {
            if self.train(&env, agent, numbers, &set, &tokenizer, &dev, workers)? == RunEnding::Interrupted {
                return Ok(RunEnding::Interrupted);
            }
            if self.stopped() {
                return Ok(RunEnding::Interrupted);
            }
            let name = format!("{}-{}", self.config.env.id, self.config.eval.split);
            lines.push(self.evaluate(&env, agent, &self.config.eval.split, &dev, &name)?);
        }
        let title = format!(
            "{}/{}, greedy, {} steps",
            self.config.env.id, self.config.eval.split, self.config.env.max_steps
        );
        let mut text = table::render(&title, &lines);
        text.push_str(&format!(
            "\ntraining: {}; training and evaluation in this session: {}\n",
            self.training_times()?,
            minutes(clock.seconds())
        ));
        say(&text);
        for target in &self.config.eval.zero_shot {
            if self.stopped() {
                return Ok(RunEnding::Interrupted);
            }
            if let Some(block) = self.zero_shot(target)? {
                say(&block);
                text.push('\n');
                text.push_str(&block);
            }
        }
        replace_file(&self.directory.root.join("table.txt"), &text)?;
        say(format_args!("run directory: {}", self.directory.root.display()));
        Ok(RunEnding::Complete)
    }

    /// Training time of each agent over all sessions, evaluation and saving left out.
    fn training_times(&self) -> Result<String> {
        let mut times = Vec::new();
        for (agent, _) in self.agents() {
            let path = self.trained(agent);
            let progress: Progress = serde_json::from_str(&fs_err::read_to_string(&path)?)
                .with_context(|| path.display().to_string())?;
            times.push(format!("{} {}", agent.name(), minutes(progress.seconds)));
        }
        Ok(times.join(", "))
    }

    /// The file that says that an agent's training is complete.
    fn trained(&self, agent: AgentKind) -> PathBuf {
        self.directory.agent(agent).join("trained.json")
    }

    fn expert(&self, env: &Registered, tasks: &[TaskKey]) -> Result<Line> {
        let rollout = Rollout {
            agent: AgentKind::StepHrl,
            jobs: Job::each(tasks),
            max_steps: self.config.env.max_steps,
            noise: 0.0,
            seed: self.config.seed,
        };
        let episodes = expert_rollout(env, &rollout, &Reporter::new("expert", tasks.len() as u64))?;
        Ok(Line { name: "expert".to_owned(), evaluation: evaluate(&episodes) })
    }

    #[allow(clippy::too_many_arguments)]
    fn train(
        &self,
        env: &Registered,
        agent: AgentKind,
        numbers: &AgentConfig,
        set: &TrainingSet,
        tokenizer: &Arc<stepladder_data::WordTokenizer>,
        dev: &[TaskKey],
        workers: usize,
    ) -> Result<RunEnding> {
        let done = self.trained(agent);
        if done.exists() {
            return Ok(RunEnding::Complete);
        }
        let run = AgentRun {
            run: &self.directory,
            config: &self.config,
            env,
            agent,
            numbers,
            rows: rows(set, agent),
            tokenizer: tokenizer.clone(),
            fingerprint: &set.fingerprint,
            probe_tasks: &dev[..dev.len().min(self.config.eval.probe_episodes)],
            workers,
            device: self.device,
        };
        let (trainer, ending) = run.train(&self.stop)?;
        if ending == Ending::Interrupted {
            return Ok(RunEnding::Interrupted);
        }
        let progress = serde_json::to_string_pretty(&trainer.progress)?;
        replace_file(&done, &(progress + "\n"))?;
        Ok(RunEnding::Complete)
    }

    /// Evaluates the last checkpoint, keeps table and episodes.
    fn evaluate(
        &self,
        env: &Registered,
        agent: AgentKind,
        split: &str,
        tasks: &[TaskKey],
        name: &str,
    ) -> Result<Line> {
        let directory = self.directory.agent(agent);
        let episodes_path = directory.join(format!("{name}.jsonl.zst"));
        let json_path = directory.join(format!("{name}.json"));
        let episodes = if json_path.exists() && episodes_path.exists() {
            trace_file::load(&episodes_path)?
        } else {
            let path = checkpoint::latest(&self.directory.checkpoints(agent))
                .with_context(|| format!("{} has no checkpoint", directory.display()))?;
            let policy = Policy::open(&path, Some(agent), self.device)?;
            let mut generator = policy.generator(env, threads::workers(self.config.threads))?;
            let options = Options {
                max_steps: self.config.env.max_steps,
                slots: self.config.eval.slots,
                ..Options::greedy(agent)
            };
            let label = format!("{} {split}", agent.name());
            let episodes = play(env, &mut generator, &Job::each(tasks), options, &label)?;
            trace_file::save(&episodes_path, &episodes)?;
            let evaluation = evaluate(&episodes);
            let place = path.display().to_string();
            let value: Value = table::json(env.spec().id, split, agent.name(), &place, commit(), &evaluation);
            replace_file(&json_path, &(serde_json::to_string_pretty(&value)? + "\n"))?;
            episodes
        };
        warn_of_broken(&episodes);
        let evaluation: Evaluation = evaluate(&episodes);
        Ok(Line { name: agent.name().to_owned(), evaluation })
    }

    /// Another environment's split, played without training on it; none where its data are absent.
    fn zero_shot(&self, target: &str) -> Result<Option<String>> {
        let Some((id, split)) = target.split_once('/') else { return Ok(None) };
        let present = envs::open(id, self.data_root).and_then(|env| {
            let tasks = env.tasks.tasks(split)?;
            Ok((env, tasks))
        });
        let (env, tasks) = match present {
            Ok(present) => present,
            Err(reason) => {
                eprintln!("{target} is not played: {reason}");
                return Ok(None);
            }
        };
        let mut lines = vec![self.expert(&env, &tasks)?];
        for (agent, _) in self.agents() {
            lines.push(self.evaluate(&env, agent, split, &tasks, &format!("{id}-{split}"))?);
        }
        let trained = &self.config.env.id;
        let title = if id == trained {
            format!("{target}, trained on {trained}/{}", self.config.data.split)
        } else {
            format!("{target}, zero-shot (trained on {trained} only)")
        };
        Ok(Some(table::render(&title, &lines)))
    }
}

/// What an agent learns from.
fn rows(set: &TrainingSet, agent: AgentKind) -> &[Row] {
    match agent {
        AgentKind::StepHrl => &set.step_hrl,
        AgentKind::Flat => &set.flat,
    }
}

/// Whether everything that a configuration names exists, so that nothing is written for a run that cannot begin.
///
/// Environments that are only played at the end may lack their data, but not have unknown names.
pub(crate) fn check_names(config: &Config, data_root: Option<&Path>) -> Result<()> {
    let id = &config.env.id;
    envs::spec(id).context("env.id")?;
    envs::known_split(id, &config.data.split).context("data.split")?;
    envs::known_split(id, &config.eval.split).context("eval.split")?;
    for target in &config.eval.zero_shot {
        if let Some((id, split)) = target.split_once('/') {
            envs::known_split(id, split).context("eval.zero_shot")?;
        }
    }
    envs::open(id, data_root)?.tasks.tasks(&config.eval.split)?;
    Ok(())
}

/// Tasks of a split, the first `count` of them (0: all).
pub(crate) fn split_tasks(env: &Registered, split: &str, count: usize) -> Result<Vec<TaskKey>> {
    let mut tasks = env.tasks.tasks(split)?;
    if count > 0 {
        tasks.truncate(count);
    }
    Ok(tasks)
}
