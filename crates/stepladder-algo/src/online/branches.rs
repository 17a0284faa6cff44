//! Samples grouped by prompt, for the CPU engine. A prompt is computed once for its replies in a pass, and a reply once for all
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
    let wholes = wholes(samples);
    let mut places: FxHashMap<&[u32], usize> = FxHashMap::default();
    let mut nodes: Vec<Node> = Vec::new();
    for (index, &(sample, weight)) in samples.iter().enumerate() {
        let Whole { start, ids } = wholes[index];
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
struct Whole<'a> {
    /// Index of the first reply token of the first sample.
    start: usize,
    /// Prompt and reply of the last sample.
    ids: &'a [u32],
}

/// Returns the whole that each sample belongs to. Of several samples that continue the same one, the first in the order of their
/// ids joins its whole.
///
/// All tokens of a whole after the first prompt are scored, so a sample joins only if its prompt shares at least twice as many tokens
/// as it adds: the output matrix of a small model costs up to twice its blocks.
fn wholes<'a>(samples: &[(&'a Sample, f64)]) -> Vec<Whole<'a>> {
    let of = |index: usize| (samples[index].0.ids.as_slice(), samples[index].0.start);
    let mut order: Vec<usize> = (0..samples.len()).collect();
    // Samples that continue a sample follow it in this order.
    order.sort_by_key(|&index| of(index));
    let mut found: Vec<Whole<'a>> = Vec::new();
    let mut whole = vec![0; samples.len()];
    // Samples that the next one may continue, each with its whole and whether another one continues it.
    let mut open: Vec<(&[u32], usize, bool)> = Vec::new();
    for place in 0..order.len() {
        let (ids, start) = of(order[place]);
        if place > 0 && of(order[place - 1]) == (ids, start) {
            whole[order[place]] = whole[order[place - 1]];
            continue;
        }
        while open.pop_if(|(earlier, ..)| !ids[..start].starts_with(earlier)).is_some() {}
        let number = match open.last_mut() {
            Some((earlier, number, continued))
                if !*continued && 2 * (start - earlier.len()) <= earlier.len() =>
            {
                *continued = true;
                found[*number].ids = ids;
                *number
            }
            _ => {
                found.push(Whole { start, ids });
                found.len() - 1
            }
        };
        whole[order[place]] = number;
        open.push((ids, number, false));
    }
    whole.into_iter().map(|number| found[number]).collect()
}

/// Splits a node whose replies do not fit into `tokens` with their prompt into several, each with the prompt.
fn split(node: Node, tokens: usize) -> Vec<Node> {
    if node.tokens() <= tokens || node.replies.len() < 2 {
        return vec![node];
    }
    let Node { prompt, replies, entries } = node;
    let mut parts: Vec<Node> = Vec::new();
    // Part and index of each reply.
    let mut places = Vec::with_capacity(replies.len());
    for reply in replies {
        let fits = |part: &&mut Node| part.tokens() + reply.len() - 1 <= tokens;
        match parts.last_mut().filter(fits) {
            Some(part) => part.replies.push(reply),
            None => parts.push(Node { prompt: prompt.clone(), replies: vec![reply], entries: Vec::new() }),
        }
        let last = parts.len() - 1;
        places.push((last, parts[last].replies.len() - 1));
    }
    for entry in entries {
        let (part, reply) = places[entry.reply];
        parts[part].entries.push(Entry { reply, ..entry });
    }
    parts
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
    let nodes = nodes(&weighted).into_iter().flat_map(|node| split(node, tokens)).collect();
    shards(nodes, count, Node::tokens)
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
            // Two continue the second, one of them twice with advantages of either sign.
            sample(&[1, 2, 7, 9, 3, 8, 9, 4, 6], 8, 0.5),
            sample(&[1, 2, 7, 9, 3, 8, 9, 4, 5], 8, 2.0),
            sample(&[1, 2, 7, 9, 3, 8, 9, 4, 5], 8, -2.0),
            // Shares a prompt with the first.
            sample(&[1, 2, 5, 9], 2, 3.0),
            // Adds more than half of what it shares.
            sample(&[1, 2, 5, 9, 1, 1, 1, 6], 7, 4.0),
            // The ids of the second with another start: its prompt does not begin with the second.
            sample(&[1, 2, 7, 9, 3, 8, 9], 6, -3.0),
        ];
        let grouped = |samples: &[Sample]| {
            let weighted: Vec<(&Sample, f64)> =
                samples.iter().zip(1..).map(|(sample, place)| (sample, f64::from(place))).collect();
            nodes(&weighted)
        };
        check(&samples, &grouped(&samples));
        let samples = &samples[..7];
        let nodes = grouped(samples);
        let shapes: Vec<_> = nodes.iter().map(|node| (node.prompt.len(), node.replies.len())).collect();
        assert_eq!(shapes, [(2, 2), (8, 1), (7, 1)]);
        assert_eq!(nodes[0].replies, [vec![7, 9, 3, 8, 9, 4, 5], vec![5, 9]]);
        check(samples, &nodes);
    }

    /// Checks that every token of a sample is scored once, in its context and with its numbers.
    fn check(samples: &[Sample], nodes: &[Node]) {
        let tokens = pass_tokens(nodes);
        let scored: Vec<u32> = nodes.iter().flat_map(|node| node.replies.concat()).collect();
        let mut from = 0;
        let mut seen = vec![0; samples.len()];
        for node in nodes {
            for entry in &node.entries {
                let Sample { ids, start, advantage, .. } = &samples[entry.sample];
                let before = [&node.prompt, &node.replies[entry.reply][..entry.offset]].concat();
                assert_eq!(before, ids[..*start]);
                let to = from + ids.len() - start;
                let of = |place: &usize| scored[*place];
                assert_eq!(tokens.place[from..to].iter().map(of).collect::<Vec<_>>(), ids[*start..]);
                assert_eq!(tokens.advantage[from..to], **advantage);
                seen[entry.sample] += 1;
                from = to;
            }
        }
        assert_eq!((from, seen), (tokens.place.len(), vec![1; samples.len()]));
    }

    #[test]
    fn a_node_larger_than_a_pass_is_split_with_its_prompt() {
        let samples: Vec<Sample> =
            (0..5).map(|reply| sample(&[1, 2, 3, 4, 10 + reply, 9, 8, 7], 4, 1.0)).collect();
        let weighted: Vec<(&Sample, f64)> = samples.iter().map(|sample| (sample, 0.2)).collect();
        let [node] = &nodes(&weighted)[..] else { panic!("one prompt") };
        assert_eq!(node.tokens(), 19);
        let parts = split(node.clone(), 10);
        assert_eq!(parts.iter().map(Node::tokens).collect::<Vec<_>>(), [10, 10, 7]);
        check(&samples, &parts);
        // A reply by itself is never cut.
        assert_eq!(split(node.clone(), 1).len(), 5);
        assert_eq!(split(node.clone(), 19).len(), 1);
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
