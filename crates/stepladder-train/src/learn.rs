//! Training of an agent by each algorithm: rows, phases, models.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rand::seq::SliceRandom;
use stepladder_agent::AgentKind;
use stepladder_algo::dagger::{self, DaggerConfig};
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::observer::Ending;
use stepladder_algo::runtime::trainer::Trainer;
use stepladder_core::seed::stream;
use stepladder_core::trace::Episode;
use stepladder_data::rows::Span;
use stepladder_data::{PromptEncoder, Row};
use stepladder_env::Subset;
use stepladder_model::{Device, GeneratorSource};
use stepladder_rollout::scheduler::Options;
use stepladder_rollout::{Dropped, Job};

use super::agent_run::AgentRun;
use super::initial::Initial;
use super::play::{ROLES, play, policy_fingerprint};
use super::rows::{AgentRows, DataId, Rows, of_role};
use super::session::Session;
use super::trace_file;
use crate::config::{AgentConfig, Algo, Weights};
use crate::envs::{self, Registered};

/// Resources that all agents of a run share.
pub(crate) struct Material<'a> {
    pub(crate) env: &'a Registered,
    pub(crate) demonstrations: &'a [Episode],
    /// Episodes with random sub-goals.
    pub(crate) wandering: &'a [Episode],
    /// Source of initial policies.
    pub(crate) initial: &'a Initial,
    pub(crate) encoder: Arc<dyn PromptEncoder>,
    pub(crate) generators: Arc<dyn GeneratorSource>,
    pub(crate) probe_tasks: &'a Subset,
    pub(crate) workers: usize,
    pub(crate) device: Device,
}

/// Training of one agent.
pub(crate) struct AgentTraining<'a> {
    pub(crate) run: &'a Session<'a>,
    pub(crate) material: &'a Material<'a>,
    pub(crate) name: &'a str,
    /// Configuration of the agent.
    pub(crate) agent: &'a AgentConfig,
}

