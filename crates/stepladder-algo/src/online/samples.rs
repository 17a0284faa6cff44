//! Conversion of episodes to training samples: one sample per reply, with the log-probabilities recorded while sampling.

use rustc_hash::FxHashMap;
use stepladder_core::Role;
use stepladder_core::trace::{Episode, Turn};

use crate::AlgoError;

/// Training sample: one reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Role of the reply.
    pub role: Role,
    /// Prompt, then reply.
    pub ids: Vec<u32>,
    /// Index of the first reply token.
    pub start: usize,
    /// Log-probability of each token of the reply under the policy that sampled it.
    pub old: Vec<f32>,
    /// Advantage of each token of the reply.
    pub advantage: Vec<f32>,
    /// Number of samples merged into this one ([`merge`]).
    pub count: f64,
}

impl Sample {
    /// Returns the number of reply tokens, end token included.
    pub fn len(&self) -> usize {
        self.old.len()
    }

    /// Whether the reply has no tokens.
    pub fn is_empty(&self) -> bool {
        self.old.is_empty()
    }

    /// Creates the sample of a turn, with the same advantage for all tokens.
    ///
    /// # Errors
    /// [`AlgoError::NoTokens`] if the turn has no token ids with log-probabilities.
    pub fn of(turn: &Turn, advantage: f64) -> Result<Self, AlgoError> {
        let absent = || AlgoError::NoTokens { role: turn.role.name() };
        let tokens = turn.tokens.as_deref().ok_or_else(absent)?;
        let logprobs = tokens.logprobs.as_ref().ok_or_else(absent)?;
        if tokens.prompt.is_empty() || tokens.reply.is_empty() || tokens.reply.len() != logprobs.len() {
            return Err(absent());
        }
        Ok(Self {
            role: turn.role,
            ids: [tokens.prompt.as_slice(), &tokens.reply].concat(),
            start: tokens.prompt.len(),
            old: logprobs.clone(),
            advantage: vec![advantage as f32; tokens.reply.len()],
            count: 1.0,
        })
    }
}

/// Creates the samples of a role in an episode, all with the episode's advantage.
///
/// Tokens of other roles are in no reply, so they get no gradient; this implements the masks of HiMAC's phases
/// (docs/spec/algorithms.md 5.5).
///
/// # Errors
/// As [`Sample::of`].
pub fn of_role(episode: &Episode, role: Role, advantage: f64) -> Result<Vec<Sample>, AlgoError> {
    let turns = episode.turns().filter(|turn| turn.role == role);
    turns.map(|turn| Sample::of(turn, advantage)).collect()
}

/// Deduplicates identical (prompt, reply) pairs, separately for positive and non-positive advantages, in the order of first
/// appearance; the merged sample has the mean advantage.
///
/// The surrogate is linear in advantages of one sign, so loss and gradient of a mini-batch do not change. Samples whose tokens
/// have different advantages are not merged.
pub fn merge(samples: Vec<Sample>) -> Vec<Sample> {
    let mut places: FxHashMap<(Vec<u32>, usize, bool), usize> = FxHashMap::default();
    let mut merged: Vec<Sample> = Vec::with_capacity(samples.len());
    for sample in samples {
        let Some(&first) = sample.advantage.first() else { continue };
        if sample.advantage.iter().any(|&advantage| advantage != first) {
            merged.push(sample);
            continue;
        }
        let key = (sample.ids.clone(), sample.start, first > 0.0);
        match places.get(&key) {
            Some(&place) => {
                let known = &mut merged[place];
                let (a, b) = (f64::from(known.advantage[0]), f64::from(first));
                let mean = (a * known.count + b * sample.count) / (known.count + sample.count);
                known.advantage.fill(mean as f32);
                known.count += sample.count;
            }
            None => {
                places.insert(key, merged.len());
                merged.push(sample);
            }
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use stepladder_core::trace::TurnTokens;

    use super::*;

    #[test]
    fn a_turn_without_token_ids_is_an_error() {
        let whole = TurnTokens { prompt: vec![1, 2], reply: vec![3], logprobs: Some(vec![-0.5]) };
        let turn = |tokens: Option<TurnTokens>| Turn {
            tokens: tokens.map(Box::new),
            ..Turn::said(Role::Micro, "up")
        };
        assert_eq!(Sample::of(&turn(Some(whole.clone())), 1.0).unwrap().ids, [1, 2, 3]);
        for tokens in [
            None,
            Some(TurnTokens::default()),
            Some(TurnTokens { logprobs: None, ..whole.clone() }),
            Some(TurnTokens { logprobs: Some(vec![]), ..whole.clone() }),
            Some(TurnTokens { prompt: vec![], ..whole }),
        ] {
            let error = Sample::of(&turn(tokens), 1.0).unwrap_err().to_string();
            assert!(error.starts_with("a micro reply has no token ids"), "{error}");
        }
    }
}
