//! Rollouts of a policy: from a run, a checkpoint or a pretrained model to episodes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use stepladder_agent::AgentSpec;
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::optimiser::AdamWConfig;
use stepladder_core::Role;
use stepladder_core::trace::Episode;
use stepladder_data::instruct::Form;
use stepladder_data::{Budgets, encoders};
use stepladder_model::checkpoint::Bases;
use stepladder_model::{Device, GeneratorSource, fingerprint};
use stepladder_rollout::generator::ByRole;
use stepladder_rollout::sampling::Distribution;
use stepladder_rollout::scheduler::Options;
use stepladder_rollout::{Generator, Job, Scheduler};

use super::directory::RunDir;
use super::report::Reporter;
use crate::config::{Config, Weights};
use crate::envs::Registered;
use crate::error::{Error, Result, bail};
use crate::pretrained::Pretrained;

/// Roles of STEP-HRL, each with its own model under `weights = "per_role"`.
pub(crate) const ROLES: [Role; 3] = [Role::Planner, Role::Executor, Role::Progress];

/// Model of one role, or of all roles.
struct RoleModel {
    /// Its role; `None` if it plays all roles.
    role: Option<Role>,
    weights: stepladder_model::Weights,
    /// Its checkpoint.
    directory: PathBuf,
}

/// Choice of the encoder of a policy's prompts.
enum Prompts {
    /// The style that its checkpoints record.
    Recorded(String),
    /// That of a pretrained model, chosen by the caller.
    Chosen(Box<Pretrained>),
}

/// A policy with its origin.
pub struct Policy {
    /// Agent that it was trained for, or that a pretrained model plays.
    pub agent: AgentSpec,
    /// Name in its run, or else the name of its agent kind.
    pub name: String,
    /// Checkpoint directory, the directory of its models' checkpoints, or that of a pretrained model.
    pub checkpoint: PathBuf,
    /// Configuration of its run, if it was opened through one.
    pub run: Option<Config>,
    models: Vec<RoleModel>,
    prompts: Prompts,
    budgets: Budgets,
}

/// Hyperparameters that a trainer holds and generation does not read.
const UNUSED: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, clip: 1.0 };

impl Policy {
    /// Opens a run directory (`agent` selects one of its agents by name) or a checkpoint directory.
    ///
    /// # Errors
    /// If the run, checkpoint or agent is absent, or it cannot be loaded.
    pub fn open(path: &Path, agent: Option<&str>, device: Device) -> Result<Self> {
        if !path.exists() {
            bail!("{}: no such run or checkpoint", path.display());
        }
        if path.join("config.toml").exists() {
            let (run, config, _) = RunDir::open(path)?;
            let names: Vec<&str> = match agent {
                Some(name) => {
                    run.check_agent(&config, name)?;
                    vec![name]
                }
                None => config.agents.keys().map(String::as_str).collect(),
            };
            let name =
                names.iter().find(|name| Self::place(&run, &config, name).is_some()).ok_or_else(|| {
                    anyhow!("{} has no checkpoint of {} yet", path.display(), names.join(" or "))
                })?;
            return Self::of_run(&run, &config, name, device, &config.model.bases());
        }
        if !path.join("trainer.json").is_file() {
            bail!(
                "{} is no run (it has no config.toml), no checkpoint (it has no trainer.json) and no model (it has no config.json)",
                path.display()
            );
        }
        // Inside a run directory the run's configuration applies; a copied checkpoint gets the defaults.
        let absolute = std::path::absolute(path)?;
        let run = absolute.ancestors().skip(1).find(|folder| folder.join("run.json").is_file());
        let config = run.map(|run| RunDir::open(run).map(|(_, config, _)| config)).transpose()?;
        let budgets = config.as_ref().map_or_else(Budgets::default, |config| config.generation.budgets());
        let bases = config.as_ref().map_or_else(Bases::default, |config| config.model.bases());
        let policy = Self::load(path, &[(None, path.to_owned())], budgets, device, &bases)?;
        if let Some(agent) = agent
            && agent != policy.name
        {
            bail!("{} is a checkpoint of {}, not of {agent}", path.display(), policy.name);
        }
        Ok(policy)
    }

