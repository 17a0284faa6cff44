//! Token rows of offline RL: prompt, reply, rewards and next prompt of a transition.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rand::seq::SliceRandom;
use rustc_hash::FxHashMap;
use stepladder_agent::AgentSpec;
use stepladder_core::seed::stream;
use stepladder_core::trace::Episode;
use stepladder_core::{Role, TaskKey};

use crate::ablate::ProgressText;
use crate::encoder::{EncoderError, PromptEncoder};
use crate::labels::{ActorLevels, Labels, Noise, Returns};
use crate::level::{Level, PerLevel};
use crate::rows::{Row, Span, reply_row};
use crate::transitions::{Streams, Transition, TransitionError, transitions};

/// One sample of offline RL.
#[derive(Debug, Clone, PartialEq)]
pub struct OfflineRow {
    /// Prompt and reply as one sequence with one reply; role and weight.
    pub row: Row,
    /// Rewards of the steps that are discounted separately: one, or the n_k of a semi-Markov decision, or those of all later
    /// decisions too (see [`rows`]). The algorithm applies the discount.
    pub rewards: Vec<f64>,
    /// Whether the target is not bootstrapped.
    pub done: bool,
    /// Token ids of the role's next prompt, which the target bootstraps from; empty if `done`.
    pub next: Vec<u32>,
    /// Whether the policy learns from the row; the critics do in any case.
    pub imitated: bool,
    /// Number of end tokens of the reply: 1, or 0 for a reply that was cut.
    pub end: u32,
    /// Advantage of an oracle: outcome of the episode (1 solved, 0 not) minus the mean outcome of the level's rows; 0 where no
    /// oracle was asked for ([`DatasetConfig::oracle`]).
    pub oracle: f32,
}

impl OfflineRow {
    /// A row that the policy learns from too, without end tokens and oracle.
    pub fn new(row: Row, rewards: Vec<f64>, next: Option<Vec<u32>>) -> Self {
        let done = next.is_none();
        Self { row, rewards, done, next: next.unwrap_or_default(), imitated: true, end: 0, oracle: 0.0 }
    }

    /// Whether the row has a reply; rows without one are left out of every mean (docs/spec/algorithms.md 7).
    pub fn counts(&self) -> bool {
        self.row.reply_tokens() > 0
    }

    /// Returns the length of its longer sequence, which must fit into the model's context window.
    pub fn longest(&self) -> usize {
        self.row.ids.len().max(self.next.len())
    }
}

/// Rules by which transitions become rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Whether each step of a decision is discounted separately.
    pub per_step: bool,
    /// Returns that Q is fitted to.
    pub returns: Returns,
    /// Who learns from noise.
    pub noise: Noise,
    /// Levels that the policy learns from.
    pub actor_levels: ActorLevels,
}

/// Encodes the transitions of one episode as rows: planner, executor, progress.
///
/// With `per_step`, a decision of n steps keeps the reward of each step, so that the discount applies n times. Without, it is
/// one step with the sum of the rewards, as in the released code (docs/spec/algorithms.md 3.4).
///
/// With [`Returns::MonteCarlo`] a row has the rewards of all later decisions of its stream too, up to the one that ends the return,
/// and nothing is bootstrapped: Σᵢ γⁱ rᵢ is then its return-to-go. A return that would go on behind the episode ends with it.
///
/// # Errors
/// Those of [`PromptEncoder::render`].
pub fn rows(
    streams: &Streams,
    encoder: &dyn PromptEncoder,
    rules: Rules,
) -> Result<Vec<OfflineRow>, EncoderError> {
    let of = |stream| rows_of(stream, encoder, rules);
    Ok([of(&streams.planner)?, of(&streams.executor)?, of(&streams.progress)?].concat())
}

fn rows_of(
    stream: &[Transition],
    encoder: &dyn PromptEncoder,
    rules: Rules,
) -> Result<Vec<OfflineRow>, EncoderError> {
    let mut rows: Vec<OfflineRow> =
        stream.iter().map(|transition| row(transition, encoder, rules)).collect::<Result<_, _>>()?;
    if rules.returns == Returns::MonteCarlo {
        let mut later: Vec<f64> = Vec::new();
        for row in rows.iter_mut().rev() {
            if !row.done {
                row.rewards.extend(&later);
            }
            later.clone_from(&row.rewards);
            (row.done, row.next) = (true, Vec::new());
            // Nothing is discounted behind the last reward, and equal returns are to be equal rows.
            let len = row.rewards.iter().rposition(|reward| *reward != 0.0).map_or(1, |last| last + 1);
            row.rewards.truncate(len);
        }
    }
    Ok(rows)
}

