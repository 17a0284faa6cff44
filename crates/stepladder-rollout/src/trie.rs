//! Constrained decoding: a trie over the token ids of the replies that may be given, and the position of a reply in it.

use std::sync::Arc;

use crate::sampling::Sampling;

/// Trie over the token ids of replies. Every reply ends with an end token and has no other one, so none begins with another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Trie {
    /// Ids that may follow each node, in increasing order, node by node in breadth-first order: id `n` leads to node `n + 1`.
    ids: Vec<u32>,
    /// Range of each node in `ids`: from its own entry to the next.
    begin: Vec<usize>,
    /// Tokens of the longest reply.
    longest: usize,
}

impl Trie {
    /// Builds the trie over these replies, each with its end token.
    pub fn new(mut replies: Vec<Vec<u32>>) -> Self {
        replies.retain(|reply| !reply.is_empty());
        replies.sort_unstable();
        replies.dedup();
        let (mut ids, mut begin) = (Vec::new(), Vec::new());
        // The replies through each node of a depth; sorted, they are consecutive.
        let mut level = vec![&replies[..]];
        let mut depth = 0;
        while !level.is_empty() {
            let mut deeper = Vec::new();
            for through in level {
                begin.push(ids.len());
                let longer = &through[through.partition_point(|reply| reply.len() <= depth)..];
                for group in longer.chunk_by(|a, b| a[depth] == b[depth]) {
                    ids.push(group[0][depth]);
                    deeper.push(group);
                }
            }
            level = deeper;
            depth += 1;
        }
        begin.push(ids.len());
        Self { ids, begin, longest: replies.iter().map(Vec::len).max().unwrap_or(0) }
    }

    /// Returns the number of nodes, the root not counted.
    pub fn size(&self) -> usize {
        self.ids.len()
    }

    /// Checks that a model with this vocabulary can write every reply within `budget` tokens, and that the ids in `end` end
    /// the replies and occur nowhere else in them.
    ///
    /// # Errors
    /// Returns the first violation, as the end of a sentence.
    pub fn check(&self, budget: usize, vocab: usize, end: &[u32]) -> Result<(), String> {
        if self.ids.is_empty() {
            return Err("its constraint allows no reply".to_owned());
        }
        if self.longest > budget {
            let longest = self.longest;
            return Err(format!("its constraint allows a reply of {longest} tokens, its budget is {budget}"));
        }
        for (at, id) in self.ids.iter().enumerate() {
            if self.begin[at + 1] < self.begin[at + 2] && end.contains(id) {
                return Err(format!("a reply of its constraint goes on after the end token {id}"));
            }
            if self.begin[at + 1] == self.begin[at + 2] && !end.contains(id) {
                return Err(format!("a reply of its constraint ends with {id}, which is no end token"));
            }
        }
        match self.ids.iter().find(|&&id| id as usize >= vocab) {
            Some(id) => Err(format!("token {id} of its constraint is not in the vocabulary of {vocab}")),
            None => Ok(()),
        }
    }
}

/// Position of a reply in the trie of the replies that may be given.
#[derive(Debug, Clone)]
pub struct Constraint {
    trie: Arc<Trie>,
    node: usize,
}

impl Constraint {
    /// Begins a reply.
    pub fn new(trie: Arc<Trie>) -> Self {
        Self { trie, node: 0 }
    }

    /// Returns the trie.
    pub fn trie(&self) -> &Trie {
        &self.trie
    }

    /// Returns the ids that may come next, in increasing order; none after an end token.
    pub fn allowed(&self) -> &[u32] {
        let Trie { ids, begin, .. } = &*self.trie;
        &ids[begin[self.node]..begin[self.node + 1]]
    }

    /// Chooses the next token and moves to it, given the logits (or log-probabilities) of [`Constraint::allowed`], one each:
    /// the first of the most likely, or one drawn with `sampling`. Returns its id and its log-probability among the allowed
    /// ids, at the sampling temperature; at temperature 1 for a greedy choice.
    ///
    /// # Panics
    /// If there is not one logit for each allowed id, or none is allowed.
    pub fn choose(&mut self, logits: &[f32], sampling: &mut Option<Sampling>) -> (u32, f32) {
        assert_eq!(logits.len(), self.allowed().len(), "one logit for each allowed id");
        let (place, logprob) = match sampling {
            Some(sampling) => sampling.draw(logits),
            None => most_likely(logits),
        };
        let edge = self.trie.begin[self.node] + place;
        self.node = edge + 1;
        (self.trie.ids[edge], logprob)
    }
}

