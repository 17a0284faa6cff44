//! A complete run: demonstrations, training and evaluation of every agent, the table. Skips finished work.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use stepladder_agent::AgentKind;
use stepladder_algo::runtime::budget::Budget;
use stepladder_algo::runtime::checkpoint;
use stepladder_algo::runtime::clock::Stopwatch;
use stepladder_algo::runtime::counters::Counters;
use stepladder_algo::runtime::observer::Ending;
use stepladder_core::trace::Episode;
use stepladder_env::{Draw, Subset};
use stepladder_rollout::scheduler::Options;
use stepladder_rollout::{Dropped, Job};

use super::choice::suffix;
use super::demonstrations::{Demonstrations, Rollout, demonstrate, expert_rollout, wandering};
use super::directory::{TRAINED, commit, replace_file};
use super::evaluated;
use super::initial::Initial;
use super::learn::{AgentTraining, Material};
use super::play::{Policy, play, warn_of_aborted};
use super::report::{Stage, minutes};
use super::scratch::Scratch;
use super::session::{RunEnding, Session};
use super::table::{self, Line};
use super::taken::{self, Taken};
use super::trace_file;
use super::tuning::{self, Pretrained};
use super::unchanged::{check_episodes, record_episodes};
use crate::config::{AgentConfig, Config, Demonstrator, EvalConfig, Vocabulary};
use crate::envs::{self, Registered};
use crate::error::was_stopped;
use crate::workers;

