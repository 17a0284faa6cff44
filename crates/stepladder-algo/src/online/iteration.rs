//! State, operations and statistics of one iteration.

use rand::seq::SliceRandom;
use stepladder_core::seed::stream;
use stepladder_core::trace::{Episode, Turn};
use stepladder_core::{Role, TaskKey};
use stepladder_rollout::scheduler::Job;
use tch::{Device, Tensor};

use super::config::OnlineConfig;
use super::rollouts::{Group, Lost, PlaySeconds, Rollouts, Sampled, group};
use super::samples::{Sample, merge};
use super::update::{Sums, SurrogateWorkers};
use crate::AlgoError;
use crate::ops::group::is_degenerate;
use crate::ops::surrogate::SurrogateRule;
use crate::runtime::clock::Stopwatch;
use crate::runtime::counters::Counters;
use crate::runtime::observer::Observer;
use crate::runtime::optimiser::{AdamW, Divergence};
use crate::runtime::trainer::Trainer;

/// Statistics of an iteration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Environment steps; identical executions of a macro reply within a group count once.
    pub env_steps: u64,
    /// Generated tokens, sampled or greedy.
    pub generated: u64,
    /// Gradient norm of the last optimiser step, before clipping.
    pub gradient_norm: f64,
    episodes: usize,
    won: usize,
    returned: f64,
    steps: usize,
    invalid: usize,
    turns: usize,
    unparsable: usize,
    shortened: usize,
    groups: usize,
    degenerate: usize,
    lost: Lost,
    replies: usize,
    distinct: usize,
    updates: u64,
    skipped: u64,
    sums: Sums,
    /// Sums of the mini-batches that were computed with the sampling parameters.
    fresh: Sums,
    /// −Σ log-probability of the trained reply tokens, as recorded while sampling, and their number.
    surprise: f64,
    tokens: usize,
    /// KL estimate of the replies that do not learn, summed over the optimiser steps that held them.
    idle: (f64, u64),
    /// Σ of the squared advantages of the trained replies, and the number of replies.
    squares: f64,
    advantages: usize,
    playing: PlaySeconds,
    updating: f64,
    /// Metrics of the method.
    extra: Vec<(&'static str, f64)>,
    /// Totals at the beginning of each phase.
    phases: Vec<(Phase, Totals)>,
}

/// Options of an update.
#[derive(Debug, Clone, Copy)]
pub struct UpdateOptions<'a> {
    /// Replies per optimiser step.
    pub mini_batch: usize,
    /// Replies of a role that does not learn, each with advantage 0. From the second step on they are held at what the policy was before the update.
    pub idle: &'a [Sample],
    /// Weight of their KL term.
    pub kl_idle: f64,
}

/// Phase of an iteration with its own rollouts and its own update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Macro exploration (HiMAC's phase A).
    Explore,
    /// Micro adaptation (HiMAC's phase B).
    Adapt,
}

impl Phase {
    /// Names of [`Totals::rates`] in this phase.
    fn names(self) -> [&'static str; 7] {
        match self {
            Self::Explore => [
                "explore/env_steps",
                "explore/generated_tokens",
                "explore/degenerate_groups",
                "explore/distinct_replies",
                "explore/kl",
                "explore/entropy",
                "explore/advantage_std",
            ],
            Self::Adapt => [
                "adapt/env_steps",
                "adapt/generated_tokens",
                "adapt/degenerate_groups",
                "adapt/distinct_replies",
                "adapt/kl",
                "adapt/entropy",
                "adapt/advantage_std",
            ],
        }
    }
}

/// Sums of an iteration up to one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Totals {
    env_steps: f64,
    generated: f64,
    groups: f64,
    degenerate: f64,
    replies: f64,
    distinct: f64,
    updates: f64,
    kl: f64,
    tokens: f64,
    surprise: f64,
    advantages: f64,
    squares: f64,
}

impl Totals {
    /// Returns what was counted since `start`: steps, tokens, and the means of groups, replies, updates, tokens and advantages.
    fn rates(self, start: Self) -> [f64; 7] {
        let mean = |total: f64, count: f64| total / count.max(1.0);
        [
            self.env_steps - start.env_steps,
            self.generated - start.generated,
            mean(self.degenerate - start.degenerate, self.groups - start.groups),
            mean(self.distinct - start.distinct, self.replies - start.replies),
            mean(self.kl - start.kl, self.updates - start.updates),
            mean(self.surprise - start.surprise, self.tokens - start.tokens),
            mean(self.squares - start.squares, self.advantages - start.advantages).max(0.0).sqrt(),
        ]
    }
}

