//! From episodes to the token rows that each agent learns from.

use std::collections::{BTreeSet, HashSet};

use rand::seq::SliceRandom;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use stepladder_agent::AgentKind;
use stepladder_agent::himac::HISTORY;
use stepladder_core::label::Expert;
use stepladder_core::style::PromptStyle;
use stepladder_core::trace::Episode;
use stepladder_core::{Role, seed};
use stepladder_data::ablate::{with_progress, without_planner};
use stepladder_data::himac;
use stepladder_data::relabel::{relabel, relabel_flat};
use stepladder_data::rows::{flat_rows, merge, row, temper, texts, windowed};
use stepladder_data::streams::{FlatEpisode, flat, hierarchical};
use stepladder_data::{Row, Sample, WordTokenizer};
use stepladder_rollout::generator::budget;

use crate::config::{AgentConfig, Config};

/// The words of all demonstrations, as every agent of the run sees them, and of other episodes that they may meet.
pub(crate) fn vocabulary(
    config: &Config,
    demonstrations: &[Episode],
    others: &[Episode],
    style: &dyn PromptStyle,
) -> WordTokenizer {
    // Agents that read and write alike have the same words.
    let mut agents: Vec<&AgentConfig> = Vec::new();
    for agent in config.agents.values().filter(|agent| agent.kind != AgentKind::Flat) {
        if !agents.iter().any(|known| known.reads_like(agent)) {
            agents.push(agent);
        }
    }
    let said = |episode: &Episode| -> HashSet<String> {
        let alone = std::slice::from_ref(episode);
        let hierarchies = agents.iter().flat_map(|agent| texts(&samples(agent, alone), &[], style));
        let flats = texts(&[], &[flat(episode)], style);
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        hierarchies.chain(flats).flat_map(words).collect()
    };
    let words: BTreeSet<String> = demonstrations.par_iter().chain(others).map(said).flatten_iter().collect();
    WordTokenizer::train(&style.markers(), words.iter().map(String::as_str))
}

/// The samples of a hierarchical agent, less what it lacks.
fn samples(agent: &AgentConfig, episodes: &[Episode]) -> Vec<Sample> {
    if agent.kind == AgentKind::Himac {
        let history = agent.history.unwrap_or(HISTORY);
        return episodes
            .iter()
            .flat_map(|episode| himac::demonstrated(episode, history, agent.sub_done))
            .collect();
    }
    let seen = |episode: &Episode| {
        let episode = with_progress(episode.clone(), agent.progress);
        if agent.planner { episode } else { without_planner(episode) }
    };
    episodes.iter().flat_map(|episode| hierarchical(&seen(episode))).collect()
}

/// What an agent learns from, and how much that is.
pub(crate) struct AgentRows {
    /// Merged and weighted.
    pub(crate) rows: Vec<Row>,
    /// Samples, or flat episodes, before merging.
    pub(crate) samples: usize,
}

/// Turns samples and episodes into rows.
pub(crate) struct Rows<'a> {
    pub(crate) agent: &'a AgentConfig,
    pub(crate) style: &'a dyn PromptStyle,
    pub(crate) tokenizer: &'a WordTokenizer,
    /// Exponent of the multiplicity of identical samples.
    pub(crate) duplicates: f64,
}