impl Session<'_> {
    /// Plays and keeps the demonstrations; a continued run loads them.
    fn episodes(&self, env: &Registered) -> Result<Vec<Episode>> {
        let path = self.directory.demonstrations();
        if path.exists() {
            check_episodes(&path)?;
            return trace_file::load(&path).context(
                "the run's demonstrations cannot be read; remove the file to have the expert play again",
            );
        }
        let Demonstrations { episodes, dropped, subsets } =
            demonstrate(env, self.config, self.choice, self.reporter, self.stop)?;
        self.directory.note_dropped("demonstrations", dropped, self.reporter)?;
        self.directory.note_subsets(&subsets)?;
        trace_file::save(&path, &episodes)?;
        record_episodes(&path)?;
        Ok(episodes)
    }

    /// Plays and keeps the episodes with random sub-goals, if an agent clones them; a continued run loads them.
    fn wandering(&self, env: &Registered) -> Result<Vec<Episode>> {
        let clones = |agent: &AgentConfig| agent.kind == AgentKind::Himac && !agent.algo.is_online();
        if self.config.data.wander == 0 || !self.config.agents.values().any(clones) {
            return Ok(Vec::new());
        }
        let path = self.directory.wandering();
        if path.exists() {
            check_episodes(&path)?;
            return trace_file::load(&path).context(
                "the run's random sub-goals cannot be read; remove the file to have them played again",
            );
        }
        let (episodes, dropped) = wandering(env, self.config, self.choice, self.reporter, self.stop)?;
        self.directory.note_dropped("random sub-goals", dropped, self.reporter)?;
        trace_file::save(&path, &episodes)?;
        record_episodes(&path)?;
        let subgoals: usize = episodes.iter().map(|episode| episode.subtasks.len()).sum();
        self.reporter.note(&format!("{} episodes with {subgoals} random sub-goals", episodes.len()));
        Ok(episodes)
    }

    /// Plays demonstrations in the environments of online training and DAgger, only for their words.
    fn practice_words(&self, env: &Registered) -> Result<Vec<Episode>> {
        let mut episodes = Vec::new();
        // Agents of another run have its vocabulary.
        if Taken::read(self.directory)?.is_some() {
            for path in taken::words(self.directory)? {
                episodes.extend(trace_file::load(&path)?);
            }
            return Ok(episodes);
        }
        let mut known = Vec::new();
        for (id, split) in self.config.tasks().filter_map(|(_, tasks)| tasks.split_once('/')) {
            let data = &self.config.data;
            let demonstrated = split == data.split || data.practice.as_deref() == Some(split);
            if (id == env.spec().id && demonstrated) || known.contains(&(id, split)) {
                continue;
            }
            known.push((id, split));
            // Kept, since the vocabulary must not change when a run is continued.
            let path = self.directory.root.join(format!("words-{id}-{split}.jsonl.zst"));
            if path.exists() {
                episodes.extend(trace_file::load(&path)?);
                continue;
            }
            let other = envs::open_for(self.config, id, self.data_root)?;
            let draw = Draw::Training { seed: self.config.seed };
            let subset = self.choice.tasks(&other, split, data.word_games, draw)?;
            let rollout = Rollout {
                agent: AgentKind::StepHrl,
                demonstrator: Demonstrator::Expert,
                jobs: Job::each(&subset.tasks),
                max_steps: other.max_steps(self.config, split),
                noise: 0.0,
                seed: self.config.seed,
            };
            let mut played = expert_rollout(&other, &rollout, "words", self.reporter, self.stop)?;
            let dropped = Dropped::take_from(&mut played)?;
            self.directory.note_dropped(&format!("words of {id}/{split}"), dropped, self.reporter)?;
            trace_file::save(&path, &played)?;
            episodes.extend(played);
        }
        Ok(episodes)
    }

    /// Opens the source of initial policies.
    fn initial(&self, env: &Registered, episodes: &[Episode], wandering: &[Episode]) -> Result<Initial> {
        let codec = env.codec.clone();
        if let Some(from) = &self.config.model.from {
            let directory = tuning::locate(from, self.data_root)?;
            return Ok(Initial::Pretrained(Box::new(Pretrained::open(
                &directory,
                self.config,
                codec,
                &self.bases,
            )?)));
        }
        // Pieces of words encode unseen words.
        let open = self.config.model.tokenizer == Vocabulary::Bpe;
        let practised = if open { Vec::new() } else { self.practice_words(env)? };
        Ok(Initial::Scratch(Scratch::new(self.config, (episodes, wandering, &practised), codec)?))
    }

    /// Runs all stages that are not finished.
    pub(crate) fn run(&self) -> Result<RunEnding> {
        match self.work() {
            Err(error) if was_stopped(&error) => Ok(RunEnding::Interrupted),
            ending => ending,
        }
    }

    fn work(&self) -> Result<RunEnding> {
        let env = envs::open_for(self.config, &self.config.env.id, self.data_root)?;
        let EvalConfig { split, episodes: count, probe_episodes, .. } = &self.config.eval;
        let dev = self.choice.tasks(&env, split, *count, Draw::Evaluation)?;
        let probed = self.choice.among(&env, &dev.tasks, *probe_episodes);
        let taken = Taken::read(self.directory)?;
        if let Some(taken) = &taken {
            self.reporter.note(&taken.describe());
        }
        let clock = Stopwatch::start();
        let episodes = self.episodes(&env)?;
        let wandering = self.wandering(&env)?;
        let initial = self.initial(&env, &episodes, &wandering)?;
        let encoder = initial.encoder();
        for name in taken.iter().flat_map(|taken| &taken.agents) {
            self.check_taken(name, &initial)?;
        }
        let workers = workers(self.config.threads);
        let open = initial.base().is_some() || self.config.model.tokenizer == Vocabulary::Bpe;
        self.reporter.note(&format!(
            "{} demonstrations with {} steps in {}; {} {}",
            episodes.len(),
            episodes.iter().map(Episode::len).sum::<usize>(),
            minutes(clock.seconds()),
            encoder.vocab(),
            if open { "tokens" } else { "words" },
        ));
        self.reporter.finished(Stage::Demonstrations { episodes: episodes.len() });
        let clock = Stopwatch::start();
        let mut lines = vec![self.expert(&env, &self.config.eval.split, &dev)?];
        let material = Material {
            env: &env,
            demonstrations: &episodes,
            wandering: &wandering,
            initial: &initial,
            encoder,
            generators: self.generators.clone(),
            probe_tasks: &probed,
            workers,
            device: self.device,
        };
        self.check_windows(&material)?;
        for (name, agent) in &self.config.agents {
            if self.train(&material, name, agent)? == RunEnding::Interrupted || self.stopped() {
                return Ok(RunEnding::Interrupted);
            }
            lines.extend(self.evaluations(&env, name, &self.config.eval.split, &dev)?);
        }
        let (id, split) = (&self.config.env.id, &self.config.eval.split);
        let title = format!(
            "{id}/{split}{}, greedy, {} steps{}",
            envs::suffix(&envs::chosen(&env.options)),
            env.max_steps(self.config, split),
            suffix(&dev)
        );
        let mut text = self.capped()?;
        text.push_str(&table::render(&title, &lines));
        text.push_str(&self.demonstrated()?);
        text.push_str(&self.dropped()?);
        text.push_str(&counted_as_failed(&lines));
        text.push_str(&format!(
            "\ntraining: {}; training and evaluation in this session: {}\n",
            self.training_times()?,
            minutes(clock.seconds())
        ));
        self.reporter.table(&text);
        if let Some(split) = &self.config.eval.r#final {
            if self.stopped() {
                return Ok(RunEnding::Interrupted);
            }
            let block = self.final_table(&env, split)?;
            self.reporter.table(&block);
            text.push('\n');
            text.push_str(&block);
        }
        for target in &self.config.eval.transfer {
            if self.stopped() {
                return Ok(RunEnding::Interrupted);
            }
            if let Some(block) = self.transfer(target)? {
                self.reporter.table(&block);
                text.push('\n');
                text.push_str(&block);
            }
        }
        replace_file(&self.directory.root.join("table.txt"), &text)?;
        self.reporter.table(&format!("run directory: {}", self.directory.root.display()));
        Ok(RunEnding::Complete)
    }

    /// Describes the tasks of the demonstrations, where they are not all tasks of their splits.
    fn demonstrated(&self) -> Result<String> {
        let parts = self.directory.subsets()?;
        Ok(if parts.is_empty() { String::new() } else { format!("\ndemonstrations: {}", parts.join("; ")) })
    }

    /// Lists the aborted episodes that were dropped from training data, if there are any.
    fn dropped(&self) -> Result<String> {
        let all = self.directory.dropped()?;
        let of = |(what, dropped): (&String, &Dropped)| {
            format!("{what}, {} of {} episodes aborted", dropped.episodes, dropped.of)
        };
        let parts: Vec<String> = all.iter().map(of).collect();
        Ok(if parts.is_empty() { String::new() } else { format!("\ndropped: {}", parts.join("; ")) })
    }

    /// Renders the training time of each agent over all sessions, without evaluation and saving.
    fn training_times(&self) -> Result<String> {
        let times = self.config.agents.keys().map(|name| {
            let seconds = self.counters(name)?.seconds;
            Ok(format!("{name} {}", minutes(seconds)))
        });
        Ok(times.collect::<Result<Vec<_>>>()?.join(", "))
    }

    /// Renders a line for every agent whose training ended at the cap on minutes before its budget of tokens.
    fn capped(&self) -> Result<String> {
        let mut text = String::new();
        for (name, agent) in &self.config.agents {
            let counters = self.counters(name)?;
            let Budget::Tokens { tokens, cap: Some(cap) } = agent.budget else { continue };
            if counters.capped {
                text.push_str(&format!(
                    "{name}: the cap of {cap} minutes ended training before its budget of {:.1} million tokens ({:.1} million \
                     trained in all); a faster machine gives other results\n",
                    tokens as f64 / 1e6,
                    counters.tokens as f64 / 1e6
                ));
            }
        }
        if !text.is_empty() {
            text.push('\n');
        }
        Ok(text)
    }

    /// Reads the final counters of a trained agent.
    fn counters(&self, name: &str) -> Result<Counters> {
        let path = self.trained(name);
        serde_json::from_str(&fs_err::read_to_string(&path)?).with_context(|| path.display().to_string())
    }

    /// Returns the path of the file that marks an agent's training as complete.
    fn trained(&self, name: &str) -> PathBuf {
        self.directory.agent(name).join(TRAINED)
    }

    /// Evaluates the expert and keeps its episodes.
    fn expert(&self, env: &Registered, split: &str, subset: &Subset) -> Result<Line> {
        let name = "expert".to_owned();
        let target = format!("{}/{split}", env.spec().id);
        let path = self.directory.root.join(format!("expert-{}.jsonl.zst", evaluated::stem(&target, false)));
        if path.exists() {
            return Ok(Line { name, evaluation: env.evaluate(&trace_file::load(&path)?) });
        }
        let rollout = Rollout {
            agent: AgentKind::StepHrl,
            demonstrator: Demonstrator::Expert,
            jobs: Job::each(&subset.tasks),
            max_steps: env.max_steps(self.config, split),
            noise: 0.0,
            seed: self.config.seed,
        };
        let episodes = expert_rollout(env, &rollout, "expert", self.reporter, self.stop)?;
        // Nothing is written of a failed rollout, so that a continued run plays it again.
        Dropped::count(&episodes).with_context(|| format!("expert on {split}"))?;
        warn_of_aborted(&episodes, self.reporter);
        trace_file::save(&path, &episodes)?;
        Ok(Line { name, evaluation: env.evaluate(&episodes) })
    }

    /// Checks that the demonstrations fit the context window, before training starts.
    ///
    /// A flat agent may drop its oldest steps in rollouts, but not in training.
    fn check_windows(&self, material: &Material<'_>) -> Result<()> {
        let window = material.initial.context(self.config);
        let mut checked: Vec<&AgentConfig> = Vec::new();
        let mut most = (0, "");
        for (name, agent) in &self.config.agents {
            let known = checked.iter().any(|other| other.reads_like(agent));
            if known || agent.algo.is_online() || self.trained(name).exists() {
                continue;
            }
            let needed = AgentTraining { run: self, material, name, agent }.window()?;
            if needed > most.0 {
                most = (needed, name);
            }
            checked.push(agent);
        }
        let (needed, name) = most;
        if needed as i64 > window {
            if material.initial.base().is_some() {
                bail!(
                    "the context window is {window} tokens, but {name} needs {needed} for prompt and reply together in these \
                     demonstrations: raise model.context, or take a model with a longer context, or an agent with a shorter history"
                );
            }
            bail!(
                "model.scratch.max_positions is {window}, but {name} needs {needed} for prompt and reply together in these \
                 demonstrations: raise it to at least {needed}"
            );
        }
        Ok(())
    }

    /// Checks that an agent of another run has the vocabulary and the pretrained model of this one, before anything is trained.
    fn check_taken(&self, name: &str, initial: &Initial) -> Result<()> {
        let place = self.directory.agent(name).join("checkpoints");
        // An agent with weights of its own per role has a folder for each, and nothing starts from it.
        let Some(found) = checkpoint::latest(&place) else { return Ok(()) };
        if !initial.encoder().is_in(&found)? {
            bail!(
                "the vocabulary of {name}, which was taken over, differs from that of this run: it also depends on the agents that are not flat, on data.wander and on \
                 algo.*.tasks; begin a new run without --take"
            );
        }
        if let Some(base) = initial.base() {
            let policy = checkpoint::load(&found, self.config.algo.adamw, self.device, &self.bases)?;
            let then = policy.identity.base.map(|base| base.fingerprint);
            if then.as_ref() != Some(&base.fingerprint) {
                bail!(
                    "{name}, which was taken over, was trained from another pretrained model than {}; begin a new run without --take",
                    base.path.display()
                );
            }
        }
        Ok(())
    }

    fn train(&self, material: &Material<'_>, name: &str, agent: &AgentConfig) -> Result<RunEnding> {
        let done = self.trained(name);
        if done.exists() {
            self.reporter.finished(Stage::Trained { agent: name });
            return Ok(RunEnding::Complete);
        }
        let (counters, ending) = AgentTraining { run: self, material, name, agent }.train()?;
        if ending == Ending::Interrupted {
            return Ok(RunEnding::Interrupted);
        }
        replace_file(&done, &(serde_json::to_string_pretty(&counters)? + "\n"))?;
        self.reporter.finished(Stage::Trained { agent: name });
        Ok(RunEnding::Complete)
    }

    /// Evaluates the last checkpoint of an agent, with and without a constraint where the configuration asks for both.
    fn evaluations(&self, env: &Registered, name: &str, split: &str, subset: &Subset) -> Result<Vec<Line>> {
        let modes = [false, true].into_iter().take(1 + usize::from(self.config.eval.constrained));
        modes.map(|constrained| self.evaluate(env, name, split, subset, constrained)).collect()
    }

    /// Evaluates the last checkpoint and keeps the result and the episodes.
    fn evaluate(
        &self,
        env: &Registered,
        name: &str,
        split: &str,
        subset: &Subset,
        constrained: bool,
    ) -> Result<Line> {
        let target = format!("{}/{split}", env.spec().id);
        let file = evaluated::stem(&target, constrained);
        let shown = if constrained { table::constrained(name) } else { name.to_owned() };
        let directory = self.directory.agent(name);
        let episodes_path = directory.join(format!("{file}.jsonl.zst"));
        let json_path = directory.join(format!("{file}.json"));
        let episodes = if json_path.exists() && episodes_path.exists() {
            trace_file::load(&episodes_path)?
        } else {
            let policy = Policy::of_run(self.directory, self.config, name, self.device, &self.bases)?;
            let mut generator = policy.generator(env, &**self.generators)?;
            let options = Options {
                max_steps: env.max_steps(self.config, split),
                slots: self.config.eval.slots,
                stop_strings: self.config.generation.stop_strings(),
                constrained,
                stop: Some(self.stop),
                ..Options::greedy(policy.agent)
            };
            let label = format!("{shown} {split}");
            let clock = Stopwatch::start();
            let episodes =
                play(env, &mut *generator, &Job::each(&subset.tasks), options, &label, self.reporter)?;
            let seconds = clock.seconds();
            Dropped::count(&episodes).with_context(|| format!("{shown} on {split}"))?;
            trace_file::save(&episodes_path, &episodes)?;
            replace_file(&directory.join(evaluated::timing(&target, constrained)), &format!("{seconds}\n"))?;
            let evaluation = env.evaluate(&episodes);
            let place = policy.checkpoint.display().to_string();
            let mut value: Value = table::json((env, split, subset), name, &place, commit(), &evaluation);
            if self.counters(name)?.capped {
                value["training_capped"] = true.into();
            }
            if constrained {
                value["constrained"] = true.into();
            }
            replace_file(&json_path, &(serde_json::to_string_pretty(&value)? + "\n"))?;
            episodes
        };
        warn_of_aborted(&episodes, self.reporter);
        let evaluation = env.evaluate(&episodes);
        let (target, evaluation) = (&target[..], &evaluation);
        self.reporter.finished(Stage::Evaluated { agent: name, constrained, target, evaluation });
        Ok(Line { name: shown, evaluation: evaluation.clone() })
    }

    /// Renders the title of a table for another split, with all training data of the agents.
    fn title(&self, target: &str, env: &Registered) -> String {
        let trained = &self.config.env.id;
        let options = envs::suffix(&envs::chosen(&env.options));
        let mut title = if env.spec().id == trained {
            format!("{target}{options}, trained on {trained}/{}", self.config.data.split)
        } else {
            format!("{target}{options}, trained on {trained} only")
        };
        for (algo, tasks) in self.config.tasks() {
            let agents = self.config.agents.iter().filter(|(_, agent)| agent.algo.table() == algo);
            let names: Vec<&str> = agents.map(|(name, _)| name.as_str()).collect();
            title.push_str(&format!("; {} also in {tasks}", names.join(", ")));
        }
        title
    }

    /// Evaluates on the final split, with a table of its own. What a former session played is kept.
    fn final_table(&self, env: &Registered, split: &str) -> Result<String> {
        let EvalConfig { episodes, final_episodes, .. } = &self.config.eval;
        let tasks = self.choice.tasks(env, split, final_episodes.unwrap_or(*episodes), Draw::Evaluation)?;
        let mut lines = vec![self.expert(env, split, &tasks)?];
        for name in self.config.agents.keys() {
            lines.extend(self.evaluations(env, name, split, &tasks)?);
        }
        let title = format!(
            "final split {}/{split}{}, greedy, {} steps{}",
            env.spec().id,
            envs::suffix(&envs::chosen(&env.options)),
            env.max_steps(self.config, split),
            suffix(&tasks)
        );
        Ok(table::render(&title, &lines) + &counted_as_failed(&lines))
    }

    /// Evaluates on another environment's split without training on it; returns `None` where its data are absent.
    fn transfer(&self, target: &str) -> Result<Option<String>> {
        let Some((id, split)) = target.split_once('/') else { return Ok(None) };
        let present = envs::open_for(self.config, id, self.data_root).and_then(|env| {
            let whole = self.choice.tasks(&env, split, 0, Draw::Evaluation)?;
            Ok((env, whole))
        });
        let (env, tasks) = match present {
            Ok(present) => present,
            Err(reason) => {
                self.reporter.note(&format!("{target} is skipped: {reason}"));
                return Ok(None);
            }
        };
        let mut lines = vec![self.expert(&env, split, &tasks)?];
        for name in self.config.agents.keys() {
            lines.extend(self.evaluations(&env, name, split, &tasks)?);
        }
        let title = self.title(target, &env);
        Ok(Some(table::render(&title, &lines)))
    }
}

