//! Token rows of samples: `prompt ++ reply ++ end`, with the spans of the replies (docs/spec/algorithms.md 1.1).

use rand::RngExt as _;
use rustc_hash::FxHashMap;
use stepladder_agent::AgentSpec;
use stepladder_core::seed::stream;
use stepladder_core::trace::Episode;
use stepladder_core::{Query, Role};

use crate::encoder::{EncoderError, PromptEncoder};
use crate::samples::Sample;
use crate::words::CompactWords;

/// Position of a reply in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Position of its first token.
    pub start: u32,
    /// Number of reply tokens, end token included; at least 1.
    pub len: u32,
}

/// One sequence of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Role that learns from it.
    pub role: Role,
    /// Token ids of prompt and replies.
    pub ids: Vec<u32>,
    /// Replies to learn, in order; one for a step-level sample, one per action for a packed flat episode.
    pub replies: Vec<Span>,
    /// Parts of the prompts to learn too, in order ([`learn_prompts`]), none of a reply's tokens; together they have the weight of one
    /// reply.
    pub prompts: Vec<Span>,
    /// Number of samples that the row was merged from (docs/design.md D10).
    pub weight: f32,
}

impl Row {
    /// Returns the number of tokens of the replies.
    pub fn reply_tokens(&self) -> u32 {
        self.replies.iter().map(|span| span.len).sum()
    }

    /// Returns the number of tokens with a loss.
    pub fn learnt_tokens(&self) -> u32 {
        self.replies.iter().chain(&self.prompts).map(|span| span.len).sum()
    }

    /// Returns the spans before and between the replies, without the first token, which nothing predicts.
    fn between(&self) -> Vec<Span> {
        let ends = self.replies.iter().map(|span| span.start + span.len);
        let gaps = std::iter::once(1).chain(ends).zip(&self.replies);
        gaps.filter(|(from, reply)| *from < reply.start)
            .map(|(from, reply)| Span { start: from, len: reply.start - from })
            .collect()
    }
}

/// Encodes a sample as a row.
///
/// # Errors
/// Those of [`PromptEncoder::render`].
pub fn row(sample: &Sample, encoder: &dyn PromptEncoder) -> Result<Row, EncoderError> {
    reply_row(&sample.query, &sample.reply, false, encoder)
}

/// Encodes a prompt and its reply as a row. A reply that was `cut` has no end token, unless it is empty
/// (docs/spec/algorithms.md 1.3).
///
/// # Errors
/// Those of [`PromptEncoder::render`].
pub fn reply_row(
    query: &Query,
    reply: &str,
    cut: bool,
    encoder: &dyn PromptEncoder,
) -> Result<Row, EncoderError> {
    let role = query.role();
    let mut ids = encoder.prompt(query)?;
    let start = ids.len() as u32;
    ids.extend(encoder.reply(role, reply, cut));
    let len = ids.len() as u32 - start;
    Ok(Row { role, ids, replies: vec![Span { start, len }], prompts: Vec::new(), weight: 1.0 })
}

/// Merges identical rows into one with the sum of their weights, in the order of first appearance.
///
/// Merging does not change the loss, because weights multiply the row losses and divide their sum.
pub fn merge(rows: Vec<Row>) -> Vec<Row> {
    let mut seen: FxHashMap<(Role, Vec<u32>, Vec<Span>), usize> = FxHashMap::default();
    let mut merged: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        match seen.entry((row.role, row.ids.clone(), row.replies.clone())) {
            std::collections::hash_map::Entry::Occupied(entry) => merged[*entry.get()].weight += row.weight,
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(row);
            }
        }
    }
    merged
}

/// Raises every weight to a power between 0 and 1: frequent samples are learnt early and need not outweigh the rest.
pub fn temper(rows: &mut [Row], power: f64) {
    for row in rows {
        row.weight = f64::from(row.weight).powf(power) as f32;
    }
}

/// Makes the prompts of a random `share` of the rows part of what is learnt: the loss of a language model, with the weight of one reply
/// per row. Prompts repeat themselves (a page repeats the instruction), and a model with random initial weights learns to copy from
/// them (as an induction head, arXiv:2209.11895) long before it would from the few tokens of its replies.
pub fn learn_prompts(rows: &mut [Row], share: f64, seed: u64) {
    if share > 0.0 {
        let mut rng = stream(seed, "prompt loss", &[]);
        for row in rows {
            row.prompts = if rng.random_bool(share) { row.between() } else { Vec::new() };
        }
    }
}

