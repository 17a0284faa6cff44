//! HiMAC (arXiv:2603.00977; docs/spec/algorithms.md 5): macro and micro policy on one model, trained alternately without a
//! critic.
//!
//! ```text
//! phase A, macro exploration    N blueprints per task are sampled, each is executed once greedily
//!                               Aᵢ = group-relative return of blueprint i; only blueprint tokens are trained
//! z* = the blueprint with the highest return; ties: fewer sub-goals, then the first
//! phase B, micro adaptation     z* is executed N times, sampled, with the parameters after phase A's update
//!                               Aⱼ = group-relative return of episode j, penalties included; only action replies are trained
//! ```
//! Both phases minimise the clipped surrogate with a KL term to the starting policy (5.5, `ops::surrogate`).
//!
//! Ablations: `selection = "random"` executes a random readable blueprint instead of the best; without `coevolution` blueprints
//! and actions are sampled together, once, and all tokens have the advantage of the episode; an agent with `sub_done = false`
//! gives every sub-goal a fixed number of steps; `flat` is GRPO.

use rand::RngExt;
use stepladder_agent::himac::Blueprint;
use stepladder_core::seed::{fingerprint, stream};
use stepladder_core::trace::Episode;
use stepladder_core::{Role, TaskKey, blueprint};
use stepladder_rollout::scheduler::Job;

use crate::AlgoError;
use crate::online::reward::RewardRule;
use crate::online::rollouts::{Group, Sampled, group};
use crate::online::samples::{Sample, of_role};
use crate::online::{Iteration, Method, Phase};
use crate::ops::group::{GroupRule, relative};

stepladder_core::choices! {
    /// Blueprint that phase B executes.
    pub enum Selection {
        /// The blueprint with the highest return.
        Best = "best",
        /// A random readable blueprint (ablation).
        Random = "random",
    }
}

/// Returns the index of the blueprint with the highest return; ties: fewer sub-goals, then the lower index. None without
/// blueprints.
///
/// ```
/// use stepladder_algo::himac::best_blueprint;
/// assert_eq!(best_blueprint(&[0.0, 9.0, 9.0], &[1, 3, 2]), Some(2));
/// ```
pub fn best_blueprint(returns: &[f64], subgoals: &[usize]) -> Option<usize> {
    (0..returns.len()).min_by(|&a, &b| {
        returns[b].total_cmp(&returns[a]).then(subgoals[a].cmp(&subgoals[b])).then(a.cmp(&b))
    })
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Himac {
    /// Blueprint that phase B executes.
    pub selection: Selection,
    /// Whether the phases alternate; otherwise there is one joint update.
    pub coevolution: bool,
}

impl Method for Himac {
    /// Runs phase A and its update, then phase B and its update.
    fn iterate(&mut self, iteration: &mut Iteration<'_>) -> Result<(), AlgoError> {
        let rule = iteration.config.rule();
        if !self.coevolution {
            return joint_update(iteration, rule);
        }
        let tasks = iteration.tasks();
        let chosen = explore(iteration, &tasks, rule, self.selection)?;
        adapt(iteration, &tasks, chosen, rule)
    }
}

/// Runs phase A; returns the blueprint of every task for phase B.
fn explore(
    iteration: &mut Iteration<'_>,
    tasks: &[TaskKey],
    rule: GroupRule,
    selection: Selection,
) -> Result<Vec<Vec<String>>, AlgoError> {
    iteration.begin(Phase::Explore);
    let config = iteration.config;
    let job = |task: &TaskKey, sample| Job { blueprint: Blueprint::MustParse, ..Job::sampled(task, sample) };
    let jobs = jobs(tasks, config.group, job);
    let sampled = Sampled { temperature: config.temperature, only: Some(Role::Macro) };
    let (groups, lost) = group(iteration.play(&jobs, sampled)?, 1)?;
    iteration.count_lost(lost);
    let mut samples: Vec<Sample> = Vec::new();
    let mut chosen = Vec::with_capacity(tasks.len());
    let mut blueprints = Blueprints::new(iteration.rollouts.agent.max_subgoals);
    for task in tasks {
        let Some(group) = groups.iter().find(|group| group.task == *task) else {
            chosen.push(Vec::new());
            continue;
        };
        let returns = macro_returns(config.reward_rule(), &group.episodes);
        iteration.count_group(&returns);
        blueprints.count(&group.episodes);
        for (episode, advantage) in group.episodes.iter().zip(relative(&returns, rule)) {
            samples.extend(of_role(episode, Role::Macro, advantage)?);
        }
        chosen.push(choose(iteration, group, &returns, selection));
    }
    iteration.add_metrics(blueprints.metrics());
    iteration.keep();
    iteration.update(&samples)?;
    Ok(chosen)
}

/// Selects z*; empty if no blueprint is readable, in which case the task is the only sub-goal.
fn choose(iteration: &Iteration<'_>, group: &Group, returns: &[f64], selection: Selection) -> Vec<String> {
    let max_subgoals = iteration.rollouts.agent.max_subgoals;
    let blueprints: Vec<Option<Vec<String>>> =
        group.episodes.iter().map(|episode| blueprint_of(episode, max_subgoals)).collect();
    let readable: Vec<usize> = (0..blueprints.len()).filter(|&index| blueprints[index].is_some()).collect();
    let chosen = match selection {
        Selection::Best => {
            let lens: Vec<usize> =
                blueprints.iter().map(|found| found.as_ref().map_or(0, Vec::len)).collect();
            best_blueprint(returns, &lens)
        }
        Selection::Random if readable.is_empty() => None,
        Selection::Random => {
            let parts = [iteration.number(), fingerprint(&group.task.to_string())];
            let mut rng = stream(iteration.rollouts.seed, "blueprint", &parts);
            Some(readable[rng.random_range(0..readable.len())])
        }
    };
    chosen.and_then(|index| blueprints[index].clone()).unwrap_or_default()
}

/// Runs phase B.
fn adapt(
    iteration: &mut Iteration<'_>,
    tasks: &[TaskKey],
    chosen: Vec<Vec<String>>,
    rule: GroupRule,
) -> Result<(), AlgoError> {
    iteration.begin(Phase::Adapt);
    let config = iteration.config;
    let follow = |task: &TaskKey, sample| {
        let place = tasks.iter().position(|known| known == task).unwrap_or(0);
        Job { blueprint: Blueprint::Follow(chosen[place].clone()), ..Job::sampled(task, sample) }
    };
    let jobs = jobs(tasks, config.group, follow);
    let sampled = Sampled { temperature: config.temperature, only: None };
    let (groups, lost) = group(iteration.play(&jobs, sampled)?, 2)?;
    iteration.count_lost(lost);
    let mut samples: Vec<Sample> = Vec::new();
    for group in &groups {
        let returns = group.returns(iteration.config.reward_rule());
        iteration.count_group(&returns);
        for (episode, advantage) in group.episodes.iter().zip(relative(&returns, rule)) {
            samples.extend(of_role(episode, Role::Micro, advantage)?);
        }
    }
    iteration.update(&samples)
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
