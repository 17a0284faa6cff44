//! Token rows of offline RL: prompt, reply, rewards and next prompt of a transition.

use std::borrow::Cow;

use rand::seq::SliceRandom;
use rustc_hash::FxHashMap;
use stepladder_agent::AgentSpec;
use stepladder_core::Role;
use stepladder_core::reply::Profile;
use stepladder_core::seed::stream;
use stepladder_core::trace::Episode;

use crate::ablate::ProgressText;
use crate::encoder::{EncoderError, PromptEncoder};
use crate::rows::{Row, Span, reply_row};
use crate::transitions::{Streams, Transition, TransitionError, transitions};

/// One sample of offline RL.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineRow {
    /// Prompt and reply as one sequence with one reply; role and weight.
    pub row: Row,
    /// Rewards of the steps that are discounted separately: one, or the n_k of a semi-Markov decision (see [`rows`]). The
    /// algorithm applies the discount.
    pub rewards: Vec<f64>,
    /// Whether the target is not bootstrapped.
    pub done: bool,
    /// Token ids of the role's next prompt, which the target bootstraps from; empty if `done`.
    pub next: Vec<u32>,
}

impl OfflineRow {
    /// Whether the row has a reply; rows without one are left out of every mean (docs/spec/algorithms.md 7).
    pub fn counts(&self) -> bool {
        self.row.reply_tokens() > 0
    }

    /// Returns the length of its longer sequence, which must fit into the model's context window.
    pub fn longest(&self) -> usize {
        self.row.ids.len().max(self.next.len())
    }
}

/// Encodes the transitions of one episode as rows: planner, executor, progress.
///
/// With `per_step`, a decision of n steps keeps the reward of each step, so that the discount applies n times. Without, it is
/// one step with the sum of the rewards, as in the released code (docs/spec/algorithms.md 3.4).
///
/// # Errors
/// Those of [`PromptEncoder::render`].
pub fn rows(
    streams: &Streams,
    encoder: &dyn PromptEncoder,
    per_step: bool,
) -> Result<Vec<OfflineRow>, EncoderError> {
    let all = streams.planner.iter().chain(&streams.executor).chain(&streams.progress);
    all.map(|transition| row(transition, encoder, per_step)).collect()
}

fn row(
    transition: &Transition,
    encoder: &dyn PromptEncoder,
    per_step: bool,
) -> Result<OfflineRow, EncoderError> {
    let Transition { query, reply, cut, rewards, next } = transition;
    Ok(OfflineRow {
        row: reply_row(query, reply, *cut, encoder)?,
        rewards: if per_step { rewards.clone() } else { vec![transition.reward()] },
        done: transition.done(),
        next: next.as_ref().map(|query| encoder.prompt(query)).transpose()?.unwrap_or_default(),
    })
}

/// Hyperparameters of a dataset of offline RL.
#[derive(Debug, Clone, Copy)]
pub struct DatasetConfig {
    /// Agent whose roles learn.
    pub agent: AgentSpec,
    /// Content of the demonstrations' progress texts.
    pub progress: ProgressText,
    /// Rules of the labels.
    pub profile: Profile,
    /// Whether each step of a decision is discounted separately ([`rows`]).
    pub per_step: bool,
    /// Context window of the model; longer rows are left out.
    pub context: usize,
}

/// Merged rows of offline RL, with the number of their transitions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dataset {
    /// Distinct rows with their weights.
    pub rows: Vec<OfflineRow>,
    /// Number of transitions, too long ones included.
    pub transitions: usize,
    /// Number of transitions left out since they exceed the context window.
    pub too_long: usize,
}

/// Builds the dataset of offline RL from demonstrations and from the episodes that the policy collected, in this order.
///
/// # Errors
/// [`TransitionError`] if an episode does not fit the agent, or a prompt cannot be rendered.
pub fn dataset<'a>(
    demonstrations: impl IntoIterator<Item = &'a Episode>,
    collected: impl IntoIterator<Item = &'a Episode>,
    encoder: &dyn PromptEncoder,
    config: &DatasetConfig,
) -> Result<Dataset, TransitionError> {
    let &DatasetConfig { agent, progress, profile, per_step, context } = config;
    let demonstrations = demonstrations.into_iter().map(|episode| progress.demonstration(episode));
    let mut all: Vec<OfflineRow> = Vec::new();
    for episode in demonstrations.chain(collected.into_iter().map(Cow::Borrowed)) {
        all.extend(rows(&transitions(agent, &episode, profile)?, encoder, per_step)?);
    }
    let transitions = all.len();
    all.retain(|row| row.longest() <= context);
    let too_long = transitions - all.len();
    Ok(Dataset { rows: merge(all), transitions, too_long })
}

/// Draws `count` demonstrations at random; returns all of them for 0.
pub fn draw(demonstrations: &[Episode], count: usize, seed: u64) -> Vec<&Episode> {
    let mut drawn: Vec<&Episode> = demonstrations.iter().collect();
    if count > 0 {
        drawn.shuffle(&mut stream(seed, "offline_ac demonstrations", &[]));
        drawn.truncate(count);
    }
    drawn
}

/// Fields in which two rows must agree to be merged.
type Key = (Role, Vec<u32>, Vec<Span>, Vec<u64>, bool, Vec<u32>);

/// Merges identical rows into one with the sum of their weights, in the order of first appearance (docs/design.md D10).
///
/// Every mean of the losses is weighted, so merging does not change it.
pub fn merge(rows: Vec<OfflineRow>) -> Vec<OfflineRow> {
    let mut seen: FxHashMap<Key, usize> = FxHashMap::default();
    let mut merged: Vec<OfflineRow> = Vec::with_capacity(rows.len());
    for row in rows {
        let key = (
            row.row.role,
            row.row.ids.clone(),
            row.row.replies.clone(),
            row.rewards.iter().map(|reward| reward.to_bits()).collect(),
            row.done,
            row.next.clone(),
        );
        match seen.entry(key) {
            std::collections::hash_map::Entry::Occupied(entry) => {
                merged[*entry.get()].row.weight += row.row.weight;
            }
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(row);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demonstrations_are_drawn_once_each_from_all_of_them() {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let episodes: Vec<Episode> = (0..50).map(|seed| Episode { seed, ..episode.clone() }).collect();
        let seeds = |count, seed| draw(&episodes, count, seed).iter().map(|e| e.seed).collect::<Vec<_>>();
        assert_eq!(seeds(0, 1), (0..50).collect::<Vec<_>>());
        assert_eq!(seeds(10, 1), seeds(10, 1));
        assert_ne!(seeds(10, 1), seeds(10, 2));
        assert_eq!(seeds(10, 1).into_iter().collect::<std::collections::BTreeSet<_>>().len(), 10);
        assert!(seeds(10, 1).iter().any(|seed| *seed >= 25), "the copies at the end are drawn too");
        assert_eq!(seeds(99, 1).len(), 50);
    }
}