impl AgentTraining<'_> {
    /// Trains the agent to the end of its last phase, or until the run is stopped. Returns the counters summed over its models.
    pub(crate) fn train(&self) -> Result<(Counters, Ending)> {
        match (self.agent.algo, self.agent.weights) {
            (Algo::Bc, Weights::Shared) => self.bc(&self.demonstrated()?.rows),
            (Algo::Bc, Weights::PerRole) => self.per_role(&self.demonstrated()?.rows),
            (Algo::Dagger, _) => self.dagger(&self.demonstrated()?),
            (Algo::OfflineAc, _) => self.offline_ac(&self.demonstrated()?),
            (Algo::MoreBc | Algo::FilteredBc | Algo::TopBc, _) => self.control(&self.demonstrated()?),
            (Algo::Himac | Algo::Grpo | Algo::Rloo | Algo::Gigpo | Algo::Ppo, _) => self.online(),
        }
    }

    /// Returns the rows of the demonstrations.
    pub(crate) fn demonstrated(&self) -> Result<AgentRows> {
        let found = self.rows(&[])?;
        self.run.reporter.note(&format!(
            "{}: {} samples, {} distinct",
            self.name,
            found.samples,
            found.rows.len()
        ));
        Ok(found)
    }

    /// Clones demonstrations with one model.
    fn bc(&self, rows: &[Row]) -> Result<(Counters, Ending)> {
        let agent = self.model(self.name, &self.directory(), rows)?;
        let mut trainer = agent.trainer()?;
        let ending = agent.clone_behaviour(rows, self.agent.budget, &mut trainer)?;
        Ok((trainer.counters, ending))
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.run.directory.agent(self.name)
    }

    /// Returns the converter of episodes to rows for this agent.
    pub(crate) fn reader(&self) -> Rows<'_> {
        Rows {
            agent: self.agent,
            encoder: &*self.material.encoder,
            duplicates: self.run.config.algo.bc.duplicates,
            prompt_loss: self.run.config.algo.bc.prompt_loss,
            seed: self.run.config.seed,
        }
    }

    /// Returns the rows of the demonstrations and of the expert's labels for episodes that the policy played.
    fn rows(&self, played: &[Episode]) -> Result<AgentRows> {
        let mut found = self.reader().collect(&self.demonstrations(), played, self.material.env.expert()?)?;
        if !played.is_empty() {
            // A policy that generates garbage can fill its prompts beyond the context window, and tasks can have words that no
            // demonstration has. Such rows cannot be trained on.
            let window = self.material.initial.context(self.run.config);
            let (mut long, mut unknown) = (0, 0);
            found.rows.retain(|row| {
                let says = |span: &Span| &row.ids[span.start as usize..(span.start + span.len) as usize];
                let fits = row.ids.len() as i64 <= window;
                let covered = row.replies.iter().all(|span| self.material.encoder.covers(says(span)));
                long += usize::from(!fits);
                unknown += usize::from(fits && !covered);
                fits && covered
            });
            for (count, reason) in
                [(long, "longer than the context window"), (unknown, "with unknown words in a reply")]
            {
                if count > 0 {
                    self.run.reporter.note(&format!("{}: {count} rows dropped: {reason}", self.name));
                }
            }
        }
        Ok(found)
    }

    /// Returns the context window that its demonstrations need.
    pub(crate) fn window(&self) -> Result<usize> {
        self.reader().window(&self.demonstrations())
    }

    /// Returns the demonstrations that the agent clones; for HiMAC also the episodes with random sub-goals.
    fn demonstrations(&self) -> Cow<'_, [Episode]> {
        let Material { demonstrations, wandering, .. } = *self.material;
        match self.agent.kind {
            AgentKind::Himac if !wandering.is_empty() => {
                Cow::Owned(demonstrations.iter().chain(wandering).cloned().collect())
            }
            _ => Cow::Borrowed(demonstrations),
        }
    }

    /// Returns one model of this agent, whose first phase trains on `rows`.
    pub(crate) fn model<'a>(
        &'a self,
        name: &'a str,
        directory: &Path,
        rows: &'a [Row],
    ) -> Result<AgentRun<'a>> {
        let from = match &self.agent.from {
            None => None,
            Some(source) => {
                let mut place = self.run.directory.agent(source);
                if self.agent.weights == Weights::PerRole {
                    place.extend(directory.file_name());
                }
                let found = checkpoint::latest(&place.join("checkpoints"));
                Some(found.with_context(|| format!("{} has no checkpoint", place.display()))?)
            }
        };
        Ok(AgentRun {
            config: self.run.config,
            env: self.material.env,
            name,
            directory: directory.to_owned(),
            agent: self.agent,
            initial: self.material.initial,
            bases: &self.run.bases,
            encoder: self.material.encoder.clone(),
            generators: self.material.generators.clone(),
            data: DataId::new(
                &*self.material.encoder,
                rows,
                from.as_ref()
                    .map(|from| policy_fingerprint(from, self.material.device, &self.run.bases))
                    .transpose()?,
            ),
            from,
            probe_tasks: self.material.probe_tasks,
            workers: self.material.workers,
            device: self.material.device,
            reporter: self.run.reporter,
            stop: self.run.stop,
        })
    }

    /// Trains one model per role, in sequence. Their budgets add up to that of a shared model, in proportion to the tokens per
    /// role.
    fn per_role(&self, rows: &[Row]) -> Result<(Counters, Ending)> {
        let tokens = |rows: &[Row]| rows.iter().map(|row| row.ids.len()).sum::<usize>() as f64;
        let mut total = Counters::start();
        for role in ROLES {
            let own = of_role(rows, role);
            if own.is_empty() {
                continue;
            }
            let fraction = tokens(&own) / tokens(rows);
            let budget = self.agent.budget.scaled(fraction);
            let name = format!("{} {}", self.name, role.name());
            let agent = self.model(&name, &self.directory().join(role.name()), &own)?;
            let mut trainer = agent.trainer()?;
            let ending = agent.clone_behaviour(&own, budget, &mut trainer)?;
            total.step += trainer.counters.step;
            total.seconds += trainer.counters.seconds;
            total.tokens += trainer.counters.tokens;
            total.capped |= trainer.counters.capped;
            if ending == Ending::Interrupted {
                return Ok((total, ending));
            }
        }
        Ok((total, Ending::Complete))
    }

    /// DAgger: play, label all prompts, train on all rows, repeat (Ross et al., arXiv 1011.0686).
    fn dagger(&self, demonstrated: &AgentRows) -> Result<(Counters, Ending)> {
        let config = &self.run.config.algo.dagger;
        let agent = self.model(self.name, &self.directory(), &demonstrated.rows)?;
        let mut trainer = agent.trainer()?;
        let mut rounds = DaggerRounds { training: self, model: &agent, config };
        let ending = dagger::train(config.rounds, &mut trainer, &mut rounds)?;
        Ok((trainer.counters, ending))
    }

    /// Trains online.
    fn online(&self) -> Result<(Counters, Ending)> {
        let config = &self.run.config.algo.online;
        let agent = self.model(self.name, &self.directory(), &[])?;
        let mut trainer = agent.trainer()?;
        let (other, split) = self.practice(config.tasks.as_deref())?;
        let env = other.as_ref().unwrap_or(self.material.env);
        let tasks = env.tasks.tasks(split)?;
        let ending = agent.play_and_learn(env, split, &tasks, &mut trainer)?;
        Ok((trainer.counters, ending))
    }

    /// Opens the environment of `tasks` if it is not that of the run, and returns it with the split.
    fn practice<'t>(&'t self, tasks: Option<&'t str>) -> Result<(Option<Registered>, &'t str)> {
        let other = tasks.and_then(|tasks| tasks.split_once('/'));
        let opened =
            other.map(|(id, _)| envs::open_for(self.run.config, id, self.run.data_root)).transpose()?;
        let env = opened.as_ref().unwrap_or(self.material.env);
        if env.codec.id() != self.material.env.codec.id() {
            bail!(
                "the prompt style of {} differs from that of {}",
                env.spec().id,
                self.material.env.spec().id
            );
        }
        Ok((opened, other.map_or(self.run.config.data.split.as_str(), |(_, split)| split)))
    }

    /// Loads the episodes of a phase that an earlier session kept, or plays and keeps them before the first step of the phase.
    /// Returns `None` if the caller asked to stop.
    pub(crate) fn kept_or_played(
        &self,
        path: &Path,
        phase: u64,
        trainer: &Trainer,
        play: impl FnOnce() -> Result<Vec<Episode>>,
    ) -> Result<Option<Vec<Episode>>> {
        if path.exists() {
            return Ok(Some(trace_file::load(path)?));
        }
        if !trainer.counters.begins(phase) {
            bail!(
                "{} is missing, but training on it has begun; remove {} to train {} again",
                path.display(),
                self.directory().display(),
                self.name
            );
        }
        if self.run.stopped() {
            return Ok(None);
        }
        let episodes = play()?;
        fs_err::create_dir_all(self.directory())?;
        trace_file::save(path, &episodes)?;
        Ok(Some(episodes))
    }

    /// Plays tasks drawn for this round with the policy. Agents with one table of hyperparameters draw the same tasks.
    pub(crate) fn play_round(
        &self,
        round: u64,
        Play { tasks, games, samples, temperature }: Play<'_>,
        trainer: &Trainer,
    ) -> Result<Vec<Episode>> {
        let config = self.run.config;
        let (opened, split) = self.practice(tasks)?;
        let env = opened.as_ref().unwrap_or(self.material.env);
        let mut tasks = env.tasks.tasks(split)?;
        tasks.shuffle(&mut stream(config.seed, self.agent.algo.table(), &[round]));
        if games > 0 {
            tasks.truncate(games);
        }
        let name = format!("step-{}", trainer.counters.step);
        let mut generator =
            self.material.generators.open(&trainer.weights, self.material.encoder.clone(), name)?;
        let options = Options {
            max_steps: env.max_steps(config, split),
            slots: config.eval.slots,
            sampling: (temperature > 0.0).then(|| config.generation.distribution(temperature)),
            stop_strings: config.generation.stop_strings(),
            seed: config.seed,
            iteration: round,
            stop: Some(self.run.stop),
            ..Options::greedy(self.agent.spec())
        };
        let label = format!("{} plays round {}", self.name, round + 1);
        let jobs: Vec<Job> =
            tasks.iter().flat_map(|task| (0..samples).map(|sample| Job::sampled(task, sample))).collect();
        let mut episodes = play(env, &mut generator, &jobs, options, &label, self.run.reporter)?;
        let dropped = Dropped::take_from(&mut episodes).context(label.clone())?;
        self.run.directory.note_dropped(&label, dropped, self.run.reporter)?;
        Ok(episodes)
    }
}

