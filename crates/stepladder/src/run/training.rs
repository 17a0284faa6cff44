//! A whole run: demonstrations, every agent trained and evaluated, the table. Whatever is finished is not done again.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result};
use serde_json::Value;
use stepladder_agent::evaluation::{Evaluation, evaluate};
use stepladder_agent::scheduler::Options;
use stepladder_agent::{AgentKind, Job};
use stepladder_algo::bc::Ending;
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::clock::Stopwatch;
use stepladder_core::TaskKey;
use stepladder_core::trace::Episode;
use tch::Device;

use super::agents::AgentRun;
use super::demonstrations::{Rollout, TrainingSet, demonstrate, expert_rollout, training_set};
use super::directory::{RunDir, commit};
use super::play::{Policy, play};
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
            return trace_file::load(&path);
        }
        let episodes = demonstrate(env, &self.config)?;
        trace_file::save(&path, &episodes)?;
        Ok(episodes)
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
        let clock = Stopwatch::start();
        let mut lines = vec![self.expert(&env, &dev)?];
        let workers = threads::workers(self.config.threads);
        let tokenizer = Arc::new(set.tokenizer.clone());
        for (agent, numbers) in self.agents() {
            if self.train(&env, agent, numbers, &set, &tokenizer, &dev, workers)? == RunEnding::Interrupted {
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
        text.push_str(&format!("\ntraining and evaluation of all agents: {}\n", minutes(clock.seconds())));
        say(&text);
        for target in &self.config.eval.zero_shot {
            if let Some(block) = self.zero_shot(target)? {
                say(&block);
                text.push('\n');
                text.push_str(&block);
            }
        }
        fs_err::write(self.directory.root.join("table.txt"), &text)?;
        say(format_args!("run directory: {}", self.directory.root.display()));
        Ok(RunEnding::Complete)
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
        let done = self.directory.agent(agent).join("trained.json");
        if done.exists() {
            return Ok(RunEnding::Complete);
        }
        let run = AgentRun {
            run: &self.directory,
            config: &self.config,
            env,
            agent,
            numbers,
            rows: match agent {
                AgentKind::StepHrl => &set.step_hrl,
                AgentKind::Flat => &set.flat,
            },
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
        fs_err::write(done, progress + "\n")?;
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
            fs_err::write(&json_path, serde_json::to_string_pretty(&value)? + "\n")?;
            episodes
        };
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
        let title = format!("{target}, zero-shot (trained on {} only)", self.config.env.id);
        Ok(Some(table::render(&title, &lines)))
    }
}

/// Tasks of a split, the first `count` of them (0: all).
pub(crate) fn split_tasks(env: &Registered, split: &str, count: usize) -> Result<Vec<TaskKey>> {
    let mut tasks = env.tasks.tasks(split)?;
    if count > 0 {
        tasks.truncate(count);
    }
    Ok(tasks)
}
