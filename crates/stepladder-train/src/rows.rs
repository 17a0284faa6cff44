//! Conversion of episodes to the rows that each agent is trained on.

use anyhow::Result;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use stepladder_agent::{AgentKind, AgentSpec, ReplayError};
use stepladder_core::label::Expert;
use stepladder_core::trace::Episode;
use stepladder_core::{Role, seed};
use stepladder_data::relabel::relabel;
use stepladder_data::rows::{grows, learn_prompts, merge, pack, row, temper};
use stepladder_data::samples;
use stepladder_data::{PromptEncoder, Row, Sample};

use crate::config::AgentConfig;

/// Returns the samples of a demonstration for this agent.
pub(crate) fn samples(agent: &AgentConfig, episode: &Episode) -> Result<Vec<Sample>, ReplayError> {
    samples::samples(agent.spec(), &agent.progress.demonstration(episode))
}

/// Rows of an agent with their number of samples.
pub(crate) struct AgentRows {
    /// Merged and weighted rows.
    pub(crate) rows: Vec<Row>,
    /// Number of rows before merging.
    pub(crate) samples: usize,
}

/// Converter of episodes to rows.
pub(crate) struct Rows<'a> {
    pub(crate) agent: &'a AgentConfig,
    pub(crate) encoder: &'a dyn PromptEncoder,
    /// Exponent of the multiplicity of identical samples.
    pub(crate) duplicates: f64,
    /// Share of the rows whose prompts are learnt too.
    pub(crate) prompt_loss: f64,
    /// Seed that draws these rows.
    pub(crate) seed: u64,
}

impl Rows<'_> {
    /// Returns the rows of the demonstrations and of the expert's replies to the prompts in `played`.
    ///
    /// # Errors
    /// For an episode that the agent cannot have recorded, and a prompt that cannot be rendered.
    pub(crate) fn collect(
        &self,
        demonstrations: &[Episode],
        played: &[Episode],
        expert: &dyn Expert,
    ) -> Result<AgentRows> {
        let demonstrated = each(demonstrations, |episode| self.demonstrated(episode))?;
        let labelled = each(played, |episode| self.relabelled(episode, expert))?;
        let flat = each(demonstrations, |episode| self.also_flat(episode))?;
        let all: Vec<Row> = [demonstrated, labelled, flat].into_iter().flatten().flatten().collect();
        let samples = all.len();
        let mut rows = merge(all);
        temper(&mut rows, self.duplicates);
        learn_prompts(&mut rows, self.prompt_loss, self.seed);
        Ok(AgentRows { rows, samples })
    }

    /// Returns the context window that the longest demonstration needs without truncation.
    ///
    /// Step-level prompts must leave space for the generation budget, as in rollouts.
    ///
    /// # Errors
    /// For an episode that the agent cannot have recorded, and a prompt that cannot be rendered.
    pub(crate) fn window(&self, demonstrations: &[Episode]) -> Result<usize> {
        let needs = |row: &Row| match row.replies.as_slice() {
            [span] if row.role != Role::Flat => {
                row.ids.len().max((span.start + self.encoder.budget(row.role)) as usize)
            }
            _ => row.ids.len(),
        };
        let of = |episode: &Episode| {
            let rows = [self.demonstrated(episode)?, self.also_flat(episode)?];
            Ok(rows.iter().flatten().map(needs).max().unwrap_or(0))
        };
        Ok(each(demonstrations, of)?.into_iter().max().unwrap_or(0))
    }

    fn row(&self, sample: &Sample) -> Result<Row> {
        Ok(row(sample, self.encoder)?)
    }

    /// Returns the rows of a demonstration.
    fn demonstrated(&self, episode: &Episode) -> Result<Vec<Row>> {
        let samples = samples(self.agent, episode)?;
        if grows(self.agent.spec(), episode)
            && let Some(row) = pack(&samples, self.encoder)?
        {
            return Ok(vec![row]);
        }
        samples.iter().map(|sample| self.row(sample)).collect()
    }

    /// Returns the rows of the expert's labels for a policy's episode. Replies on which policy and expert agree are packed into
    /// one row where the agent's prompts grow; every other reply ends its own row.
    fn relabelled(&self, episode: &Episode, expert: &dyn Expert) -> Result<Vec<Row>> {
        let labels = relabel(self.agent.spec(), episode, expert)?;
        let grows = grows(self.agent.spec(), episode);
        let (agreed, others): (Vec<_>, Vec<_>) = labels.into_iter().partition(|label| grows && label.agreed);
        let agreed: Vec<Sample> = agreed.into_iter().map(|label| label.sample).collect();
        let packed = pack(&agreed, self.encoder)?;
        let apart = if packed.is_none() { agreed.as_slice() } else { &[] };
        let others = apart.iter().chain(others.iter().map(|label| &label.sample));
        packed.map(Ok).into_iter().chain(others.map(|sample| self.row(sample))).collect()
    }

    /// Returns the rows of the same steps for a flat agent, which a hierarchical agent may also be trained on.
    fn also_flat(&self, episode: &Episode) -> Result<Vec<Row>> {
        // Steps towards given sub-goals do not pursue the task.
        let written = episode.is_planned();
        let Some(window) = self.agent.also_flat.filter(|_| written) else { return Ok(Vec::new()) };
        let spec = AgentSpec { history: Some(window), ..AgentKind::Flat.into() };
        samples::samples(spec, episode)?.iter().map(|sample| self.row(sample)).collect()
    }
}

