//! From samples to token rows: `prompt ++ reply ++ end`, with the spans of the replies (spec/algorithms 1.1).

use rustc_hash::FxHashMap;
use stepladder_core::style::{END, PromptStyle};
use stepladder_core::{Query, Role};

use crate::streams::{FlatEpisode, Sample};
use crate::tokenizer::WordTokenizer;

/// One reply inside a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Position of its first token.
    pub start: u32,
    /// Tokens of the reply, end token included; at least 1.
    pub len: u32,
}

/// One sequence of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Who learns from it.
    pub role: Role,
    /// All token ids.
    pub ids: Vec<u32>,
    /// Replies to learn, in order; one for a step-level sample, one per action for a packed flat episode.
    pub replies: Vec<Span>,
    /// How many identical samples it stands for (design D10).
    pub weight: f32,
}

impl Row {
    /// Tokens that carry a loss.
    pub fn reply_tokens(&self) -> u32 {
        self.replies.iter().map(|span| span.len).sum()
    }
}

/// A sample as a row.
pub fn row(sample: &Sample, style: &dyn PromptStyle, tokenizer: &WordTokenizer) -> Row {
    reply_row(&sample.query, &sample.reply, false, style, tokenizer)
}

/// A prompt and its reply as a row. A reply that was `cut` has no end token, unless it is empty (spec/algorithms 1.3).
pub fn reply_row(
    query: &Query,
    reply: &str,
    cut: bool,
    style: &dyn PromptStyle,
    tokenizer: &WordTokenizer,
) -> Row {
    let role = query.role();
    let mut ids = tokenizer.encode(&style.prompt(query));
    let start = ids.len() as u32;
    ids.extend(tokenizer.encode(&style.encode_reply(role, reply)));
    if !cut || ids.len() as u32 == start {
        ids.push(tokenizer.end());
    }
    let len = ids.len() as u32 - start;
    Row { role, ids, replies: vec![Span { start, len }], weight: 1.0 }
}

/// Merges identical rows into one with the sum of their weights, in the order of first appearance.
///
/// The loss of a merged set equals that of the original set, because weights multiply row losses and divide their sum.
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

/// Raises every weight to a power between 0 and 1: what is seen often is soon known, and need not outweigh the rest.
pub fn temper(rows: &mut [Row], power: f64) {
    for row in rows {
        row.weight = f64::from(row.weight).powf(power) as f32;
    }
}

/// The rows of a flat episode. Where its context stands, that is one: every decision's prompt is a beginning of the next
/// one's, so one pass trains them all. Where it changes, every decision has a row of its own.
///
/// Actions that noise played are read but not learnt.
pub fn flat_rows(episode: &FlatEpisode, style: &dyn PromptStyle, tokenizer: &WordTokenizer) -> Vec<Row> {
    if episode.standing() {
        pack(episode, style, tokenizer).into_iter().collect()
    } else {
        windowed(episode, usize::MAX, style, tokenizer)
    }
}

fn pack(episode: &FlatEpisode, style: &dyn PromptStyle, tokenizer: &WordTokenizer) -> Option<Row> {
    let query = |done: usize| Query::Flat {
        task: episode.task.clone(),
        context: episode.context.clone(),
        history: episode.history(done),
    };
    let mut replies = Vec::new();
    for (position, step) in episode.steps.iter().enumerate().filter(|(_, step)| step.target) {
        let start = style.prompt(&query(position)).split_whitespace().count() as u32;
        let len = style.encode_reply(Role::Flat, &step.action).split_whitespace().count() as u32 + 1;
        replies.push(Span { start, len });
    }
    let last = episode.steps.iter().rposition(|step| step.target)?;
    let mut text = style.prompt(&query(last));
    for part in [style.encode_reply(Role::Flat, &episode.steps[last].action).as_str(), END] {
        text.push(' ');
        text.push_str(part);
    }
    Some(Row { role: Role::Flat, ids: tokenizer.encode(&text), replies, weight: 1.0 })
}

/// A flat episode for a learner that sees the last `window` pairs only: one row per decision, because such a prompt is no
/// prefix of the next one.
pub fn windowed(
    episode: &FlatEpisode,
    window: usize,
    style: &dyn PromptStyle,
    tokenizer: &WordTokenizer,
) -> Vec<Row> {
    let pairs = episode.history(episode.steps.len());
    let opening = pairs.len() - episode.steps.len();
    let decision = |at: usize| Sample {
        query: Query::Flat {
            task: episode.task.clone(),
            context: episode.context(at).to_owned(),
            history: pairs[(at + opening).saturating_sub(window)..at + opening].to_vec(),
        },
        reply: episode.steps[at].action.clone(),
    };
    let targets = (0..episode.steps.len()).filter(|&at| episode.steps[at].target);
    targets.map(|at| row(&decision(at), style, tokenizer)).collect()
}

/// Every word that samples and flat episodes need, for [`WordTokenizer::train`].
pub fn texts(samples: &[Sample], flats: &[FlatEpisode], style: &dyn PromptStyle) -> Vec<String> {
    let mut texts: Vec<String> = samples
        .iter()
        .flat_map(|sample| [style.prompt(&sample.query), style.encode_reply(sample.role(), &sample.reply)])
        .collect();
    for episode in flats {
        let history = episode.history(episode.steps.len());
        let changed = episode.steps.iter().filter_map(|step| step.context.as_deref());
        for (nth, context) in std::iter::once(episode.context.as_str()).chain(changed).enumerate() {
            let history = if nth == 0 { history.clone() } else { Vec::new() };
            texts.push(style.prompt(&Query::Flat {
                task: episode.task.clone(),
                context: context.to_owned(),
                history,
            }));
        }
    }
    texts
}
