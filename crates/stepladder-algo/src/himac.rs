//! HiMAC (arXiv:2603.00977; docs/spec/algorithms.md 5): macro and micro policy on one model, trained alternately without a
//! critic.
//!
//! ```text
//! phase A, macro exploration    N blueprints per task are sampled, each is executed once greedily
//!                               Aᵢ = group-relative return of blueprint i; only blueprint tokens are trained
//! z* = the blueprint with the highest return; ties: fewer sub-goals, then the first
//!      all returns alike: the greedy blueprint; alike and nothing solved: no phase B (9.2)
//! phase B, micro adaptation     z* is executed N times, sampled, with the parameters after phase A's update
//!                               Aⱼ = group-relative return of episode j, penalties and `subgoal_reward` included; only action
//!                               replies are trained
//! ```
//! Both phases minimise the clipped surrogate with a KL term to the starting policy (5.5, `ops::surrogate`), each with an
//! optimiser state of its own ([`HimacConfig`]).
//!
//! Ablations: `selection = "random"` executes a random readable blueprint instead of the best; without `coevolution` blueprints
//! and actions are sampled together, once, and all tokens have the advantage of the episode; `phases` leaves one of them out; an agent with `sub_done = false`
//! gives every sub-goal a fixed number of steps; `flat` is GRPO.

mod config;
mod select;

pub use config::{AllFailed, Degenerate, HimacConfig, Moments, Phases};
pub use select::{Selection, best_blueprint};

use stepladder_agent::himac::{Blueprint, Followed, followed};
use stepladder_core::seed::{fingerprint, stream};
use stepladder_core::trace::Episode;
use stepladder_core::{Role, TaskKey, blueprint};
use stepladder_rollout::scheduler::Job;

use crate::AlgoError;
use crate::online::reward::RewardRule;
use crate::online::rollouts::{Group, Rollouts, Sampled, group};
use crate::online::samples::{Sample, of_role};
use crate::online::{Iteration, Method, OnlineConfig, Phase, UpdateOptions};
use crate::ops::group::{GroupRule, relative};
use crate::runtime::optimiser::AdamW;
use crate::runtime::trainer::Trainer;
use select::{Chosen, choose};

/// Computes R^M of every blueprint of a group: the return of its episode without penalties, or a value below all others if the
/// blueprint is unreadable.
pub fn macro_returns(reward: RewardRule, episodes: &[Episode]) -> Vec<f64> {
    let played = |episode: &Episode| (!episode.is_empty()).then(|| reward.steps(episode).iter().sum::<f64>());
    let found: Vec<Option<f64>> = episodes.iter().map(played).collect();
    let lowest = found.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let unreadable = reward.of_unreadable(lowest.is_finite().then_some(lowest));
    found.into_iter().map(|value| value.unwrap_or(unreadable)).collect()
}

/// Returns the sub-goals of the blueprint that an episode's macro role wrote; none if it wrote no readable one.
pub fn blueprint_of(episode: &Episode, max_subgoals: usize) -> Option<Vec<String>> {
    let turn = episode.subtasks.first()?.turn.as_ref()?;
    blueprint::parse(&turn.reply, max_subgoals)
}

/// Counts of the blueprints of an iteration.
struct Blueprints {
    /// Limit on the sub-goals of one (K_max).
    max_subgoals: usize,
    all: usize,
    unreadable: usize,
    subgoals: usize,
}

impl Blueprints {
    fn new(max_subgoals: usize) -> Self {
        Self { max_subgoals, all: 0, unreadable: 0, subgoals: 0 }
    }

    fn count(&mut self, episodes: &[Episode]) {
        for turn in episodes.iter().flat_map(Episode::turns).filter(|turn| turn.role == Role::Macro) {
            let subgoals = blueprint::parse(&turn.reply, self.max_subgoals).map_or(0, |found| found.len());
            self.all += 1;
            self.unreadable += usize::from(subgoals == 0);
            self.subgoals += subgoals;
        }
    }

    /// Under the names of `runtime::metrics`; none without a blueprint.
    fn metrics(&self) -> Vec<(&'static str, f64)> {
        if self.all == 0 {
            return Vec::new();
        }
        let readable = (self.all - self.unreadable).max(1);
        vec![
            ("blueprint/subgoals", self.subgoals as f64 / readable as f64),
            ("blueprint/unreadable", self.unreadable as f64 / self.all as f64),
        ]
    }
}

