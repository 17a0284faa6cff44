//! Token rows of samples: `prompt ++ reply ++ end`, with the spans of the replies (docs/spec/algorithms.md 1.1).

use rustc_hash::FxHashMap;
use stepladder_agent::AgentSpec;
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
    /// Number of samples that the row was merged from (docs/design.md D10).
    pub weight: f32,
}

impl Row {
    /// Returns the number of tokens with a loss.
    pub fn reply_tokens(&self) -> u32 {
        self.replies.iter().map(|span| span.len).sum()
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
    Ok(Row { role, ids, replies: vec![Span { start, len }], weight: 1.0 })
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
    Ok(begins.then_some(Row { role: last.role(), ids, replies, weight: 1.0 }))
}

/// Returns the texts of prompts and replies, for [`CompactWords::with_words`].
pub fn texts(samples: &[Sample], encoder: &CompactWords) -> Vec<String> {
    let of =
        |sample: &Sample| [encoder.render(&sample.query).text, encoder.written(sample.role(), &sample.reply)];
    samples.iter().flat_map(of).collect()
}
