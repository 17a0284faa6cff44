//! Samples grouped by prompt, for the CPU engine. A prompt is computed once for all its replies, and a reply once for all
//! samples that contain it. A prompt that begins with an earlier prompt and its reply, as those of a growing history do, is
//! computed as the rest of that reply.

use rustc_hash::FxHashMap;
use stepladder_cpu::gradient::Branch;

use super::samples::Sample;
use crate::ops::surrogate::Aggregate;
use crate::runtime::plan::shards;

/// Sample under its prompt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Index of the sample.
    pub(crate) sample: usize,
    /// Index of the reply.
    pub(crate) reply: usize,
    /// Place of the sample's reply in it.
    pub(crate) offset: usize,
    /// Log-probability of each token at sampling.
    pub(crate) old: Vec<f32>,
    /// Advantage of each token.
    pub(crate) advantage: Vec<f32>,
    /// Weight of each token in the mean over all samples.
    pub(crate) weight: f64,
}

/// Prompt with its distinct replies and their samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Node {
    pub(crate) prompt: Vec<u32>,
    pub(crate) replies: Vec<Vec<u32>>,
    pub(crate) entries: Vec<Entry>,
}

impl Node {
    /// Returns the number of tokens to compute.
    pub(crate) fn tokens(&self) -> usize {
        self.prompt.len() + self.replies.iter().map(|reply| reply.len() - 1).sum::<usize>()
    }

    pub(crate) fn branch(&self) -> Branch<'_> {
        Branch { prompt: &self.prompt, replies: self.replies.iter().map(Vec::as_slice).collect() }
    }
}

/// Groups weighted samples by prompt, in the order of first appearance. Samples that continue each other are one reply to the
/// prompt of the first. Samples without a reply are skipped.
pub(crate) fn nodes(samples: &[(&Sample, f64)]) -> Vec<Node> {
    let chains = chains(samples);
    let mut places: FxHashMap<&[u32], usize> = FxHashMap::default();
    let mut nodes: Vec<Node> = Vec::new();
    for (index, &(sample, weight)) in samples.iter().enumerate() {
        let Chain { start, ids } = chains[index];
        if sample.is_empty() {
            continue;
        }
        let (prompt, reply) = ids.split_at(start);
        let place = *places.entry(prompt).or_insert_with(|| {
            nodes.push(Node { prompt: prompt.to_vec(), ..Node::default() });
            nodes.len() - 1
        });
        let node = &mut nodes[place];
        let known = node.replies.iter().position(|other| other == reply);
        let reply = known.unwrap_or_else(|| {
            node.replies.push(reply.to_vec());
            node.replies.len() - 1
        });
        let (old, advantage) = (sample.old.clone(), sample.advantage.clone());
        let offset = sample.start - start;
        node.entries.push(Entry { sample: index, reply, offset, old, advantage, weight });
    }
    nodes
}

/// Samples each of which begins with the one before it.
#[derive(Clone, Copy)]
struct Chain<'a> {
    /// Index of the first reply token of the first sample.
    start: usize,
    /// Prompt and reply of the last sample.
    ids: &'a [u32],
}

/// Returns the chain of each sample. Of several samples that continue the same one, the first in the order of their ids joins
/// its chain. A sample that adds more tokens to its prompt than it shares begins a chain, because all tokens of a chain after the
/// first prompt are scored.
fn chains<'a>(samples: &[(&'a Sample, f64)]) -> Vec<Chain<'a>> {
    let of = |index: usize| (samples[index].0.ids.as_slice(), samples[index].0.start);
    let mut order: Vec<usize> = (0..samples.len()).collect();
    // Samples that continue a sample follow it in this order.
    order.sort_by_key(|&index| of(index));
    let mut found: Vec<Chain<'a>> = Vec::new();
    let mut chain = vec![0; samples.len()];
    // Samples that the next one may continue, each with its chain and whether another one continues it.
    let mut open: Vec<(&[u32], usize, bool)> = Vec::new();
    for place in 0..order.len() {
        let (ids, start) = of(order[place]);
        if place > 0 && of(order[place - 1]) == (ids, start) {
            chain[order[place]] = chain[order[place - 1]];
            continue;
        }
        while open.pop_if(|(earlier, ..)| !ids[..start].starts_with(earlier)).is_some() {}
        let number = match open.last_mut() {
            Some((earlier, number, continued)) if !*continued && start <= 2 * earlier.len() => {
                *continued = true;
                found[*number].ids = ids;
                *number
            }
            _ => {
                found.push(Chain { start, ids });
                found.len() - 1
            }
        };
        chain[order[place]] = number;
        open.push((ids, number, false));
    }
    chain.into_iter().map(|number| found[number]).collect()
}

/// Splits samples into passes of about `tokens` computed tokens; returns one list of passes per worker, at most `count`.
pub(crate) fn passes(
    samples: &[&Sample],
    aggregate: Aggregate,
    tokens: usize,
    count: usize,
) -> Vec<Vec<Vec<Node>>> {
    let replies: Vec<(usize, f64)> = samples.iter().map(|sample| (sample.len(), sample.count)).collect();
    let weighted: Vec<(&Sample, f64)> = samples.iter().copied().zip(aggregate.weights(&replies)).collect();
    shards(nodes(&weighted), count, Node::tokens)
        .into_iter()
        .map(|shard| {
            let mut passes: Vec<Vec<Node>> = Vec::new();
            let mut used = usize::MAX;
            for node in shard {
                let more = node.tokens();
                used = used.saturating_add(more);
                match passes.last_mut() {
                    Some(pass) if used <= tokens => pass.push(node),
                    _ => {
                        passes.push(vec![node]);
                        used = more;
                    }
                }
            }
            passes
        })
        .collect()
}

