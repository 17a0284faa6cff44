//! From transitions to token rows of offline RL: what was read, what was said, what it earned, what is read next.

use rustc_hash::FxHashMap;
use stepladder_core::Role;

use crate::encoder::PromptEncoder;
use crate::rows::{Row, Span, reply_row};
use crate::transitions::{Streams, Transition};

/// One sample of offline RL.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineRow {
    /// Prompt and reply as one sequence with one reply; role and weight.
    pub row: Row,
    /// Reward of every step of the decision that is discounted by itself: one, or the n_k of a semi-Markov decision (see
    /// [`rows`]). The algorithm applies the discount.
    pub rewards: Vec<f64>,
    /// No value is bootstrapped from what follows.
    pub done: bool,
    /// Token ids of the next prompt of the role; empty where `done`: no value is bootstrapped.
    pub next: Vec<u32>,
}

impl OfflineRow {
    /// Whether it has a reply: a row without one is left out of every mean (docs/spec/algorithms.md 7).
    pub fn counts(&self) -> bool {
        self.row.reply_tokens() > 0
    }

    /// Tokens of its longer sequence, which must fit into the model's window.
    pub fn longest(&self) -> usize {
        self.row.ids.len().max(self.next.len())
    }
}

/// The rows of one episode's streams: planner, executor, progress.
///
/// With `per_step` a decision that lasted n steps has the reward of each of them, so the discount applies n times; without,
/// it counts as one step with the sum of their rewards, as in the released code (docs/spec/algorithms.md 3.4).
pub fn rows(streams: &Streams, encoder: &dyn PromptEncoder, per_step: bool) -> Vec<OfflineRow> {
    let all = streams.planner.iter().chain(&streams.executor).chain(&streams.progress);
    all.map(|transition| row(transition, encoder, per_step)).collect()
}

fn row(transition: &Transition, encoder: &dyn PromptEncoder, per_step: bool) -> OfflineRow {
    let Transition { query, reply, cut, rewards, next } = transition;
    OfflineRow {
        row: reply_row(query, reply, *cut, encoder),
        rewards: if per_step { rewards.clone() } else { vec![transition.reward()] },
        done: transition.done(),
        next: next.as_ref().map(|query| encoder.prompt(query)).unwrap_or_default(),
    }
}

/// Everything in which two rows must agree to be one.
type Key = (Role, Vec<u32>, Vec<Span>, Vec<u64>, bool, Vec<u32>);

/// Merges identical rows into one with the sum of their weights, in the order of first appearance (docs/design.md D10).
///
/// Every mean of the losses is weighted, so that of a merged set equals that of the original set.
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
