//! PPO with a token-level critic (arXiv:1707.06347; GAE, arXiv:1506.02438; docs/spec/algorithms.md 6.3).
//!
//! The sequence of an episode is the tokens of all its replies, in order, without observations. A reply's reward is on its last
//! token.
//!
//! ```text
//! δₜ = rₜ + γ Vₜ₊₁ − Vₜ,   Aₜ = δₜ + γ λ Aₜ₊₁,   retₜ = Aₜ + Vₜ        value after the end: 0, or V of the next prompt if truncated
//! A is whitened over the batch;  L_V = ½ mean max((V − ret)², (V_old + clip(V − V_old, ±0.5) − ret)²)
//! ```
//! V is a separate model ([`value`]), initialised from the policy; it reads the position before a token. The policy's loss is the
//! clipped surrogate with a KL term to the starting policy (5.5); the reward has no KL term.

mod config;
pub mod value;

pub use config::PpoConfig;
use value::VALUE;
pub use value::ValueWorkers;

use stepladder_agent::AgentSpec;
use stepladder_agent::replay::{Fault, Place, ReplayError, replay};
use stepladder_core::trace::Episode;
use stepladder_core::{End, Role};
use stepladder_data::{Overflow, PromptEncoder};
use stepladder_rollout::local::fit;

use crate::AlgoError;
use crate::online::rollouts::{Rollouts, Sampled};
use crate::online::samples::{Sample, of_role};
use crate::online::{Iteration, Method};
use crate::ops::returns::{place_rewards, whiten};
use crate::runtime::clock::Stopwatch;
use crate::runtime::trainer::Trainer;

/// PPO with the workers of its critic. The critic is initialised at the beginning of a run and restored from checkpoints.
pub struct Ppo {
    config: PpoConfig,
    values: Option<ValueWorkers>,
}

impl Ppo {
    /// Creates the method; its workers start with the run.
    pub fn new(config: PpoConfig) -> Self {
        Self { config, values: None }
    }
}

impl Method for Ppo {
    /// Initialises the critic from the policy unless the trainer already has one.
    fn start(&mut self, trainer: &mut Trainer, rollouts: &Rollouts<'_>) -> Result<(), AlgoError> {
        if !trainer.nets.contains(VALUE) {
            let net = value::start(&trainer.weights.trained, trainer.optimiser.config);
            trainer.nets.insert(VALUE, net);
        }
        trainer.nets.get(VALUE, value::count(&trainer.weights.trained.layout))?;
        self.values = Some(ValueWorkers::new(rollouts.workers, &trainer.weights, rollouts.passes));
        Ok(())
    }

    /// Plays as many episodes as the group methods, of different tasks if there are enough, and trains on them.
    fn iterate(&mut self, iteration: &mut Iteration<'_>) -> Result<(), AlgoError> {
        let config = iteration.config;
        let sampled = Sampled { temperature: config.temperature, only: None };
        let count = config.tasks_per_iteration * config.group;
        let jobs: Vec<_> = iteration
            .rollouts
            .draw(iteration.number(), count)
            .iter()
            .cycle()
            .take(count)
            .enumerate()
            .map(|(index, task)| stepladder_rollout::Job::sampled(task, index as u64))
            .collect();
        let episodes = iteration.play(&jobs, sampled)?;
        let (groups, lost) = crate::online::rollouts::group(episodes, 1)?;
        iteration.count_lost(lost);
        let episodes: Vec<Episode> = groups.into_iter().flat_map(|group| group.episodes).collect();
        let values = self.values.as_ref().ok_or_else(not_started)?;
        let samples = train_critic(iteration, &self.config, &episodes, values)?;
        iteration.update(&samples)
    }
}

fn not_started() -> AlgoError {
    let reason = "its workers have not started; call `Method::start` before the first iteration";
    AlgoError::Net { name: VALUE.to_owned(), reason: reason.to_owned() }
}