/// Concatenated tokens of all entries of a pass.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct PassTokens {
    /// Index of each token in the log-probabilities of the pass.
    pub(crate) place: Vec<usize>,
    pub(crate) old: Vec<f32>,
    pub(crate) advantage: Vec<f32>,
    pub(crate) weight: Vec<f32>,
}

/// Concatenates the tokens of a pass's entries.
pub(crate) fn pass_tokens(pass: &[Node]) -> PassTokens {
    let mut tokens = PassTokens::default();
    let mut first = 0;
    for node in pass {
        let mut starts = Vec::with_capacity(node.replies.len());
        for reply in &node.replies {
            starts.push(first);
            first += reply.len();
        }
        for entry in &node.entries {
            let start = starts[entry.reply] + entry.offset;
            tokens.place.extend(start..start + entry.old.len());
            tokens.old.extend(&entry.old);
            tokens.advantage.extend(&entry.advantage);
            tokens.weight.extend(std::iter::repeat_n(entry.weight as f32, entry.old.len()));
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use stepladder_core::Role;

    fn sample(ids: &[u32], start: usize, advantage: f32) -> Sample {
        let len = ids.len() - start;
        Sample {
            role: Role::Flat,
            ids: ids.to_vec(),
            start,
            old: (0..len).map(|token| -(token as f32)).collect(),
            advantage: vec![advantage; len],
            count: 1.0,
        }
    }

    #[test]
    fn a_prompt_and_a_reply_are_computed_once() {
        let samples = [
            sample(&[1, 2, 7, 9], 2, 1.0),
            sample(&[1, 2, 8, 9], 2, -1.0),
            sample(&[1, 3, 7, 9], 2, 0.5),
            sample(&[1, 2, 7, 9], 2, -2.0),
        ];
        let weighted: Vec<(&Sample, f64)> = samples.iter().zip([0.1, 0.2, 0.3, 0.4]).collect();
        let nodes = nodes(&weighted);
        assert_eq!(nodes.iter().map(Node::tokens).collect::<Vec<_>>(), [4, 3]);
        assert_eq!(nodes[0].replies, [[7, 9], [8, 9]]);
        let tokens = pass_tokens(&nodes);
        assert_eq!(tokens.place, [0, 1, 2, 3, 0, 1, 4, 5]);
        assert_eq!(tokens.advantage, [1.0, 1.0, -1.0, -1.0, -2.0, -2.0, 0.5, 0.5]);
        assert_eq!(tokens.weight, [0.1, 0.1, 0.2, 0.2, 0.4, 0.4, 0.3, 0.3]);
        assert_eq!(tokens.old[..2], [0.0, -1.0]);
    }

    #[test]
    fn a_growing_prompt_is_computed_once() {
        let samples = [
            sample(&[1, 2, 7, 9], 2, 1.0),
            sample(&[1, 2, 7, 9, 3, 8, 9], 5, -1.0),
            // Continues the second, and another with the same prompt.
            sample(&[1, 2, 7, 9, 3, 8, 9, 4, 6], 8, 0.5),
            sample(&[1, 2, 7, 9, 3, 8, 9, 4, 5], 8, 2.0),
            // Shares a prompt with the first.
            sample(&[1, 2, 5, 9], 2, 3.0),
            // Begins with the third, but with another word of its reply in the prompt.
            sample(&[1, 2, 7, 9, 3, 8, 9, 4, 6, 1], 8, -3.0),
            // Adds more than it shares.
            sample(&[1, 2, 5, 9, 1, 1, 1, 1, 1, 6], 9, 4.0),
        ];
        let weighted: Vec<(&Sample, f64)> = samples.iter().map(|sample| (sample, 0.5)).collect();
        let nodes = nodes(&weighted);
        let prompts: Vec<_> = nodes.iter().map(|node| (node.prompt.len(), node.replies.len())).collect();
        assert_eq!(prompts, [(2, 2), (8, 2), (9, 1)]);
        assert_eq!(nodes[0].replies, [vec![7, 9, 3, 8, 9, 4, 5], vec![5, 9]]);
        // Every token of a sample stands at its place.
        let tokens = pass_tokens(&nodes);
        let scored: Vec<u32> = nodes.iter().flat_map(|node| node.replies.concat()).collect();
        let mut from = 0;
        for entry in nodes.iter().flat_map(|node| &node.entries) {
            let ids = &samples[entry.sample].ids[samples[entry.sample].start..];
            let places = &tokens.place[from..from + ids.len()];
            assert_eq!(places.iter().map(|&place| scored[place]).collect::<Vec<_>>(), ids);
            from += ids.len();
        }
        assert_eq!(from, tokens.place.len());
    }

    #[test]
    fn passes_hold_every_sample_once_and_few_tokens() {
        let samples: Vec<Sample> =
            (0..40u32).map(|at| sample(&[at % 13, at % 5, 1, at, 2], 3, at as f32)).collect();
        let members: Vec<&Sample> = samples.iter().collect();
        for count in 1..4 {
            let found = passes(&members, Aggregate::TokenMean, 12, count);
            assert!(found.len() <= count);
            assert!(
                found
                    .iter()
                    .flatten()
                    .all(|pass| { pass.len() == 1 || pass.iter().map(Node::tokens).sum::<usize>() <= 12 })
            );
            let entries = found.iter().flatten().flatten().flat_map(|node| &node.entries);
            let mut seen: Vec<f32> = entries.clone().map(|entry| entry.advantage[0]).collect();
            seen.sort_by(f32::total_cmp);
            assert_eq!(seen, (0..40).map(|at| at as f32).collect::<Vec<_>>());
            let total: f64 = entries.map(|entry| entry.weight * entry.old.len() as f64).sum();
            assert!((total - 1.0).abs() < 1e-12);
        }
    }
}