impl Stats {
    fn totals(&self) -> Totals {
        Totals {
            env_steps: self.env_steps as f64,
            generated: self.generated as f64,
            groups: self.groups as f64,
            degenerate: self.degenerate as f64,
            replies: self.replies as f64,
            distinct: self.distinct as f64,
            updates: self.updates as f64,
            kl: self.sums.kl,
            tokens: self.tokens as f64,
            surprise: self.surprise,
            advantages: self.advantages as f64,
            squares: self.squares,
        }
    }

    /// Returns the metrics of each phase; none for a method without phases.
    fn phase_metrics(&self) -> impl Iterator<Item = (&'static str, f64)> + '_ {
        let ends = self.phases.iter().skip(1).map(|(_, start)| *start).chain([self.totals()]);
        let phases = self.phases.iter().zip(ends);
        phases.flat_map(|((phase, start), end)| phase.names().into_iter().zip(end.rates(*start)))
    }

    /// Returns the mean loss of the optimiser steps.
    pub fn loss(&self) -> f64 {
        self.sums.loss / self.updates.max(1) as f64
    }

    /// Returns the metrics by their names in `runtime::metrics`.
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let mean = |total: f64, count: usize| total / count.max(1) as f64;
        let updates = self.updates.max(1) as f64;
        let seconds = (self.playing.generating + self.playing.environment + self.updating).max(1e-9);
        let mut values = vec![
            ("train/success", mean(self.won as f64, self.episodes)),
            ("train/return", mean(self.returned, self.episodes)),
            ("train/steps", mean(self.steps as f64, self.episodes)),
            ("invalid", mean(self.invalid as f64, self.steps)),
            ("unparsable", mean(self.unparsable as f64, self.turns)),
            ("shortened", mean(self.shortened as f64, self.turns)),
            ("degenerate_groups", mean(self.degenerate as f64, self.groups)),
            ("pg_loss", self.sums.pg_loss / updates),
            ("kl", self.sums.kl / updates),
            ("entropy", mean(self.surprise, self.tokens)),
            ("advantage_std", mean(self.squares, self.advantages).sqrt()),
            ("clip_frac", self.sums.clipped / self.sums.tokens.max(1) as f64),
            ("logprob_gap", self.fresh.gap / self.fresh.tokens.max(1) as f64),
            ("logprob_gap_max", self.fresh.gap_max),
            ("distinct_replies", mean(self.distinct as f64, self.replies)),
            ("dropped_episodes", self.lost.dropped.episodes as f64),
            ("dropped_groups", self.lost.groups as f64),
            ("skipped_updates", self.skipped as f64),
            ("share/generate", self.playing.generating / seconds),
            ("share/environment", self.playing.environment / seconds),
            ("share/update", self.updating / seconds),
        ];
        if self.idle.1 > 0 {
            values.push(("kl_idle", self.idle.0 / self.idle.1 as f64));
        }
        values.extend(&self.extra);
        values.extend(self.phase_metrics());
        values
    }
}

/// One iteration of an online method.
pub struct Iteration<'a> {
    pub(crate) config: &'a OnlineConfig,
    pub(crate) rollouts: &'a Rollouts<'a>,
    pub(crate) trainer: &'a mut Trainer,
    reference: &'a Tensor,
    workers: &'a SurrogateWorkers,
    divergence: &'a mut Divergence,
    observer: &'a mut dyn Observer,
    stats: Stats,
    calls: u64,
    kept: Option<Kept>,
}

/// The policy as it was before the updates of an iteration, in host memory.
struct Kept {
    buffer: Tensor,
    optimisers: Vec<KeptMoments>,
    counters: Counters,
}

/// State of an optimiser in host memory.
struct KeptMoments {
    first: Tensor,
    second: Tensor,
    steps: u64,
}

/// Returns the optimisers of the policy: the one of every update, and that of phase B if it has its own.
fn optimisers(trainer: &mut Trainer) -> impl Iterator<Item = &mut AdamW> {
    [&mut trainer.optimiser].into_iter().chain(&mut trainer.adapt)
}

/// Largest number of calls of `Rollouts::play` in an iteration.
const CALLS: u64 = 4;

impl<'a> Iteration<'a> {
    pub(crate) fn new(
        config: &'a OnlineConfig,
        rollouts: &'a Rollouts<'a>,
        trainer: &'a mut Trainer,
        reference: &'a Tensor,
        workers: &'a SurrogateWorkers,
        divergence: &'a mut Divergence,
        observer: &'a mut dyn Observer,
    ) -> Self {
        let stats = Stats::default();
        Self {
            config,
            rollouts,
            trainer,
            reference,
            workers,
            divergence,
            observer,
            stats,
            calls: 0,
            kept: None,
        }
    }