fn row(
    transition: &Transition,
    encoder: &dyn PromptEncoder,
    rules: Rules,
) -> Result<OfflineRow, EncoderError> {
    let Transition { query, reply, cut, rewards, next, substituted } = transition;
    let row = reply_row(query, reply, *cut, encoder)?;
    Ok(OfflineRow {
        // As `PromptEncoder::reply` writes it.
        end: u32::from(!*cut || reply.is_empty()),
        imitated: !(*substituted && rules.noise == Noise::Critics) && rules.actor_levels.includes(row.role),
        rewards: if rules.per_step { rewards.clone() } else { vec![transition.reward()] },
        done: transition.done(),
        next: next.as_ref().map(|query| encoder.prompt(query)).transpose()?.unwrap_or_default(),
        oracle: 0.0,
        row,
    })
}

/// Hyperparameters of a dataset of offline RL.
#[derive(Debug, Clone, Copy)]
pub struct DatasetConfig<'a> {
    /// Agent whose roles learn.
    pub agent: AgentSpec,
    /// Content of the demonstrations' progress texts.
    pub progress: ProgressText,
    /// Rules of the labels.
    pub labels: Labels<'a>,
    /// Rules of the rows.
    pub rules: Rules,
    /// Exponent of n in the weight of a prompt with a reply that occurs n times ([`temper`]).
    pub duplicates: f64,
    /// Whether rows have the advantage of an oracle.
    pub oracle: bool,
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
pub fn dataset<'e>(
    demonstrations: impl IntoIterator<Item = &'e Episode>,
    collected: impl IntoIterator<Item = &'e Episode>,
    encoder: &dyn PromptEncoder,
    config: &DatasetConfig<'_>,
) -> Result<Dataset, TransitionError> {
    let progress = config.progress;
    let demonstrations = demonstrations.into_iter().map(|episode| progress.demonstration(episode));
    let mut all: Vec<OfflineRow> = Vec::new();
    for episode in demonstrations.chain(collected.into_iter().map(Cow::Borrowed)) {
        let mut of_episode = of_episode(&episode, encoder, config)?;
        if config.oracle {
            let outcome = f32::from(u8::from(episode.won));
            of_episode.iter_mut().for_each(|row| row.oracle = outcome);
        }
        all.extend(of_episode);
    }
    let transitions = all.len();
    all.retain(|row| row.longest() <= config.context);
    let too_long = transitions - all.len();
    let mut rows = merge(all);
    temper(&mut rows, config.duplicates);
    if config.oracle {
        centre(&mut rows);
    }
    Ok(Dataset { rows, transitions, too_long })
}

fn of_episode(
    episode: &Episode,
    encoder: &dyn PromptEncoder,
    config: &DatasetConfig<'_>,
) -> Result<Vec<OfflineRow>, TransitionError> {
    Ok(rows(&transitions(config.agent, episode, config.labels)?, encoder, config.rules)?)
}

/// Rows of one held-out episode, for the quality of critics.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// All rows of the episode that fit the context window, neither merged nor tempered.
    pub rows: Vec<OfflineRow>,
    /// Whether the task was solved.
    pub solved: bool,
}

/// Returns the rows of held-out episodes.
///
/// # Errors
/// As [`dataset`].
pub fn held_out<'e>(
    episodes: impl IntoIterator<Item = &'e Episode>,
    encoder: &dyn PromptEncoder,
    config: &DatasetConfig<'_>,
) -> Result<Vec<HeldOut>, TransitionError> {
    let of = |episode: &Episode| {
        let mut rows = of_episode(episode, encoder, config)?;
        rows.retain(|row| row.counts() && row.longest() <= config.context);
        Ok(HeldOut { rows, solved: episode.won })
    };
    episodes.into_iter().map(of).collect()
}