impl Rows<'_> {
    /// Rows of the expert's demonstrations, and of the expert's replies to what a learner met in `played`.
    pub(crate) fn collect(
        &self,
        demonstrations: &[Episode],
        played: &[Episode],
        expert: &dyn Expert,
    ) -> AgentRows {
        let (rows, samples) = match self.agent.kind {
            AgentKind::StepHrl | AgentKind::Himac => {
                let mut samples = samples(self.agent, demonstrations);
                samples.extend(played.iter().flat_map(|episode| relabel(episode, expert)));
                let mut rows: Vec<Row> =
                    samples.par_iter().map(|sample| row(sample, self.style, self.tokenizer)).collect();
                rows.par_extend(demonstrations.par_iter().flat_map_iter(|episode| self.also_flat(episode)));
                let count = rows.len();
                (rows, count)
            }
            AgentKind::Flat => {
                let mut flats: Vec<FlatEpisode> = demonstrations.iter().map(flat).collect();
                flats.extend(played.iter().flat_map(|episode| relabel_flat(episode, expert)));
                let rows = flats.par_iter().flat_map_iter(|episode| self.flat(episode)).collect();
                (rows, flats.len())
            }
        };
        let mut rows = merge(rows);
        temper(&mut rows, self.duplicates);
        AgentRows { rows, samples }
    }

    /// The window that the longest demonstration needs, so that nothing of it is forgotten while the agent learns.
    ///
    /// Step-level prompts must leave room for any reply, as when the agent plays.
    pub(crate) fn window(&self, demonstrations: &[Episode]) -> usize {
        let needs = |row: Row| match row.replies.as_slice() {
            [span] if row.role != Role::Flat => row.ids.len().max((span.start + budget(row.role)) as usize),
            _ => row.ids.len(),
        };
        let of = |episode: &Episode| -> Vec<Row> {
            if self.agent.kind == AgentKind::Flat {
                return self.flat(&flat(episode));
            }
            let samples = samples(self.agent, std::slice::from_ref(episode));
            let steps = samples.iter().map(|sample| row(sample, self.style, self.tokenizer));
            steps.chain(self.also_flat(episode)).collect()
        };
        demonstrations.par_iter().flat_map_iter(of).map(needs).max().unwrap_or(0)
    }

    /// What a hierarchical agent learns from the same steps told flat.
    fn also_flat(&self, episode: &Episode) -> Vec<Row> {
        let told = |window| windowed(&flat(episode), window, self.style, self.tokenizer);
        self.agent.also_flat.map(told).unwrap_or_default()
    }

    fn flat(&self, episode: &FlatEpisode) -> Vec<Row> {
        match self.agent.history {
            None => flat_rows(episode, self.style, self.tokenizer),
            Some(window) => windowed(episode, window, self.style, self.tokenizer),
        }
    }
}

/// `count` of the demonstrations, drawn at random; all of them for 0.
pub(crate) fn draw(demonstrations: &[Episode], count: usize, seed: u64) -> Vec<&Episode> {
    let mut drawn: Vec<&Episode> = demonstrations.iter().collect();
    if count > 0 {
        drawn.shuffle(&mut seed::stream(seed, "offline_ac demonstrations", &[]));
        drawn.truncate(count);
    }
    drawn
}

/// The rows of one role.
pub(crate) fn of_role(rows: &[Row], role: Role) -> Vec<Row> {
    rows.iter().filter(|row| row.role == role).cloned().collect()
}

/// Identifies in checkpoints what an agent learns from.
pub(crate) struct DataId<'a> {
    tokenizer: &'a WordTokenizer,
    rows: &'a [Row],
    /// Fingerprint of the policy that it starts from.
    source: Option<String>,
    current: String,
}

impl<'a> DataId<'a> {
    pub(crate) fn new(tokenizer: &'a WordTokenizer, rows: &'a [Row], source: Option<String>) -> Self {
        let mut id = Self { tokenizer, rows, source, current: String::new() };
        id.current = id.with_source(fingerprint(tokenizer, rows));
        id
    }

    fn with_source(&self, rows: String) -> String {
        match &self.source {
            None => rows,
            Some(source) => format!("{rows}+{source}"),
        }
    }

    /// What a new checkpoint stores; changes whenever a word or a row changes.
    pub(crate) fn current(&self) -> &str {
        &self.current
    }

    /// Whether a checkpoint with this entry was trained on the same data.
    pub(crate) fn matches(&self, stored: &str) -> bool {
        stored == self.current || stored == self.with_source(fingerprint_v1(self.tokenizer, self.rows))
    }
}