    /// Keeps the policy for [`Iteration::undo`]. A method that plays again after an update calls it before that update; one
    /// that only plays before its updates need not.
    pub(crate) fn keep(&mut self) {
        let copy = |tensor: &Tensor| tensor.to_device_(Device::Cpu, tensor.kind(), false, true);
        let moments = |optimiser: &mut AdamW| KeptMoments {
            first: copy(&optimiser.first),
            second: copy(&optimiser.second),
            steps: optimiser.steps,
        };
        self.kept = Some(Kept {
            optimisers: optimisers(self.trainer).map(moments).collect(),
            buffer: copy(&self.trainer.weights.trained.buffer),
            counters: self.trainer.counters.clone(),
        });
    }

    /// Takes the trainer back to the beginning of the iteration.
    pub(crate) fn undo(self) {
        let Some(kept) = self.kept else { return };
        tch::no_grad(|| {
            self.trainer.weights.trained.buffer.copy_(&kept.buffer);
            for (optimiser, moments) in optimisers(self.trainer).zip(&kept.optimisers) {
                optimiser.first.copy_(&moments.first);
                optimiser.second.copy_(&moments.second);
                optimiser.steps = moments.steps;
            }
        });
        self.trainer.counters = kept.counters;
    }

    /// Returns the number of this iteration, from 0.
    pub(crate) fn number(&self) -> u64 {
        self.trainer.counters.epoch
    }

    /// Draws the tasks of this iteration.
    pub(crate) fn tasks(&self) -> Vec<TaskKey> {
        self.rollouts.draw(self.number(), self.config.tasks_per_iteration)
    }

    /// Plays jobs with the current parameters and counts episodes, steps, tokens and seconds.
    pub(crate) fn play(&mut self, jobs: &[Job], sampled: Sampled) -> Result<Vec<Episode>, AlgoError> {
        let call = self.number() * CALLS + self.calls;
        self.calls += 1;
        let (episodes, seconds) = self.rollouts.play(self.trainer, jobs, sampled, call)?;
        self.stats.playing.generating += seconds.generating;
        self.stats.playing.environment += seconds.environment;
        let mut seen: Vec<&Episode> = Vec::new();
        for episode in &episodes {
            let stats = &mut self.stats;
            stats.episodes += 1;
            stats.won += usize::from(episode.won);
            stats.returned += self.config.reward_rule().steps(episode).iter().sum::<f64>();
            stats.steps += episode.len();
            stats.invalid += episode.steps().filter(|step| step.unparsable || step.unknown_action).count();
            for turn in episode.turns() {
                stats.turns += 1;
                stats.unparsable += usize::from(turn.unparsable);
                stats.shortened += usize::from(turn.shortened > 0);
            }
            // Greedy executions of identical macro replies are equal, so they count once.
            if seen.first().is_some_and(|first| first.task != episode.task) {
                seen.clear();
            }
            let greedy = sampled.only == Some(Role::Macro);
            let again = greedy && seen.iter().any(|other| same_execution(other, episode));
            // The greedy blueprint of a task is written once.
            let written = sampled.only == Some(Role::Micro) && !seen.is_empty();
            let counts = |turn: &&Turn| match turn.role {
                Role::Macro => !written,
                _ => !again,
            };
            stats.generated +=
                episode.turns().filter(counts).map(|turn| u64::from(turn.new_tokens)).sum::<u64>();
            if !again {
                stats.env_steps += episode.len() as u64;
                seen.push(episode);
            }
        }
        Ok(episodes)
    }

    /// Plays every task of the iteration `count` times.
    pub(crate) fn play_groups(&mut self, sampled: Sampled, count: usize) -> Result<Vec<Group>, AlgoError> {
        let jobs: Vec<Job> = self
            .tasks()
            .iter()
            .flat_map(|task| (0..count as u64).map(|sample| Job::sampled(task, sample)))
            .collect();
        let (groups, lost) = group(self.play(&jobs, sampled)?, count.min(2))?;
        self.count_lost(lost);
        Ok(groups)
    }

    /// Begins a phase: what is counted from now on is in its metrics too.
    pub(crate) fn begin(&mut self, phase: Phase) {
        let totals = self.stats.totals();
        self.stats.phases.push((phase, totals));
    }

    /// Counts a group with these returns.
    pub(crate) fn count_group(&mut self, returns: &[f64]) {
        self.stats.groups += 1;
        self.stats.degenerate += usize::from(is_degenerate(returns));
    }

