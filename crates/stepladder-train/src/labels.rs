//! Checks of demonstrations as training data: lengths of subtasks, words of their names, prompts with contradictory replies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;
use stepladder_agent::{AgentKind, ReplayError};
use stepladder_core::trace::{Episode, Subtask};
use stepladder_core::{Codec, Role};
use stepladder_data::Compact;
use stepladder_data::samples::samples;

/// Statistics of the labels in demonstrations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Labels {
    /// Number of subtasks in all episodes.
    pub subtasks: usize,
    /// Median number of actions per subtask.
    pub median_actions: usize,
    /// Fraction of subtasks whose name shares a word with one of their actions, an observation, or the room; ignores verbs,
    /// function words and plurals.
    pub named: f64,
    /// Median number of words per progress text.
    pub progress_words: usize,
    /// Number of samples of all roles.
    pub samples: usize,
    /// Number of distinct prompts, as a word-level model reads them.
    pub prompts: usize,
    /// Fraction of the distinct prompts with more than one reply.
    pub contradictory: f64,
    /// Number of steps that lack a progress text, except those that end an episode.
    pub unlabelled: usize,
}

/// Words without information about the content of a subtask.
const SMALL: [&str; 24] = [
    "the", "a", "an", "in", "on", "to", "of", "it", "and", "with", "from", "until", "at", "into", "go",
    "get", "put", "take", "look", "around", "focus", "move", "pick", "up",
];

fn words(text: &str) -> BTreeSet<String> {
    let plain = text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
    let lower = plain.map(str::to_lowercase).filter(|word| !SMALL.contains(&word.as_str()));
    lower.map(|word| word.strip_suffix('s').map(str::to_owned).unwrap_or(word)).collect()
}

fn is_named(subtask: &Subtask) -> bool {
    let name = words(&subtask.text);
    subtask.steps.iter().any(|step| {
        let room = step.context.as_deref().and_then(|context| context.lines().next()).unwrap_or_default();
        [&step.action, &step.observation, room].into_iter().any(|text| !name.is_disjoint(&words(text)))
    })
}

fn median(mut values: Vec<usize>) -> usize {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

impl Labels {
    /// Computes the statistics of each task family of the environment of `codec`.
    ///
    /// # Errors
    /// [`ReplayError`] for an episode without subtasks.
    pub fn by_family<'a>(
        episodes: &'a [Episode],
        codec: &Arc<dyn Codec>,
    ) -> Result<BTreeMap<&'a str, Self>, ReplayError> {
        let mut families: BTreeMap<&str, Vec<&Episode>> = BTreeMap::new();
        for episode in episodes {
            families.entry(&episode.start.family).or_default().push(episode);
        }
        families.into_iter().map(|(family, episodes)| Ok((family, Self::of(episodes, codec)?))).collect()
    }

    /// Computes the statistics of all episodes, which are of the environment of `codec`.
    ///
    /// # Errors
    /// [`ReplayError`] for an episode without subtasks.
    pub fn of<'a>(
        episodes: impl IntoIterator<Item = &'a Episode, IntoIter: Clone>,
        codec: &Arc<dyn Codec>,
    ) -> Result<Self, ReplayError> {
        let episodes = episodes.into_iter();
        let subtasks: Vec<&Subtask> = episodes
            .clone()
            .flat_map(|episode| &episode.subtasks)
            .filter(|subtask| !subtask.steps.is_empty())
            .collect();
        let style = Compact::new(codec.clone());
        let mut replies: HashMap<(Role, String), BTreeSet<String>> = HashMap::new();
        let mut count = 0;
        let mut progress = Vec::new();
        for episode in episodes.clone() {
            for sample in samples(AgentKind::StepHrl.into(), episode)? {
                count += 1;
                if sample.role() == Role::Progress {
                    progress.push(sample.reply.split_whitespace().count());
                }
                replies.entry((sample.role(), style.prompt(&sample.query))).or_default().insert(sample.reply);
            }
        }
        let twice = replies.values().filter(|replies| replies.len() > 1).count();
        let named = subtasks.iter().filter(|subtask| is_named(subtask)).count();
        let unlabelled = episodes
            .flat_map(Episode::steps)
            .filter(|step| step.progress.is_none() && step.end.is_none())
            .count();
        Ok(Self {
            subtasks: subtasks.len(),
            median_actions: median(subtasks.iter().map(|subtask| subtask.steps.len()).collect()),
            named: named as f64 / subtasks.len().max(1) as f64,
            progress_words: median(progress),
            samples: count,
            prompts: replies.len(),
            contradictory: twice as f64 / replies.len().max(1) as f64,
            unlabelled,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::codec::Plain;

    fn episode() -> Episode {
        let line = include_str!("../../stepladder-core/tests/trace-v1.jsonl");
        stepladder_core::trace::read(line.as_bytes()).next().unwrap().unwrap()
    }

    #[test]
    fn two_replies_to_one_prompt_are_counted() {
        let codec: Arc<dyn Codec> = Arc::new(Plain);
        let first = episode();
        let mut second = first.clone();
        let same = Labels::of(&[first.clone(), second.clone()], &codec).unwrap();
        assert_eq!((same.contradictory, same.samples % 2), (0.0, 0));
        let step = &mut second.subtasks[0].steps[0];
        (step.action, step.turn.reply) = ("something else".into(), "something else; False".into());
        let two = Labels::of(&[first, second], &codec).unwrap();
        assert!(two.contradictory > 0.0 && two.contradictory < 1.0);
    }

    #[test]
    fn a_name_without_a_word_of_its_actions_is_noticed() {
        let codec: Arc<dyn Codec> = Arc::new(Plain);
        let mut episode = episode();
        let named = Labels::of(std::slice::from_ref(&episode), &codec).unwrap().named;
        let subtask = &mut episode.subtasks[0];
        subtask.text = "xyzzy".into();
        subtask.turn.as_mut().unwrap().reply = "xyzzy".into();
        assert!(Labels::of(&[episode], &codec).unwrap().named < named);
    }
}