/// Applies `of` to all episodes in parallel; returns the results in their order.
fn each<T: Send>(episodes: &[Episode], of: impl Fn(&Episode) -> Result<T> + Sync + Send) -> Result<Vec<T>> {
    episodes.par_iter().map(of).collect()
}

/// Returns the rows of one role.
pub(crate) fn of_role(rows: &[Row], role: Role) -> Vec<Row> {
    rows.iter().filter(|row| row.role == role).cloned().collect()
}

/// Identity of an agent's training data, as stored in checkpoints.
pub(crate) struct DataId<'a> {
    encoder: &'a dyn PromptEncoder,
    rows: &'a [Row],
    /// Fingerprint of the initial policy.
    source: Option<String>,
    current: String,
}

impl<'a> DataId<'a> {
    pub(crate) fn new(encoder: &'a dyn PromptEncoder, rows: &'a [Row], source: Option<String>) -> Self {
        let mut id = Self { encoder, rows, source, current: String::new() };
        id.current = id.with_source(fingerprint(encoder, rows));
        id
    }

    fn with_source(&self, rows: String) -> String {
        match &self.source {
            None => rows,
            Some(source) => format!("{rows}+{source}"),
        }
    }

    /// Returns the identity for a new checkpoint; it changes with every word and every row.
    pub(crate) fn current(&self) -> &str {
        &self.current
    }

    /// Whether a checkpoint with this identity was trained on the same data.
    pub(crate) fn matches(&self, stored: &str) -> bool {
        let first = fingerprint_v1(self.encoder, self.rows).map(|rows| self.with_source(rows));
        stored == self.current || first.as_deref() == Some(stored)
    }
}

