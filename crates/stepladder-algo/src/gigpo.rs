//! GiGPO (arXiv:2505.10978; docs/spec/algorithms.md 6.4): GRPO with an additional advantage among steps in the same state.
//!
//! ```text
//! AEᵢ  = group-relative Rᵢ                                  among the episodes of a task
//! Gₜ   = rₜ + γ Gₜ₊₁                                        penalties included
//! ASᵢₜ = group-relative Gᵢₜ                                 among all steps of the task with the same observation
//! Aᵢₜ  = AEᵢ + ω ASᵢₜ
//! ```
//! A state is the text of the environment before the action: the feedback, and the context if steps change it (ScienceWorld; in
//! ALFWorld the context of a task is constant). A state that occurs once has advantage 0, so without common states GiGPO is
//! GRPO.

use crate::AlgoError;
use crate::online::rollouts::{Group, Sampled};
use crate::online::samples::Sample;
use crate::online::{Iteration, Method, OnlineConfig};
use crate::ops::group::{GroupRule, episode_advantages, group_relative};
use crate::ops::returns::returns_to_go;
use stepladder_core::section::Bound;
use stepladder_core::trace::Episode;
use stepladder_core::{Observation, section};

section! {
    /// Hyperparameters of GiGPO, besides those of all online methods.
    pub struct GigpoConfig {
        /// Discount of the steps' returns (docs/spec/algorithms.md 6.4).
        pub gamma: f64 = 0.95 => [Bound::Between(0, 1)],
        /// Weight of the step-level advantage.
        pub omega: f64 = 1.0 => [Bound::NotNegative],
    }
}

/// States and rewards of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory<'a> {
    /// State (text) before each step.
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

/// Computes the advantages of the module's equations for the episodes of one task; `per_step` as in [`episode_advantages`].
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

/// Returns the state before each step of each episode of a task, including the context if any step changes it.
fn states(episodes: &[Episode]) -> Vec<Vec<String>> {
    let changes = episodes.iter().flat_map(Episode::steps).any(|step| step.context.is_some());
    episodes.iter().map(|episode| anchors(episode, changes)).collect()
}

fn anchors(episode: &Episode, context: bool) -> Vec<String> {
    let mut now = Observation::first(&episode.start);
    let mut anchors = Vec::with_capacity(episode.len());
    for step in episode.steps() {
        anchors.push(match context {
            // The line break separates feedback and context.
            true => format!("{}\n{}", now.feedback, now.context),
            false if anchors.is_empty() => now.text(),
            false => now.feedback.clone(),
        });
        now.feedback.clone_from(&step.observation);
        if let Some(context) = &step.context {
            now.context.clone_from(context);
        }
    }
    anchors
}

/// GiGPO as an online method.
#[derive(Debug, Clone, PartialEq)]
pub struct Gigpo {
    /// Hyperparameters of the method.
    pub config: GigpoConfig,
}

impl Method for Gigpo {
    fn iterate(&mut self, iteration: &mut Iteration<'_>) -> Result<(), AlgoError> {
        let config = iteration.config;
        let sampled = Sampled { temperature: config.temperature, only: None };
        let groups = iteration.play_groups(sampled, config.group)?;
        let mut samples: Vec<Sample> = Vec::new();
        for group in &groups {
            iteration.count_group(&group.returns(config.reward_rule()));
            samples.extend(of_group(config, &self.config, group)?);
        }
        iteration.update(&samples)
    }
}

/// Creates one sample per step of a group, with its advantage.
fn of_group(shared: &OnlineConfig, config: &GigpoConfig, group: &Group) -> Result<Vec<Sample>, AlgoError> {
    let states = states(&group.episodes);
    let trajectories: Vec<Trajectory<'_>> = group
        .episodes
        .iter()
        .zip(&states)
        .map(|(episode, states)| Trajectory {
            anchors: states.iter().map(String::as_str).collect(),
            rewards: shared.reward_rule().penalised(episode),
        })
        .collect();
    let found = advantages(&trajectories, shared.rule(), config.gamma, config.omega, shared.cross_step_stats);
    let turns = group.episodes.iter().flat_map(Episode::steps).map(|step| &step.turn);
    let advantages = found.total.into_iter().flatten();
    turns.zip(advantages).map(|(turn, advantage)| Sample::of(turn, advantage)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode() -> Episode {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap()
    }

    #[test]
    fn the_same_answer_in_another_room_is_another_state() {
        let mut walk = episode();
        let mut steps: Vec<_> = walk.subtasks.iter().flat_map(|subtask| subtask.steps.clone()).collect();
        steps.extend(steps.clone());
        for (step, room) in steps.iter_mut().zip(["kitchen", "hallway", "kitchen", "hallway"]) {
            step.observation = "The door is already open.".into();
            step.context = Some(room.into());
        }
        walk.subtasks.truncate(1);
        walk.subtasks[0].steps = steps;
        let states = states(&[walk]).concat();
        assert_eq!(states.len(), 4);
        // Before steps 1 to 3 the feedback is the same; the rooms are kitchen, hallway and kitchen.
        assert_ne!(states[1], states[2]);
        assert_eq!(states[1], states[3]);
    }

    #[test]
    fn where_the_context_stands_a_state_is_the_answer_alone() {
        let states = states(&[episode()]).concat();
        assert_eq!(states, ["You see a desk 1.", "On the desk 1, you see a mug 1."]);
    }
}