/// Names the evaluations that have aborted episodes, if any do.
fn counted_as_failed(lines: &[Line]) -> String {
    let aborted = lines.iter().filter(|line| line.evaluation.errors > 0);
    let parts: Vec<String> = aborted
        .map(|Line { name, evaluation }| {
            format!("{name}, {} of {} episodes aborted", evaluation.errors, evaluation.all.n)
        })
        .collect();
    if parts.is_empty() { String::new() } else { format!("\ncounted as failed: {}\n", parts.join("; ")) }
}

/// Checks that the data of a configuration are present, so that no directory is created for a run that cannot start. Names were
/// checked when it was loaded.
///
/// Environments that are only used for the final evaluation may lack their data.
pub(crate) fn check_data(config: &Config, data_root: Option<&Path>) -> Result<()> {
    for (algo, tasks) in config.tasks() {
        if let Some((id, split)) = tasks.split_once('/') {
            let named = || format!("algo.{algo}.tasks");
            envs::open_for(config, id, data_root)?.tasks.tasks(split).with_context(named)?;
        }
    }
    let env = envs::open_for(config, &config.env.id, data_root)?;
    let played = [Some(&config.eval.split), config.eval.r#final.as_ref()];
    let splits = [Some(&config.data.split), config.data.practice.as_ref()].into_iter().chain(played);
    for split in splits.flatten() {
        env.tasks.tasks(split)?;
    }
    if config.eval.constrained {
        for split in played.into_iter().flatten() {
            env.check_admissible(split).context("eval.constrained")?;
        }
        for (id, split) in config.eval.transfer.iter().filter_map(|target| target.split_once('/')) {
            let present =
                envs::open_for(config, id, data_root).ok().filter(|env| env.tasks.tasks(split).is_ok());
            present.map_or(Ok(()), |env| env.check_admissible(split)).context("eval.constrained")?;
        }
    }
    Ok(())
}