    /// Counts lost episodes and groups, and warns.
    pub(crate) fn count_lost(&mut self, lost: Lost) {
        if !lost.dropped.is_none() {
            self.observer
                .on_warning(&format!("{} (and {} groups with too few episodes)", lost.dropped, lost.groups));
        }
        self.stats.lost.dropped.add(lost.dropped);
        self.stats.lost.groups += lost.groups;
    }

    /// Draws the order of `count` samples and splits it into mini-batches of `mini_batch`.
    pub(crate) fn mini_batches(&self, count: usize, mini_batch: usize) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..count).collect();
        order.shuffle(&mut stream(self.rollouts.seed, "mini-batches", &[self.number(), self.calls]));
        order.chunks(mini_batch.max(1)).map(<[usize]>::to_vec).collect()
    }

    /// Trains one pass over the samples, with one optimiser step per mini-batch.
    pub(crate) fn update(&mut self, samples: &[Sample]) -> Result<(), AlgoError> {
        let mini_batch = self.config.mini_batch;
        self.update_with(samples, UpdateOptions { mini_batch, idle: &[], kl_idle: 0.0 })
    }

    /// As [`Iteration::update`], with other options.
    pub(crate) fn update_with(
        &mut self,
        samples: &[Sample],
        options: UpdateOptions<'_>,
    ) -> Result<(), AlgoError> {
        let UpdateOptions { mini_batch, idle, kl_idle } = options;
        let clock = Stopwatch::resume(self.stats.updating);
        let config = self.config;
        for sample in samples {
            self.stats.surprise -= sample.old.iter().copied().map(f64::from).sum::<f64>();
            self.stats.tokens += sample.len();
            let squares = sample.advantage.iter().map(|advantage| f64::from(*advantage).powi(2)).sum::<f64>();
            self.stats.squares += squares / sample.len().max(1) as f64;
            self.stats.advantages += 1;
        }
        let differs = |index: &usize| samples[*index].advantage.iter().any(|&advantage| advantage != 0.0);
        let mut batches = self.mini_batches(samples.len(), mini_batch);
        // AdamW takes steps of full length however small a gradient is, so the KL term alone would move the policy at random.
        batches.retain(|batch| batch.iter().any(differs));
        let steps = batches.len();
        let held = kl_idle > 0.0 && !idle.is_empty();
        let before = held.then(|| self.trainer.weights.trained.buffer.copy());
        for (number, batch) in batches.into_iter().enumerate() {
            let merged = merge(batch.iter().map(|&index| samples[index].clone()).collect());
            let members: Vec<&Sample> = merged.iter().collect();
            self.stats.replies += batch.len();
            self.stats.distinct += members.len();
            let (sums, mut gradient) = self.gradient(self.reference, &members, config.surrogate())?;
            if number == 0 {
                self.stats.fresh.add(&sums);
            }
            // At the first step the policy is still what it was.
            if let Some(before) = before.as_ref().filter(|_| number > 0) {
                let share = |at: usize| at * idle.len() / (steps - 1);
                let part = share(number - 1)..share(number);
                let rule = SurrogateRule { beta: kl_idle, ..config.surrogate() };
                let merged = merge(idle[part].to_vec());
                let (sums, more) = self.gradient(before, &merged.iter().collect::<Vec<_>>(), rule)?;
                gradient += more;
                self.stats.idle.0 += sums.kl;
                self.stats.idle.1 += 1;
            }
            let rate = config.learning_rate;
            let Trainer { weights, optimiser, adapt, .. } = &mut *self.trainer;
            let optimiser = match (self.stats.phases.last(), adapt) {
                (Some((Phase::Adapt, _)), Some(own)) => own,
                _ => optimiser,
            };
            let norm = optimiser.step(&mut weights.trained.buffer, &gradient, rate);
            self.trainer.counters.tokens += members.iter().map(|sample| sample.ids.len() as u64).sum::<u64>();
            self.step_done(norm)?;
            if norm.is_finite() {
                self.stats.sums.add(&sums);
                self.stats.updates += 1;
                self.stats.gradient_norm = norm;
            }
        }
        self.stats.updating = clock.seconds();
        Ok(())
    }

    /// Computes loss and gradient of samples under a rule.
    fn gradient(
        &self,
        reference: &Tensor,
        samples: &[&Sample],
        rule: SurrogateRule,
    ) -> Result<(Sums, Tensor), AlgoError> {
        self.workers.gradient(
            &self.trainer.weights.trained,
            reference,
            samples,
            (rule, self.config.aggregate),
            (self.config.batch_tokens, self.rollouts.encoder.pad()),
        )
    }

    /// Counts an optimiser step. A step whose gradient was not finite changed nothing and is reported as a warning; several
    /// in a row end the run.
    pub(crate) fn step_done(&mut self, norm: f64) -> Result<(), AlgoError> {
        let step = self.trainer.counters.step;
        if norm.is_finite() {
            self.trainer.counters.step += 1;
        } else {
            self.stats.skipped += 1;
            let iteration = self.number() + 1;
            let text =
                format!("iteration {iteration}: a step with a gradient that is not finite was skipped");
            self.observer.on_warning(&text);
        }
        self.divergence.count(norm, step)
    }

    /// Adds metrics of the method by their names in `runtime::metrics`.
    pub(crate) fn add_metrics(&mut self, metrics: impl IntoIterator<Item = (&'static str, f64)>) {
        self.stats.extra.extend(metrics);
    }

    /// Counts an update of a network other than the policy, with its metric by a name in `runtime::metrics`.
    pub(crate) fn count_update(&mut self, metric: (&'static str, f64), seconds: f64) {
        self.add_metrics([metric]);
        self.stats.updating += seconds;
    }

    pub(crate) fn finish(self) -> Stats {
        self.stats
    }
}

/// Whether two episodes of a task execute the same macro reply. Different replies are different executions, even if the
/// sub-goals that were begun and all actions agree.
fn same_execution(a: &Episode, b: &Episode) -> bool {
    let plan = |episode: &Episode| {
        episode.turns().find(|turn| turn.role == Role::Macro).map(|turn| turn.reply.clone())
    };
    let (plan_a, plan_b) = (plan(a), plan(b));
    plan_a.is_some()
        && plan_a == plan_b
        && a.len() == b.len()
        && a.steps().map(|step| &step.action).eq(b.steps().map(|step| &step.action))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::blueprint::write;
    use stepladder_core::trace::{Turn, read};

    /// The fixture's steps under a macro reply; only its first sub-goal is begun.
    fn executed(plan: &[&str]) -> Episode {
        let line = include_str!("../../../stepladder-core/tests/trace-v1.jsonl");
        let mut episode = read(line.as_bytes()).next().unwrap().unwrap();
        episode.subtasks.truncate(1);
        episode.subtasks[0].text = plan[0].to_owned();
        episode.subtasks[0].turn = Some(Turn::said(Role::Macro, write(plan)));
        episode
    }

    #[test]
    fn a_phase_has_what_was_counted_in_it() {
        let mut stats = Stats::default();
        assert_eq!(stats.phase_metrics().count(), 0);
        stats.phases.push((Phase::Explore, stats.totals()));
        stats = Stats { env_steps: 30, generated: 90, groups: 4, degenerate: 3, ..stats };
        (stats.replies, stats.distinct, stats.updates, stats.sums.kl) = (8, 2, 2, 0.5);
        (stats.tokens, stats.surprise, stats.advantages, stats.squares) = (20, 5.0, 8, 2.0);
        stats.phases.push((Phase::Adapt, stats.totals()));
        stats = Stats { env_steps: 70, generated: 100, groups: 6, degenerate: 3, ..stats };
        (stats.replies, stats.distinct, stats.updates, stats.sums.kl) = (18, 12, 3, 0.75);
        (stats.tokens, stats.surprise, stats.advantages, stats.squares) = (30, 10.0, 9, 6.0);
        let metrics = stats.metrics();
        let of = |name: &str| metrics.iter().find(|(known, _)| *known == name).unwrap().1;
        let phase = |names: [&str; 7]| names.map(of);
        assert_eq!(phase(Phase::Explore.names()), [30.0, 90.0, 0.75, 0.25, 0.25, 0.25, 0.5]);
        assert_eq!(phase(Phase::Adapt.names()), [40.0, 10.0, 0.0, 1.0, 0.25, 0.5, 2.0]);
        // Of both together.
        assert_eq!((of("degenerate_groups"), of("kl"), of("entropy")), (0.5, 0.25, 1.0 / 3.0));
    }

    #[test]
    fn only_identical_macro_replies_count_once() {
        let first = executed(&["find a mug", "clean it"]);
        assert!(!first.is_empty());
        assert!(same_execution(&first, &executed(&["find a mug", "clean it"])));
        // The same first sub-goal and actions, but a different second sub-goal that was never begun.
        assert!(!same_execution(&first, &executed(&["find a mug", "heat it"])));
        let mut followed = first.clone();
        followed.subtasks[0].turn = None;
        assert!(!same_execution(&followed, &followed));
    }
}