/// Whether each prompt of an agent of `spec` in `episode` is a prefix of the next one.
pub fn grows(spec: AgentSpec, episode: &Episode) -> bool {
    spec.prompts_grow() && episode.steps().all(|step| step.context.is_none())
}

/// Packs the samples of an episode into one row, so that one pass trains all of them; each prompt must be a prefix of the next
/// one ([`grows`]). Returns `None` without samples, and if the encoder does not preserve the prefixes.
///
/// # Errors
/// Those of [`PromptEncoder::render`].
pub fn pack(samples: &[Sample], encoder: &dyn PromptEncoder) -> Result<Option<Row>, EncoderError> {
    let (mut replies, mut sequences): (Vec<Span>, Vec<Vec<u32>>) = Default::default();
    for Sample { query, reply } in samples {
        let (prompt, reply) = (encoder.prompt(query)?, encoder.reply(query.role(), reply, false));
        replies.push(Span { start: prompt.len() as u32, len: reply.len() as u32 });
        sequences.push([prompt, reply].concat());
    }
    let (Some(last), Some(ids)) = (samples.last(), sequences.pop()) else { return Ok(None) };
    let begins = sequences.iter().all(|earlier| ids.starts_with(earlier));
    Ok(begins.then_some(Row { role: last.role(), ids, replies, prompts: Vec::new(), weight: 1.0 }))
}

/// Returns the texts of prompts and replies, for [`CompactWords::with_words`].
pub fn texts(samples: &[Sample], encoder: &CompactWords) -> Vec<String> {
    let of =
        |sample: &Sample| [encoder.render(&sample.query).text, encoder.written(sample.role(), &sample.reply)];
    samples.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(replies: &[(u32, u32)]) -> Row {
        let replies = replies.iter().map(|&(start, len)| Span { start, len }).collect();
        Row { role: Role::Flat, ids: (0..20).collect(), replies, prompts: Vec::new(), weight: 1.0 }
    }

    #[test]
    fn what_a_row_learns_of_its_prompts_begins_after_the_first_token_and_ends_before_each_reply() {
        let mut rows = [row(&[(5, 2)]), row(&[(5, 2), (7, 1), (12, 8)]), row(&[(1, 3)]), row(&[])];
        learn_prompts(&mut rows, 1.0, 0);
        let spans = |row: &Row| row.prompts.iter().map(|span| (span.start, span.len)).collect::<Vec<_>>();
        assert_eq!(rows.each_ref().map(spans), [vec![(1, 4)], vec![(1, 4), (8, 4)], vec![], vec![]]);
        assert_eq!((rows[1].reply_tokens(), rows[1].learnt_tokens()), (11, 19));
        // A batch has one target per learnt token, in the order of the positions, and no loss per role for a prompt.
        let batch = crate::batch::collate_all(&[&rows[1]], crate::batch::Reduction::RowMean);
        assert_eq!(batch.targets, (1..20).collect::<Vec<u32>>());
        let replies: Vec<_> = batch.replies.iter().map(|one| (one.len, one.weight)).collect();
        assert_eq!(replies, [(4, 0.0), (2, 1.0), (1, 1.0), (4, 0.0), (8, 1.0)]);
        // Three replies and the prompts, a quarter each.
        assert_eq!(
            batch.weights[..8],
            [[1.0 / 32.0; 4], [1.0 / 8.0, 1.0 / 8.0, 1.0 / 4.0, 1.0 / 32.0]].concat()
        );
        let batch = crate::batch::collate_all(&[&rows[1]], crate::batch::Reduction::TokenMean);
        assert_eq!(batch.weights, [1.0 / 19.0; 19]);
    }

    #[test]
    fn a_share_of_the_rows_is_drawn_by_the_seed() {
        let drawn = |share, seed| {
            let mut rows = vec![row(&[(5, 2)]); 1000];
            learn_prompts(&mut rows, share, seed);
            rows.iter().map(|row| !row.prompts.is_empty()).collect::<Vec<bool>>()
        };
        let count = |drawn: &[bool]| drawn.iter().filter(|drawn| **drawn).count();
        assert_eq!((count(&drawn(0.0, 1)), count(&drawn(1.0, 1))), (0, 1000));
        assert!((150..250).contains(&count(&drawn(0.2, 1))));
        assert!(drawn(0.2, 1) == drawn(0.2, 1) && drawn(0.2, 1) != drawn(0.2, 2));
    }
}
