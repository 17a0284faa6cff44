//! From episodes to the token rows that each agent learns from.

use std::collections::{BTreeSet, HashSet};

use rand::seq::SliceRandom;
use rayon::prelude::*;
use stepladder_agent::AgentKind;
use stepladder_agent::generator::budget;
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

/// Changes whenever a word or a row changes.
pub(crate) fn fingerprint(tokenizer: &WordTokenizer, rows: &[Row]) -> String {
    let mut text = tokenizer.words().join(" ");
    for row in rows {
        text.push_str(&format!("{:?}{:?}{}", row.ids, row.replies, row.weight));
    }
    format!("{:016x}", seed::fingerprint(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demonstrations_are_drawn_once_each_from_all_of_them() {
        let line = include_str!("../../../stepladder-core/tests/trace-v1.jsonl");
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