/// Episodes that a policy plays for training.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Play<'a> {
    /// `ENV/SPLIT` of the tasks; the demonstrations' split if absent.
    pub(crate) tasks: Option<&'a str>,
    /// Number of tasks; 0 for all.
    pub(crate) games: usize,
    /// Episodes of each task.
    pub(crate) samples: u64,
    /// Sampling temperature; 0 plays greedily.
    pub(crate) temperature: f64,
}

/// Callbacks of the DAgger loop.
struct DaggerRounds<'a> {
    training: &'a AgentTraining<'a>,
    model: &'a AgentRun<'a>,
    config: &'a DaggerConfig,
}

impl dagger::Rounds for DaggerRounds<'_> {
    type Error = anyhow::Error;

    fn play(&mut self, round: u64, trainer: &Trainer) -> Result<Option<Vec<Episode>>> {
        let &DaggerConfig { games, temperature, ref tasks, .. } = self.config;
        let path = self.training.directory().join(format!("round-{}.jsonl.zst", round + 1));
        let play = Play { tasks: tasks.as_deref(), games, samples: 1, temperature };
        let play = || self.training.play_round(round, play, trainer);
        self.training.kept_or_played(&path, round, trainer, play)
    }

    fn label(&mut self, round: u64, played: &[Episode]) -> Result<Vec<Row>> {
        let AgentRows { rows, samples } = self.training.rows(played)?;
        self.training.run.reporter.note(&format!(
            "{} round {}: {samples} samples, {} distinct",
            self.training.name,
            round + 1,
            rows.len()
        ));
        Ok(rows)
    }

    fn clone_behaviour(&mut self, rows: &[Row], trainer: &mut Trainer) -> Result<Ending> {
        self.model.clone_behaviour(rows, self.training.agent.budget, trainer)
    }

    fn save(&mut self, trainer: &Trainer) -> Result<()> {
        let AgentTraining { material, run, .. } = self.training;
        checkpoint::save(&self.model.checkpoints(), trainer, &*material.encoder, run.config.log.keep)?;
        Ok(())
    }
}
