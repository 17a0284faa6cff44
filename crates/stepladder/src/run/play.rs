//! Playing a trained agent: from a run or checkpoint to episodes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use stepladder_agent::scheduler::Options;
use stepladder_agent::{AgentKind, Job, Scheduler};
use stepladder_algo::runtime::checkpoint::{self, Trainer};
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_core::trace::Episode;
use stepladder_data::WordTokenizer;
use stepladder_model::local::fingerprint;
use stepladder_model::{Device, Kind};
use stepladder_model::{Factors, LocalGenerator, Params};

use super::directory::RunDir;
use super::progress::Reporter;
use crate::config::Config;
use crate::envs::Registered;

/// A policy that can play, and where it comes from.
pub(crate) struct Policy {
    /// Which agent it was trained as.
    pub(crate) agent: AgentKind,
    /// Its checkpoint directory.
    pub(crate) checkpoint: PathBuf,
    /// The run it belongs to, if it was found through one.
    pub(crate) run: Option<Config>,
    params: Params,
    factors: Factors,
    tokenizer: Arc<WordTokenizer>,
    style: String,
    device: Device,
}

/// Numbers that generation does not read, but a trainer holds.
const UNUSED: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, clip: 1.0 };

fn kind_of(name: &str) -> Option<AgentKind> {
    [AgentKind::StepHrl, AgentKind::Flat].into_iter().find(|kind| kind.name() == name)
}

impl Policy {
    /// Opens a run directory (`agent` chooses among its agents) or a checkpoint directory.
    pub(crate) fn open(path: &Path, agent: Option<AgentKind>, device: Device) -> Result<Self> {
        if !path.exists() {
            bail!("{}: no such run or checkpoint", path.display());
        }
        if path.join("config.toml").exists() {
            let (run, config, _) = RunDir::open(path)?;
            let candidates: Vec<AgentKind> =
                agent.map_or_else(|| vec![AgentKind::StepHrl, AgentKind::Flat], |agent| vec![agent]);
            let found = candidates.iter().find_map(|&kind| {
                checkpoint::latest(&run.checkpoints(kind)).map(|directory| (kind, directory))
            });
            let names: Vec<_> = candidates.iter().map(|kind| kind.name()).collect();
            let (_, directory) = found.ok_or_else(|| {
                anyhow!("{} has no checkpoint of {} yet", path.display(), names.join(" or "))
            })?;
            let mut policy = Self::load(&directory, device)?;
            policy.run = Some(config);
            return Ok(policy);
        }
        if !path.join("trainer.json").is_file() {
            bail!(
                "{} is neither a run (it has no config.toml) nor a checkpoint (it has no trainer.json)",
                path.display()
            );
        }
        let policy = Self::load(path, device)?;
        if let Some(agent) = agent
            && agent != policy.agent
        {
            bail!("{} is a checkpoint of {}, not of {}", path.display(), policy.agent.name(), agent.name());
        }
        Ok(policy)
    }

    fn load(directory: &Path, device: Device) -> Result<Self> {
        let (trainer, tokenizer) = checkpoint::load(directory, UNUSED, device)?;
        let agent = kind_of(&trainer.identity.agent).with_context(|| {
            format!("{}: unknown agent `{}`", directory.display(), trainer.identity.agent)
        })?;
        Ok(Self {
            agent,
            checkpoint: directory.to_owned(),
            run: None,
            style: trainer.identity.style.clone(),
            params: trainer.params,
            factors: trainer.factors,
            tokenizer: Arc::new(tokenizer),
            device,
        })
    }

    /// Environment steps per episode: what was asked for, or the run's limit, or the environment's.
    pub(crate) fn max_steps(&self, wanted: Option<u32>, env: &Registered) -> u32 {
        let of_run = self.run.as_ref().map(|config| config.env.max_steps);
        wanted.or(of_run).unwrap_or(env.spec().max_steps)
    }

    /// A generator for an environment; refuses one whose prompts look different from those it was trained on.
    pub(crate) fn generator(&self, env: &Registered, workers: usize) -> Result<LocalGenerator> {
        if self.style != env.style.id() {
            bail!(
                "{} was trained on prompts of style {}, {} has {}",
                self.checkpoint.display(),
                self.style,
                env.spec().id,
                env.style.id()
            );
        }
        let workers = if self.device == Device::Cpu { workers } else { 1 };
        Ok(LocalGenerator::new(
            &self.params,
            &self.factors,
            env.style.clone(),
            self.tokenizer.clone(),
            workers,
            Kind::Float,
            fingerprint(&self.params.flat),
        ))
    }
}

/// A generator over the current parameters of a trainer.
pub(crate) fn live_generator(
    trainer: &Trainer,
    tokenizer: &Arc<WordTokenizer>,
    env: &Registered,
    workers: usize,
) -> LocalGenerator {
    LocalGenerator::new(
        &trainer.params,
        &trainer.factors,
        env.style.clone(),
        tokenizer.clone(),
        workers,
        Kind::Float,
        format!("step-{}", trainer.progress.step),
    )
}

/// What to say about episodes that an error broke off, if there are any.
pub(crate) fn broken(episodes: &[Episode]) -> Option<String> {
    let mut broken = episodes.iter().filter_map(|episode| Some((episode, episode.error.as_ref()?)));
    let (first, error) = broken.next()?;
    let rest = broken.count();
    Some(format!("{} of {} episodes broke off; the first, {}: {error}", rest + 1, episodes.len(), first.task))
}

/// Says so on standard error; the episodes count as failed.
pub(crate) fn warn_of_broken(episodes: &[Episode]) {
    if let Some(text) = broken(episodes) {
        eprintln!("warning: {text}");
    }
}

/// Plays `jobs` with progress on standard error.
pub(crate) fn play(
    env: &Registered,
    generator: &mut LocalGenerator,
    jobs: &[Job],
    options: Options<'_>,
    name: &str,
) -> Result<Vec<Episode>> {
    let reporter = Reporter::new(name, jobs.len() as u64);
    let (mut done, mut won) = (0, 0);
    let episodes = Scheduler::new(&*env.tasks, generator, options).run(jobs, |episode| {
        done += 1;
        won += u64::from(episode.won);
        reporter.at(done, &format!("{won} of {done} solved"));
    })?;
    reporter.done();
    Ok(episodes)
}