/// Hash of all words and rows. Lists are preceded by their lengths, so that different data never give the same bytes.
fn fingerprint(tokenizer: &WordTokenizer, rows: &[Row]) -> String {
    let mut hash = Sha256::new();
    let text = |hash: &mut Sha256, text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    hash.update((tokenizer.words().len() as u64).to_le_bytes());
    for word in tokenizer.words() {
        text(&mut hash, word);
    }
    for row in rows {
        text(&mut hash, row.role.name());
        hash.update((row.ids.len() as u64).to_le_bytes());
        row.ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
        hash.update((row.replies.len() as u64).to_le_bytes());
        row.replies.iter().flat_map(|span| [span.start, span.len]).for_each(|n| hash.update(n.to_le_bytes()));
        hash.update(row.weight.to_le_bytes());
    }
    hash.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The form of [`fingerprint`] in run directories that were begun before it hashed numbers.
fn fingerprint_v1(tokenizer: &WordTokenizer, rows: &[Row]) -> String {
    let mut text = tokenizer.words().join(" ");
    for row in rows {
        text.push_str(&format!("{:?}{:?}{}", row.ids, row.replies, row.weight));
    }
    format!("{:016x}", seed::fingerprint(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_data::rows::Span;

    #[test]
    fn data_are_told_apart_by_every_word_and_number() {
        let tokenizer = WordTokenizer::train(&[], ["go", "look"]);
        let row = Row {
            role: Role::Flat,
            ids: vec![3, 4, 5],
            replies: vec![Span { start: 1, len: 2 }],
            weight: 2.0,
        };
        let spans = |pairs: &[(u32, u32)]| pairs.iter().map(|&(start, len)| Span { start, len }).collect();
        let others = [
            Row { role: Role::Executor, ..row.clone() },
            Row { ids: vec![3, 4, 6], ..row.clone() },
            Row { ids: vec![3, 4], ..row.clone() },
            Row { replies: spans(&[(1, 1)]), ..row.clone() },
            Row { replies: spans(&[(1, 1), (2, 1)]), ..row.clone() },
            Row { weight: 1.0, ..row.clone() },
        ];
        let of_one = |row: &Row| fingerprint(&tokenizer, std::slice::from_ref(row));
        let other_words = WordTokenizer::train(&[], ["go", "loo"]);
        let mut seen = vec![
            of_one(&row),
            fingerprint(&tokenizer, &[]),
            fingerprint(&tokenizer, &[row.clone(), row.clone()]),
            fingerprint(&other_words, std::slice::from_ref(&row)),
        ];
        seen.extend(others.iter().map(of_one));
        let distinct: BTreeSet<&String> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "{seen:?}");
        assert_eq!(of_one(&row), seen[0]);
    }

    #[test]
    fn both_forms_of_the_fingerprint_are_accepted() {
        let tokenizer = WordTokenizer::train(&[], ["go"]);
        let replies = vec![Span { start: 1, len: 2 }, Span { start: 4, len: 1 }];
        let rows = [Row { role: Role::Flat, ids: vec![3, 4, 5], replies, weight: 1.5 }];
        // As release 0.1.0 computed it.
        let text = tokenizer.words().join(" ")
            + "[3, 4, 5][Span { start: 1, len: 2 }, Span { start: 4, len: 1 }]1.5";
        let old = format!("{:016x}", seed::fingerprint(&text));
        let alone = DataId::new(&tokenizer, &rows, None);
        assert!(alone.matches(&old) && alone.matches(alone.current()) && alone.current() != old);
        assert!(!alone.matches("0000000000000000") && !alone.matches(&format!("{old}+feed")));
        let started = DataId::new(&tokenizer, &rows, Some("feed".to_owned()));
        assert!(started.matches(&format!("{old}+feed")) && started.current().ends_with("+feed"));
        assert!(!started.matches(&old) && !started.matches(&format!("{old}+beef")));
        assert!(!DataId::new(&tokenizer, &[], None).matches(&old));
    }

    #[test]
    fn demonstrations_are_drawn_once_each_from_all_of_them() {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        let episodes: Vec<Episode> = (0..50).map(|seed| Episode { seed, ..episode.clone() }).collect();
        let seeds = |count, seed| draw(&episodes, count, seed).iter().map(|e| e.seed).collect::<Vec<_>>();
        assert_eq!(seeds(0, 1), (0..50).collect::<Vec<_>>());
        assert_eq!(seeds(10, 1), seeds(10, 1));
        assert_ne!(seeds(10, 1), seeds(10, 2));
        assert_eq!(seeds(10, 1).into_iter().collect::<BTreeSet<_>>().len(), 10);
        assert!(seeds(10, 1).iter().any(|seed| *seed >= 25), "the copies at the end are drawn too");
        assert_eq!(seeds(99, 1).len(), 50);
    }
}