    /// Opens a pretrained model.
    pub(crate) fn of_pretrained(pretrained: Pretrained, device: Device) -> Result<Self> {
        let weights = pretrained.weights(device)?;
        let (agent, directory) = (pretrained.agent, pretrained.directory.clone());
        Ok(Self {
            agent,
            name: agent.kind.name().to_owned(),
            checkpoint: directory.clone(),
            run: None,
            models: vec![RoleModel { role: None, weights, directory }],
            prompts: Prompts::Chosen(Box::new(pretrained)),
            budgets: Budgets::default(),
        })
    }

    /// Returns the prompts and the adapter of a pretrained model; `None` for a trained policy.
    pub fn pretrained(&self) -> Option<&Pretrained> {
        match &self.prompts {
            Prompts::Recorded(_) => None,
            Prompts::Chosen(pretrained) => Some(pretrained),
        }
    }

    /// Opens the newest checkpoints of an agent of a run.
    ///
    /// # Errors
    /// If there is no checkpoint, or it cannot be loaded.
    pub fn of_run(run: &RunDir, config: &Config, name: &str, device: Device, bases: &Bases) -> Result<Self> {
        let (place, models) = Self::place(run, config, name)
            .with_context(|| format!("{} has no checkpoint", run.agent(name).display()))?;
        let mut policy = Self::load(&place, &models, config.generation.budgets(), device, bases)?;
        policy.run = Some(config.clone());
        name.clone_into(&mut policy.name);
        Ok(policy)
    }

    /// Returns the checkpoints of an agent: one for all roles, or one per role.
    #[allow(clippy::type_complexity)]
    fn place(run: &RunDir, config: &Config, name: &str) -> Option<(PathBuf, Vec<(Option<Role>, PathBuf)>)> {
        let directory = run.agent(name);
        if config.agents.get(name)?.weights == Weights::Shared {
            let newest = checkpoint::latest(&directory.join("checkpoints"))?;
            return Some((newest.clone(), vec![(None, newest)]));
        }
        let newest = |role: Role| checkpoint::latest(&directory.join(role.name()).join("checkpoints"));
        // All or none: a missing role has no substitute.
        let spec = config.agents[name].spec();
        let needed = ROLES.into_iter().filter(|role| spec.has(*role));
        let models: Option<Vec<_>> = needed.map(|role| Some((Some(role), newest(role)?))).collect();
        Some((directory, models?))
    }

    fn load(
        place: &Path,
        checkpoints: &[(Option<Role>, PathBuf)],
        budgets: Budgets,
        device: Device,
        bases: &Bases,
    ) -> Result<Self> {
        let mut models = Vec::new();
        let mut identity = None;
        for (role, directory) in checkpoints {
            let trainer = checkpoint::load(directory, UNUSED, device, bases)?;
            let agent: AgentSpec = trainer
                .identity
                .agent
                .parse()
                .map_err(|error: String| anyhow!("{}: {error}", directory.display()))?;
            identity = Some((agent, trainer.identity.style));
            models.push(RoleModel { role: *role, weights: trainer.weights, directory: directory.clone() });
        }
        let (agent, style) = identity.with_context(|| format!("{} has no checkpoint", place.display()))?;
        let name = agent.kind.name().to_owned();
        let prompts = Prompts::Recorded(style);
        Ok(Self { agent, name, checkpoint: place.to_owned(), run: None, models, prompts, budgets })
    }

    /// Returns the distribution to sample from at a temperature, with the requested limits, or those of its run.
    pub fn distribution(&self, temperature: f64, top_p: Option<f64>, top_k: Option<usize>) -> Distribution {
        let all = Distribution::at(temperature);
        let of_run = self.run.as_ref().map_or(all, |config| config.generation.distribution(temperature));
        Distribution {
            temperature,
            top_p: top_p.unwrap_or(of_run.top_p),
            top_k: top_k.unwrap_or(of_run.top_k),
        }
    }