/// HiMAC and its ablations.
#[derive(Debug, Clone, PartialEq)]
pub struct Himac {
    /// Blueprint that phase B executes.
    pub selection: Selection,
    /// Whether the phases alternate; otherwise there is one joint update.
    pub coevolution: bool,
    /// Phases of an iteration, if they alternate.
    pub phases: Phases,
    /// Rules of the phases.
    pub config: HimacConfig,
}

impl Method for Himac {
    /// Adds the optimiser state of phase B, if both phases learn with states of their own.
    fn start(&mut self, trainer: &mut Trainer, _rollouts: &Rollouts<'_>) -> Result<(), AlgoError> {
        let both = self.coevolution && self.phases == Phases::Both;
        let own = both && self.config.moments == Moments::PerPhase;
        if own && trainer.adapt.is_none() {
            trainer.adapt = Some(AdamW::new(trainer.optimiser.config, &trainer.weights.trained.buffer));
        }
        Ok(())
    }

    /// Runs phase A and its update, then phase B and its update.
    fn iterate(&mut self, iteration: &mut Iteration<'_>) -> Result<(), AlgoError> {
        let rule = iteration.config.rule();
        if !self.coevolution {
            return joint_update(iteration, rule);
        }
        let tasks = iteration.tasks();
        let explored = match self.phases {
            Phases::Micro => Explored { chosen: vec![Chosen::Greedy; tasks.len()], idle: Vec::new() },
            Phases::Both | Phases::Macro => self.explore(iteration, &tasks, rule)?,
        };
        match self.phases {
            Phases::Macro => Ok(()),
            Phases::Both | Phases::Micro => self.adapt(iteration, &tasks, explored, rule),
        }
    }
}

/// Outcome of phase A.
struct Explored {
    /// Blueprint of every task.
    chosen: Vec<Chosen>,
    /// Blueprints without advantage, which phase B holds at what they are.
    idle: Vec<Sample>,
}

impl Himac {
    /// Returns an episode's replies of the role that does not learn, without advantage; none without a weight for them.
    fn idle(&self, episode: &Episode, role: Role) -> Result<Vec<Sample>, AlgoError> {
        if self.config.kl_idle == 0.0 { Ok(Vec::new()) } else { of_role(episode, role, 0.0) }
    }

