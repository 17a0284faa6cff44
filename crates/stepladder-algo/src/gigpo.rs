//! GiGPO: GRPO with a second comparison, of steps that were taken in the same state (spec/algorithms 6.4).
//!
//! ```text
//! AEᵢ  = group-relative Rᵢ                                  among the episodes of a task
//! Gₜ   = rₜ + γ Gₜ₊₁                                        penalties included
//! ASᵢₜ = group-relative Gᵢₜ                                 among all steps of the task with the same observation
//! Aᵢₜ  = AEᵢ + ω ASᵢₜ
//! ```
//! A state is the text that the environment showed before the action. A state that was seen once gives 0, so with no state
//! in common GiGPO is GRPO.

use crate::AlgoError;
use crate::grpo::{episode_advantages, returns};
use crate::online::Session;
use crate::online::samples::Sample;
use crate::online::world::{Group, Sampled};
use crate::ops::group::{GroupRule, group_relative};
use crate::ops::returns::returns_to_go;
use stepladder_core::Observation;
use stepladder_core::trace::Episode;

/// One episode as the comparison sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory<'a> {
    /// What was shown before each step.
    pub anchors: Vec<&'a str>,
    /// Reward of each step.
    pub rewards: Vec<f64>,
}

/// Advantages of the steps of a group of episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Advantages {
    /// AE of each episode.
    pub episode: Vec<f64>,
    /// AS of each step.
    pub step: Vec<Vec<f64>>,
    /// A of each step.
    pub total: Vec<Vec<f64>>,
}

/// The table of the module's head for the episodes of one task; `per_step` as in [`episode_advantages`].
pub fn advantages(
    trajectories: &[Trajectory<'_>],
    rule: GroupRule,
    gamma: f64,
    omega: f64,
    per_step: bool,
) -> Advantages {
    let sums: Vec<f64> = trajectories.iter().map(|trajectory| trajectory.rewards.iter().sum()).collect();
    let lens: Vec<usize> = trajectories.iter().map(|trajectory| trajectory.rewards.len()).collect();
    let episode = episode_advantages(&sums, &lens, rule, per_step);
    let anchors: Vec<&str> =
        trajectories.iter().flat_map(|trajectory| trajectory.anchors.iter().copied()).collect();
    let values: Vec<f64> =
        trajectories.iter().flat_map(|trajectory| returns_to_go(&trajectory.rewards, gamma)).collect();
    let mut by_step = group_relative(&values, &anchors, rule).into_iter();
    let step: Vec<Vec<f64>> = lens.iter().map(|&len| by_step.by_ref().take(len).collect()).collect();
    let total = episode
        .iter()
        .zip(&step)
        .map(|(whole, steps)| steps.iter().map(|step| whole + omega * step).collect())
        .collect();
    Advantages { episode, step, total }
}

fn anchors<'a>(episode: &'a Episode, first: &'a str) -> Vec<&'a str> {
    let before = episode.steps().map(|step| step.observation.as_str());
    std::iter::once(first).chain(before).take(episode.len()).collect()
}

/// One iteration.
///
/// # Errors
/// From playing or from the update.
pub(crate) fn iterate(
    session: &mut Session<'_>,
    rule: GroupRule,
    gamma: f64,
    omega: f64,
) -> Result<(), AlgoError> {
    let sampled = Sampled { temperature: session.config.temperature, only: None };
    let groups = session.play_groups(sampled, session.config.group)?;
    let mut samples: Vec<Sample> = Vec::new();
    for group in &groups {
        session.count_group(&returns(session, group));
        samples.extend(learn(session, group, rule, gamma, omega));
    }
    session.update(&samples)
}

fn learn(session: &Session<'_>, group: &Group, rule: GroupRule, gamma: f64, omega: f64) -> Vec<Sample> {
    let config = session.config;
    let firsts: Vec<String> =
        group.episodes.iter().map(|episode| Observation::first(&episode.start).text()).collect();
    let trajectories: Vec<Trajectory<'_>> = group
        .episodes
        .iter()
        .zip(&firsts)
        .map(|(episode, first)| Trajectory {
            anchors: anchors(episode, first),
            rewards: config.reward.penalised(episode, config.penalty),
        })
        .collect();
    let found = advantages(&trajectories, rule, gamma, omega, config.cross_step_stats);
    let steps = group.episodes.iter().zip(found.total);
    steps
        .flat_map(|(episode, advantages)| {
            let turns = episode.steps().map(|step| &step.turn).zip(advantages);
            turns.filter_map(|(turn, advantage)| Sample::of(turn, advantage)).collect::<Vec<_>>()
        })
        .collect()
}