    /// Returns the requested stop strings, or those of its run.
    ///
    /// # Errors
    /// If stop strings are requested and its replies have no text of their own.
    pub fn stop_strings(&self, wanted: &[String]) -> Result<Option<Arc<[String]>>> {
        if wanted.is_empty() {
            return Ok(self.run.as_ref().and_then(|config| config.generation.stop_strings()));
        }
        match &self.prompts {
            Prompts::Recorded(style) if Form::of_style(style).is_none() => Err(Error::usage(format!(
                "stop strings are for pretrained models, and {} has prompts of style {style}, whose replies are no text: omit --stop",
                self.checkpoint.display()
            ))),
            _ => Ok(Some(wanted.into())),
        }
    }

    /// Returns the step limit: the requested one, or that of its run and the split.
    pub fn max_steps(&self, wanted: Option<u32>, env: &Registered, split: &str) -> u32 {
        let of_run = self.run.as_ref().map(|config| env.max_steps(config, split));
        wanted.or(of_run).unwrap_or_else(|| env.tasks.max_steps(split))
    }

    /// Opens a generator of `source` for an environment; refuses an environment whose prompts have another style than the training
    /// data.
    ///
    /// # Errors
    /// If the styles differ, the encoder of a checkpoint cannot be read, or the generator cannot load the weights.
    pub fn generator(&self, env: &Registered, source: &dyn GeneratorSource) -> Result<Box<dyn Generator>> {
        let open = |model: &RoleModel| -> Result<Box<dyn Generator>> {
            let vocab = model.weights.config().vocab as usize;
            let style = match &self.prompts {
                Prompts::Recorded(style) => style,
                Prompts::Chosen(pretrained) => {
                    let encoder = pretrained.encoder(env, self.budgets)?;
                    let name = pretrained.fingerprint(&model.weights)?;
                    return Ok(source.open(&model.weights, Arc::new(encoder), name)?);
                }
            };
            let encoder = encoders::open(&model.directory, style, env.codec.clone(), vocab, self.budgets)?;
            if *style != encoder.id() {
                bail!(
                    "{} was trained on prompts of style {style}, {} has {}",
                    self.checkpoint.display(),
                    env.spec().id,
                    encoder.id()
                );
            }
            let name = fingerprint(&model.weights.trained.buffer)?;
            Ok(source.open(&model.weights, encoder, name)?)
        };
        let mut by_role: Vec<(Role, Box<dyn Generator>)> = Vec::new();
        for model in &self.models {
            match model.role {
                Some(role) => by_role.push((role, open(model)?)),
                None => return open(model),
            }
        }
        Ok(Box::new(ByRole::new(by_role)))
    }
}

/// Returns the fingerprint of a checkpoint's policy, as traces record it.
pub(crate) fn policy_fingerprint(checkpoint: &Path, device: Device, bases: &Bases) -> Result<String> {
    let trainer = checkpoint::load(checkpoint, UNUSED, device, bases)?;
    Ok(fingerprint(&trainer.weights.trained.buffer)?)
}

/// Returns a warning about aborted episodes, if there are any.
pub fn aborted(episodes: &[Episode]) -> Option<String> {
    let mut aborted = episodes.iter().filter_map(|episode| Some((episode, episode.error.as_ref()?)));
    let (first, error) = aborted.next()?;
    let rest = aborted.count();
    Some(format!("{} of {} episodes aborted; the first, {}: {error}", rest + 1, episodes.len(), first.task))
}

/// Warns of aborted episodes, which count as failed.
pub(crate) fn warn_of_aborted(episodes: &[Episode], reporter: &dyn Reporter) {
    if let Some(text) = aborted(episodes) {
        reporter.warn(&text);
    }
}

/// Plays `jobs`; `label` names the work in the status line.
///
/// # Errors
/// If the generator fails or the flag of `options` was set.
pub fn play(
    env: &Registered,
    generator: &mut dyn Generator,
    jobs: &[Job],
    options: Options<'_>,
    name: &str,
    reporter: &dyn Reporter,
) -> Result<Vec<Episode>> {
    let status = reporter.begin(name, jobs.len() as u64);
    let (mut done, mut won) = (0, 0);
    let episodes = Scheduler::new(&*env.tasks, generator, options).run(jobs, |episode| {
        done += 1;
        won += u64::from(episode.won);
        status.at(done, &format!("{won} of {done} solved"));
    })?;
    Ok(episodes)
}