/// Trains the critic on the episodes' returns; returns the samples with their advantages.
fn train_critic(
    iteration: &mut Iteration<'_>,
    config: &PpoConfig,
    episodes: &[Episode],
    values: &ValueWorkers,
) -> Result<Vec<Sample>, AlgoError> {
    let clock = Stopwatch::start();
    let by_episode: Vec<Vec<Sample>> =
        episodes.iter().map(|episode| of_role(episode, Role::Flat, 0.0)).collect::<Result<_, _>>()?;
    // The replies of each episode, followed by the next prompt if it was truncated.
    let mut asked: Vec<Sample> = Vec::new();
    for (episode, samples) in episodes.iter().zip(&by_episode) {
        asked.extend(samples.iter().cloned());
        if episode.end == Some(End::Truncated) {
            let window = iteration.trainer.weights.config().shape.max_positions as usize;
            asked.push(next_prompt(episode, iteration.rollouts.agent, window, &*iteration.rollouts.encoder)?);
        }
    }
    let parameters = value::count(&iteration.trainer.weights.trained.layout);
    let net = iteration.trainer.nets.get(VALUE, parameters)?;
    let layout = (iteration.config.batch_tokens, iteration.rollouts.encoder.pad());
    let mut known = values.evaluate(net, &asked, layout)?.into_iter();
    let mut samples: Vec<Sample> = Vec::new();
    let (mut old, mut targets): (Vec<Vec<f32>>, Vec<Vec<f32>>) = (Vec::new(), Vec::new());
    let mut all: Vec<f64> = Vec::new();
    for (episode, own) in episodes.iter().zip(by_episode) {
        let own_values: Vec<Vec<f32>> = known.by_ref().take(own.len()).collect();
        let truncated = episode.end == Some(End::Truncated);
        let bootstrap =
            if truncated { known.next().and_then(|values| values.first().copied()) } else { None };
        let lens: Vec<usize> = own.iter().map(Sample::len).collect();
        let rewards = iteration.config.reward_rule().penalised(episode);
        let stream: Vec<f64> = own_values.iter().flatten().map(|&value| f64::from(value)).collect();
        let (advantages, returns) = config.gae().estimate(
            &place_rewards(&lens, &rewards),
            &stream,
            f64::from(bootstrap.unwrap_or(0.0)),
        );
        all.extend(advantages);
        let mut returns = returns.into_iter().map(|value| value as f32);
        targets.extend(lens.iter().map(|&len| returns.by_ref().take(len).collect::<Vec<f32>>()));
        old.extend(own_values);
        samples.extend(own);
    }
    whiten(&mut all);
    let mut all = all.into_iter().map(|advantage| advantage as f32);
    for sample in &mut samples {
        sample.advantage = all.by_ref().take(sample.len()).collect();
    }
    let batches = iteration.mini_batches(samples.len(), iteration.config.mini_batch);
    let mut losses = Vec::new();
    for batch in batches {
        let net = iteration.trainer.nets.get_mut(VALUE, parameters)?;
        let members: Vec<(&Sample, &[f32], &[f32])> =
            batch.iter().map(|&at| (&samples[at], old[at].as_slice(), targets[at].as_slice())).collect();
        let (loss, norm) = values.step(net, &members, config, layout)?;
        iteration.step_done(norm)?;
        losses.push(loss);
    }
    let mean = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
    iteration.count_update(("value_loss", mean), clock.seconds());
    Ok(samples)
}

/// Creates a sample of the prompt after the episode, shortened as in a rollout, with a placeholder token as the reply; its only
/// value is that of the prompt's last token.
fn next_prompt(
    episode: &Episode,
    agent: AgentSpec,
    window: usize,
    encoder: &dyn PromptEncoder,
) -> Result<Sample, AlgoError> {
    let next = replay(agent, episode)?.next.ok_or_else(|| ReplayError {
        task: episode.task.to_string(),
        place: Place { subtask: 0, step: None },
        fault: Fault::Missing { asked: Role::Flat },
    })?;
    // No reply is asked for, so a long prompt is no reason to end the run.
    let mut ids = fit(&next, window, encoder, Overflow::Shorten)?.ids;
    let start = ids.len();
    ids.push(encoder.pad());
    Ok(Sample { role: Role::Flat, start, ids, old: vec![0.0], advantage: vec![0.0], count: 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use stepladder_agent::AgentKind;
    use stepladder_core::codec::Plain;
    use stepladder_data::{Budgets, CompactWords};

    #[test]
    fn the_prompt_behind_a_cut_off_episode_fits_the_window() {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let encoder = CompactWords::new(Arc::new(Plain), Budgets::default()).with_words([line]);
        let agent = AgentSpec::from(AgentKind::Flat);
        let of = |window| next_prompt(&episode, agent, window, &encoder).unwrap();
        let whole = of(1000);
        let reply = encoder.budget(Role::Flat) as usize;
        // Exactly as many tokens as the prompt needs, then one less, which drops the oldest pair.
        assert_eq!(of(whole.start + reply), whole);
        let shorter = of(whole.start + reply - 1);
        assert!(shorter.start < whole.start, "{} of {}", shorter.start, whole.start);
        assert!(shorter.ids.len() < whole.start);
        let task = encoder.prompt(&stepladder_core::Query::Flat {
            task: episode.start.task.clone(),
            context: episode.start.context.clone(),
            history: Vec::new(),
        });
        // Context and task stay; the prompt's last token is the marker before an action.
        assert_eq!(shorter.ids[..task.len() - 1], task[..task.len() - 1]);
        assert_eq!(shorter.ids[shorter.start - 1], task[task.len() - 1]);
    }
}