/// Hashes the encoder and all rows. Lists are preceded by their lengths, so that different data never give the same bytes.
fn fingerprint(encoder: &dyn PromptEncoder, rows: &[Row]) -> String {
    let mut hash = Sha256::new();
    let text = |hash: &mut Sha256, text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    hash.update(encoder.contents());
    for row in rows {
        text(&mut hash, row.role.name());
        hash.update((row.ids.len() as u64).to_le_bytes());
        row.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        hash.update((row.replies.len() as u64).to_le_bytes());
        row.replies.iter().flat_map(|span| [span.start, span.len]).for_each(|n| hash.update(n.to_le_bytes()));
        if !row.prompts.is_empty() {
            hash.update((row.prompts.len() as u64).to_le_bytes());
            row.prompts
                .iter()
                .flat_map(|span| [span.start, span.len])
                .for_each(|n| hash.update(n.to_le_bytes()));
        }
        hash.update(row.weight.to_le_bytes());
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Computes [`fingerprint`] in the form of older run directories, which hashed formatted text.
fn fingerprint_v1(encoder: &dyn PromptEncoder, rows: &[Row]) -> Option<String> {
    let mut text = encoder.contents_v1()?;
    for row in rows {
        text.push_str(&format!("{:?}{:?}{}", row.ids, row.replies, row.weight));
    }
    Some(format!("{:016x}", seed::fingerprint(&text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use stepladder_core::codec::Plain;
    use stepladder_data::CompactWords;
    use stepladder_data::rows::Span;

    fn words(words: &[&str]) -> CompactWords {
        CompactWords::new(Arc::new(Plain), stepladder_data::Budgets::default())
            .with_words(words.iter().copied())
    }

    #[test]
    fn data_are_told_apart_by_every_word_and_number() {
        let encoder = words(&["go", "look"]);
        let row = Row {
            role: Role::Flat,
            ids: vec![3, 4, 5],
            replies: vec![Span { start: 1, len: 2 }],
            prompts: Vec::new(),
            weight: 2.0,
        };
        let spans = |pairs: &[(u32, u32)]| pairs.iter().map(|&(start, len)| Span { start, len }).collect();
        let others = [
            Row { role: Role::Executor, ..row.clone() },
            Row { ids: vec![3, 4, 6], ..row.clone() },
            Row { ids: vec![3, 4], ..row.clone() },
            Row { replies: spans(&[(1, 1)]), ..row.clone() },
            Row { replies: spans(&[(1, 1), (2, 1)]), ..row.clone() },
            Row { prompts: spans(&[(1, 1)]), ..row.clone() },
            Row { prompts: spans(&[(1, 1), (2, 1)]), ..row.clone() },
            Row { weight: 1.0, ..row.clone() },
        ];
        let of_one = |row: &Row| fingerprint(&encoder, std::slice::from_ref(row));
        let other_words = words(&["go", "loo"]);
        let mut seen = vec![
            of_one(&row),
            fingerprint(&encoder, &[]),
            fingerprint(&encoder, &[row.clone(), row.clone()]),
            fingerprint(&other_words, std::slice::from_ref(&row)),
        ];
        seen.extend(others.iter().map(of_one));
        let distinct: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "{seen:?}");
        assert_eq!(of_one(&row), seen[0]);
    }

    #[test]
    fn both_forms_of_the_fingerprint_are_accepted() {
        let encoder = words(&["go"]);
        let replies = vec![Span { start: 1, len: 2 }, Span { start: 4, len: 1 }];
        let rows = [Row { role: Role::Flat, ids: vec![3, 4, 5], replies, prompts: Vec::new(), weight: 1.5 }];
        // As release 0.1.0 computed it.
        let text =
            encoder.words().join(" ") + "[3, 4, 5][Span { start: 1, len: 2 }, Span { start: 4, len: 1 }]1.5";
        let old = format!("{:016x}", seed::fingerprint(&text));
        let alone = DataId::new(&encoder, &rows, None);
        assert!(alone.matches(&old) && alone.matches(alone.current()) && alone.current() != old);
        assert!(!alone.matches("0000000000000000") && !alone.matches(&format!("{old}+feed")));
        let started = DataId::new(&encoder, &rows, Some("feed".to_owned()));
        assert!(started.matches(&format!("{old}+feed")) && started.current().ends_with("+feed"));
        assert!(!started.matches(&old) && !started.matches(&format!("{old}+beef")));
        assert!(!DataId::new(&encoder, &[], None).matches(&old));
    }
}