/// Returns the first index of the largest value, with its log-probability.
fn most_likely(logits: &[f32]) -> (usize, f32) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&value| f64::from(value - largest).exp()).sum();
    let place = logits.iter().position(|&value| value == largest).unwrap_or(0);
    (place, -total.ln() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::RngExt;
    use stepladder_core::seed::stream;

    const END: u32 = 0;

    /// Replies over few tokens, so that many have a common beginning.
    fn replies() -> impl Strategy<Value = Vec<Vec<u32>>> {
        let reply = proptest::collection::vec(1u32..4, 0..5).prop_map(|mut ids| {
            ids.push(END);
            ids
        });
        proptest::collection::vec(reply, 1..20)
    }

    /// Writes a reply with random logits.
    fn write(trie: &Arc<Trie>, seed: u64, temperature: Option<f64>) -> (Vec<u32>, f64) {
        let mut logits = stream(seed, "test-logits", &[]);
        let rng = stream(seed, "sampling", &[]);
        let mut sampling = temperature.map(|temperature| Sampling::at(temperature, rng));
        let mut constraint = Constraint::new(trie.clone());
        let (mut ids, mut sum) = (Vec::new(), 0.0);
        while !constraint.allowed().is_empty() {
            let logits: Vec<f32> =
                constraint.allowed().iter().map(|_| logits.random_range(-9.0..9.0)).collect();
            let (id, logprob) = constraint.choose(&logits, &mut sampling);
            assert!(logprob <= 0.0 && logprob.is_finite());
            ids.push(id);
            sum += f64::from(logprob);
        }
        (ids, sum)
    }

    proptest! {
        #[test]
        fn a_constrained_reply_is_an_allowed_one_at_any_temperature(
            replies in replies(), seed in any::<u64>(), temperature in 1e-3f64..1e3
        ) {
            let trie = Arc::new(Trie::new(replies.clone()));
            let longest = replies.iter().map(Vec::len).max().unwrap();
            prop_assert_eq!(trie.check(longest, 4, &[END]), Ok(()));
            prop_assert!(trie.check(longest - 1, 4, &[END]).is_err());
            for temperature in [None, Some(temperature)] {
                let (ids, _) = write(&trie, seed, temperature);
                prop_assert!(replies.contains(&ids), "{:?}", ids);
            }
        }

        #[test]
        fn a_trie_holds_its_replies_and_nothing_else(replies in replies()) {
            let trie = Arc::new(Trie::new(replies.clone()));
            let mut found = Vec::new();
            let mut open = vec![(Constraint::new(trie.clone()), Vec::new())];
            while let Some((constraint, ids)) = open.pop() {
                prop_assert!(constraint.allowed().is_sorted_by(|a, b| a < b));
                if constraint.allowed().is_empty() {
                    found.push(ids.clone());
                }
                for place in 0..constraint.allowed().len() {
                    let mut next = constraint.clone();
                    let logits: Vec<f32> = (0..constraint.allowed().len())
                        .map(|at| if at == place { 1.0 } else { 0.0 })
                        .collect();
                    let (id, _) = next.choose(&logits, &mut None);
                    open.push((next, [&ids[..], &[id]].concat()));
                }
            }
            let mut expected = replies;
            expected.sort();
            expected.dedup();
            found.sort();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_probabilities_of_the_allowed_replies_add_up_to_one() {
        let replies = [vec![1, END], vec![1, 2, END], vec![3, END]];
        let logits = |allowed: &[u32]| allowed.iter().map(|&id| id as f32 * 0.7).collect::<Vec<f32>>();
        let temperature = 1.5;
        let probability = |reply: &[u32]| -> f64 {
            let factor = |depth: usize| {
                let alike = replies.iter().filter(|other| other.starts_with(&reply[..depth]));
                let mut allowed: Vec<u32> = alike.map(|other| other[depth]).collect();
                allowed.sort_unstable();
                allowed.dedup();
                let weight = |id: &u32| (f64::from(*id) * 0.7 / temperature).exp();
                weight(&reply[depth]) / allowed.iter().map(weight).sum::<f64>()
            };
            (0..reply.len()).map(factor).product()
        };
        let trie = Arc::new(Trie::new(replies.to_vec()));
        const DRAWS: usize = 20_000;
        let mut counts = [0.0; 3];
        let mut sampling = Some(Sampling::at(temperature, stream(1, "sampling", &[])));
        for _ in 0..DRAWS {
            let mut constraint = Constraint::new(trie.clone());
            let (mut ids, mut sum) = (Vec::new(), 0.0);
            while !constraint.allowed().is_empty() {
                let (id, logprob) = constraint.choose(&logits(constraint.allowed()), &mut sampling);
                ids.push(id);
                sum += f64::from(logprob);
            }
            assert!((sum.exp() - probability(&ids)).abs() < 1e-5);
            counts[replies.iter().position(|reply| *reply == ids).unwrap()] += 1.0 / DRAWS as f64;
        }
        assert!((replies.iter().map(|reply| probability(reply)).sum::<f64>() - 1.0).abs() < 1e-9);
        for (count, reply) in counts.iter().zip(&replies) {
            assert!((count - probability(reply)).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn the_first_of_the_most_likely_is_chosen() {
        let mut constraint =
            Constraint::new(Arc::new(Trie::new(vec![vec![3, END], vec![1, END], vec![2, END]])));
        let (id, logprob) = constraint.choose(&[1.0, 2.0, 2.0], &mut None);
        assert_eq!((id, constraint.allowed()), (2, &[END][..]));
        assert!((logprob - -(2.0 + (-1f32).exp()).ln()).abs() < 1e-6);
    }

    #[test]
    fn a_constraint_that_cannot_be_met_is_refused() {
        for (replies, expected) in [
            (vec![], "its constraint allows no reply"),
            (vec![vec![1, 2, 3, END]], "its constraint allows a reply of 4 tokens, its budget is 3"),
            (vec![vec![1, END], vec![2]], "a reply of its constraint ends with 2, which is no end token"),
            (vec![vec![1, END, 2, END]], "its constraint allows a reply of 4 tokens, its budget is 3"),
            (vec![vec![END, END]], "a reply of its constraint goes on after the end token 0"),
            (vec![vec![9, END]], "token 9 of its constraint is not in the vocabulary of 4"),
        ] {
            assert_eq!(Trie::new(replies).check(3, 4, &[END]), Err(expected.to_owned()));
        }
    }
}