    /// Returns the options of an update that holds these idle replies.
    fn holding<'a>(&self, idle: &'a [Sample], config: &OnlineConfig) -> UpdateOptions<'a> {
        UpdateOptions { mini_batch: config.mini_batch, idle, kl_idle: self.config.kl_idle }
    }

    /// Runs phase A.
    fn explore(
        &self,
        iteration: &mut Iteration<'_>,
        tasks: &[TaskKey],
        rule: GroupRule,
    ) -> Result<Explored, AlgoError> {
        iteration.begin(Phase::Explore);
        let config = iteration.config;
        let job =
            |task: &TaskKey, sample| Job { blueprint: Blueprint::MustParse, ..Job::sampled(task, sample) };
        let jobs = jobs(tasks, config.group, job);
        let sampled = Sampled { temperature: config.temperature, only: Some(Role::Macro) };
        let (groups, lost) = group(iteration.play(&jobs, sampled)?, 1)?;
        iteration.count_lost(lost);
        let mut samples: Vec<Sample> = Vec::new();
        let mut acted: Vec<Sample> = Vec::new();
        let mut explored = Explored { chosen: Vec::with_capacity(tasks.len()), idle: Vec::new() };
        let mut blueprints = Blueprints::new(iteration.rollouts.agent.max_subgoals);
        for task in tasks {
            let Some(group) = groups.iter().find(|group| group.task == *task) else {
                explored.chosen.push(Chosen::Follow(Vec::new()));
                continue;
            };
            let returns = macro_returns(config.reward_rule(), &group.episodes);
            iteration.count_group(&returns);
            blueprints.count(&group.episodes);
            for (episode, advantage) in group.episodes.iter().zip(relative(&returns, rule)) {
                samples.extend(of_role(episode, Role::Macro, advantage)?);
                explored.idle.extend(self.idle(episode, Role::Macro)?);
                acted.extend(self.idle(episode, Role::Micro)?);
            }
            explored.chosen.push(self.choose(iteration, group, &returns));
        }
        iteration.add_metrics(blueprints.metrics());
        iteration.keep();
        let mini_batch = self.config.explore_mini_batch.unwrap_or(config.mini_batch);
        iteration.update_with(&samples, UpdateOptions { mini_batch, ..self.holding(&acted, config) })?;
        Ok(explored)
    }

    /// Selects the blueprint of a task for phase B.
    fn choose(&self, iteration: &Iteration<'_>, group: &Group, returns: &[f64]) -> Chosen {
        let max_subgoals = iteration.rollouts.agent.max_subgoals;
        let blueprints: Vec<Option<Vec<String>>> =
            group.episodes.iter().map(|episode| blueprint_of(episode, max_subgoals)).collect();
        let solved = group.episodes.iter().any(|episode| episode.won);
        let parts = [iteration.number(), fingerprint(&group.task.to_string())];
        let mut rng = stream(iteration.rollouts.seed, "blueprint", &parts);
        choose(&self.config, self.selection, (returns, solved), blueprints, &mut rng)
    }

    /// Runs phase B.
    fn adapt(
        &self,
        iteration: &mut Iteration<'_>,
        tasks: &[TaskKey],
        Explored { chosen, idle }: Explored,
        rule: GroupRule,
    ) -> Result<(), AlgoError> {
        iteration.begin(Phase::Adapt);
        let config = iteration.config;
        let mut jobs: Vec<Job> = Vec::with_capacity(tasks.len() * config.group);
        for (task, chosen) in tasks.iter().zip(&chosen) {
            let blueprint = match chosen {
                Chosen::Follow(subgoals) => Blueprint::Follow(subgoals.clone()),
                Chosen::Greedy => Blueprint::Own,
                Chosen::Skip => continue,
            };
            let samples = 0..config.group as u64;
            jobs.extend(
                samples.map(|sample| Job { blueprint: blueprint.clone(), ..Job::sampled(task, sample) }),
            );
        }
        let skipped = chosen.iter().filter(|chosen| **chosen == Chosen::Skip).count();
        iteration.add_metrics([("skipped_tasks", skipped as f64 / tasks.len().max(1) as f64)]);
        let sampled = Sampled { temperature: config.temperature, only: Some(Role::Micro) };
        let (groups, lost) = group(iteration.play(&jobs, sampled)?, 2)?;
        iteration.count_lost(lost);
        let mut samples: Vec<Sample> = Vec::new();
        let mut all = Followed::default();
        for group in &groups {
            let mut returns = group.returns(iteration.config.reward_rule());
            if let Some(expert) = iteration.rollouts.expert {
                for (value, episode) in returns.iter_mut().zip(&group.episodes) {
                    let counts = followed(expert, episode);
                    *value += counts.reward(self.config.subgoal_reward);
                    all.add(counts);
                }
            }
            iteration.count_group(&returns);
            for (episode, advantage) in group.episodes.iter().zip(relative(&returns, rule)) {
                samples.extend(of_role(episode, Role::Micro, advantage)?);
            }
        }
        iteration.add_metrics(all.rate().map(|rate| ("follow_rate", rate)));
        iteration.update_with(&samples, self.holding(&idle, config))
    }
}

/// Runs the joint update of the ablation without co-evolution: blueprints and actions are sampled together and have the same
/// advantage.
fn joint_update(iteration: &mut Iteration<'_>, rule: GroupRule) -> Result<(), AlgoError> {
    let sampled = Sampled { temperature: iteration.config.temperature, only: None };
    let groups = iteration.play_groups(sampled, iteration.config.group)?;
    let mut samples: Vec<Sample> = Vec::new();
    let mut blueprints = Blueprints::new(iteration.rollouts.agent.max_subgoals);
    for group in &groups {
        let returns = group.returns(iteration.config.reward_rule());
        iteration.count_group(&returns);
        blueprints.count(&group.episodes);
        for (episode, advantage) in group.episodes.iter().zip(relative(&returns, rule)) {
            samples.extend(of_role(episode, Role::Macro, advantage)?);
            samples.extend(of_role(episode, Role::Micro, advantage)?);
        }
    }
    iteration.add_metrics(blueprints.metrics());
    iteration.update(&samples)
}

fn jobs(tasks: &[TaskKey], count: usize, job: impl Fn(&TaskKey, u64) -> Job) -> Vec<Job> {
    let job = &job;
    tasks.iter().flat_map(|task| (0..count as u64).map(move |sample| job(task, sample))).collect()
}