/// Divides episodes into those to learn from and held-out ones: all episodes of tasks drawn at random until at least the fraction
/// `part` of the episodes is held out. Both lists keep the order. At least one task remains to learn from.
pub fn divide(episodes: &[Episode], part: f64, seed: u64) -> (Vec<&Episode>, Vec<&Episode>) {
    let mut tasks: Vec<&TaskKey> = episodes.iter().map(|episode| &episode.task).collect();
    tasks.sort_unstable();
    let wanted = (part * episodes.len() as f64).ceil() as usize;
    let counts = tasks.chunk_by(|a, b| a == b).map(|same| (same[0], same.len()));
    let mut counts: Vec<(&TaskKey, usize)> = counts.collect();
    counts.shuffle(&mut stream(seed, "offline_ac held out", &[]));
    counts.pop();
    let mut held = BTreeSet::new();
    let mut taken = 0;
    for (task, count) in counts {
        if taken >= wanted {
            break;
        }
        taken += count;
        held.insert(task);
    }
    episodes.iter().partition(|episode| !held.contains(&episode.task))
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
type Key = (Role, Vec<u32>, Vec<Span>, Vec<u64>, bool, Vec<u32>, bool, u32);

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
            row.imitated,
            row.oracle.to_bits(),
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

/// A prompt with a reply: role, ids, spans, whether the policy learns from it.
type Said<'a> = (Role, &'a [u32], &'a [Span], bool);

/// Multiplies weights so that a prompt with a reply that occurs n times weighs n^power in all, as in behaviour cloning
/// ([`rows::temper`](crate::rows::temper)). What followed the reply keeps its proportions, since the critics learn its mean:
///
/// ```text
/// cᵢ ← cᵢ n^(power − 1),   n = Σ c over the rows with the same prompt and reply
/// ```
/// Rows that the policy learns from and rows that only critics learn from are counted apart.
pub fn temper(rows: &mut [OfflineRow], power: f64) {
    if power == 1.0 {
        return;
    }
    let mut groups: FxHashMap<Said<'_>, (f64, Vec<usize>)> = FxHashMap::default();
    for (index, row) in rows.iter().enumerate() {
        let key = (row.row.role, row.row.ids.as_slice(), row.row.replies.as_slice(), row.imitated);
        let group = groups.entry(key).or_default();
        group.0 += f64::from(row.row.weight);
        group.1.push(index);
    }
    let factors: Vec<(f64, Vec<usize>)> = groups.into_values().collect();
    for (count, members) in factors {
        for index in members {
            let weight = &mut rows[index].row.weight;
            *weight = (f64::from(*weight) * count.powf(power - 1.0)) as f32;
        }
    }
}

/// Subtracts the mean outcome of each level's rows that the policy learns from.
fn centre(rows: &mut [OfflineRow]) {
    let mut sums = PerLevel::<(f64, f64)>::default();
    for row in rows.iter().filter(|row| row.imitated) {
        if let Some(level) = Level::of(row.row.role) {
            sums[level].0 += f64::from(row.row.weight) * f64::from(row.oracle);
            sums[level].1 += f64::from(row.row.weight);
        }
    }
    for row in rows {
        if let Some(level) = Level::of(row.row.role) {
            let (sum, count) = sums[level];
            row.oracle -= if count > 0.0 { (sum / count) as f32 } else { 0.0 };
        }
    }
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

    #[test]
    fn whole_tasks_are_held_out() {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        let episode = stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap();
        // Two episodes of each of 20 tasks.
        let of = |number: u64| {
            let task = TaskKey::new("toy", "train", (number % 20).to_string());
            Episode { seed: number, task, ..episode.clone() }
        };
        let episodes: Vec<Episode> = (0..40).map(of).collect();
        let seeds = |episodes: Vec<&Episode>| episodes.iter().map(|e| e.seed).collect::<Vec<_>>();
        let (kept, held) = divide(&episodes, 0.1, 1);
        let (kept, held) = (seeds(kept), seeds(held));
        assert_eq!((kept.len(), held.len()), (36, 4));
        assert!(held.iter().all(|seed| held.contains(&((seed + 20) % 40))), "{held:?}");
        assert!(kept.is_sorted() && held.is_sorted());
        assert_eq!(seeds(divide(&episodes, 0.1, 1).1), held);
        assert_ne!(seeds(divide(&episodes, 0.1, 2).1), held);
        assert_eq!(divide(&episodes, 0.0, 1).1.len(), 0);
        assert_eq!(divide(&episodes, 0.11, 1).1.len(), 6);
        assert_eq!(divide(&episodes, 1.0, 1).0.len(), 2, "something remains to learn from");
        assert_eq!(divide(&episodes[..1], 0.5, 1).0.len(), 1);
    }
}
