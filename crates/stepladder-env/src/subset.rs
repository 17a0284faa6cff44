//! Samples of a split's tasks: seeded, stratified by task family.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::SliceRandom;
use stepladder_core::TaskKey;
use stepladder_core::seed::{Rng, fingerprint, stream};

use crate::contract::{EnvError, TaskSet};

/// Purpose of a sample, which determines its random stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Training data: one sample per run seed (stream `subset`).
    Training {
        /// Run seed.
        seed: u64,
    },
    /// Evaluation: one sample for all run seeds, so that runs are compared on the same tasks (stream
    /// `evaluation subset`, seed 0).
    Evaluation,
}

impl Draw {
    fn stream(self, indices: &[u64]) -> Rng {
        match self {
            Self::Training { seed } => stream(seed, "subset", indices),
            Self::Evaluation => stream(0, "evaluation subset", indices),
        }
    }
}

/// Selection rule of a subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Choice {
    Whole,
    First,
    Sample,
    Stratified,
}

/// Some tasks of a split, or all of them, in the order of the split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset {
    /// The chosen tasks.
    pub tasks: Vec<TaskKey>,
    /// Size of the split.
    pub of: usize,
    choice: Choice,
}

impl Subset {
    /// Draws `count` tasks of a split; all of them where `count` is 0 or not below their number. A function of the split,
    /// `count` and `draw` alone.
    ///
    /// # Errors
    /// Those of [`TaskSet::tasks`].
    pub fn draw(set: &dyn TaskSet, split: &str, count: usize, draw: Draw) -> Result<Self, EnvError> {
        Ok(Self::among(set, set.tasks(split)?, count, draw))
    }

    /// Draws `count` of these tasks of one split; all of them where `count` is 0 or not below their number.
    pub fn among(set: &dyn TaskSet, tasks: Vec<TaskKey>, count: usize, draw: Draw) -> Self {
        let of = tasks.len();
        if count == 0 || count >= of {
            return Self { tasks, of, choice: Choice::Whole };
        }
        let families: Vec<String> = tasks.iter().map(|task| set.family(task).unwrap_or_default()).collect();
        let place = fingerprint(&format!("{}/{}", tasks[0].env, tasks[0].split));
        let chosen = stratified(&families, count, |family| draw.stream(&[place, fingerprint(family)]));
        let several = families.iter().any(|family| *family != families[0]);
        Self {
            tasks: chosen.into_iter().map(|position| tasks[position].clone()).collect(),
            of,
            choice: if several { Choice::Stratified } else { Choice::Sample },
        }
    }

    /// Takes the first `count` tasks; all of them where `count` is 0. Only for continuing runs that began so: where a split
    /// is sorted by family, these are all of one family.
    pub fn first(mut tasks: Vec<TaskKey>, count: usize) -> Self {
        let of = tasks.len();
        if count == 0 || count >= of {
            return Self { tasks, of, choice: Choice::Whole };
        }
        tasks.truncate(count);
        Self { tasks, of, choice: Choice::First }
    }

    /// Describes the subset for tables and files: `a sample of 200 of 1000 tasks, stratified by family`.
    /// None for a whole split.
    pub fn text(&self) -> Option<String> {
        let (count, of) = (self.tasks.len(), self.of);
        match self.choice {
            Choice::Whole => None,
            Choice::First => Some(format!("the first {count} of {of} tasks")),
            Choice::Sample => Some(format!("a sample of {count} of {of} tasks")),
            Choice::Stratified => Some(format!("a sample of {count} of {of} tasks, stratified by family")),
        }
    }
}

/// Draws the positions of a sample of `count` tasks, ascending; `families` has the family of each task, `stream` the random numbers of
/// a family. All positions where `count` is not below their number.
///
/// Every family gets its proportional quota, rounded by the method of largest remainders (Hamilton): less than one task away
/// from the exact quota. Where `count` allows, every family has at least one task; those that are too small for one by
/// proportion take it from the larger ones. Of each family the first tasks of one random order are taken, whatever `count` is:
/// of every family, a larger selection contains a smaller one.
pub fn stratified(families: &[String], count: usize, stream: impl Fn(&str) -> Rng) -> Vec<usize> {
    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, family) in families.iter().enumerate() {
        members.entry(family).or_default().push(position);
    }
    let mut ties: Vec<u64> = Vec::with_capacity(members.len());
    let mut orders: Vec<Vec<usize>> = Vec::with_capacity(members.len());
    for (family, mut positions) in members {
        let mut rng = stream(family);
        ties.push(rng.random());
        positions.shuffle(&mut rng);
        orders.push(positions);
    }
    let sizes: Vec<usize> = orders.iter().map(Vec::len).collect();
    let quotas = apportion(&sizes, count, &ties);
    let mut chosen: Vec<usize> =
        orders.into_iter().zip(quotas).flat_map(|(order, quota)| order.into_iter().take(quota)).collect();
    chosen.sort_unstable();
    chosen
}

/// Divides `count` among groups; of equal remainders the lower tie breaker comes first.
fn apportion(sizes: &[usize], count: usize, ties: &[u64]) -> Vec<usize> {
    let mut quotas = vec![0; sizes.len()];
    let mut total: usize = sizes.iter().sum();
    let mut count = count.min(total);
    let mut open: Vec<usize> = (0..sizes.len()).collect();
    // In u128, because the product of two lengths need not fit into one.
    let product = |size: usize, count: usize| size as u128 * count as u128;
    if count >= sizes.len() {
        loop {
            let (small, rest): (Vec<usize>, Vec<usize>) =
                open.iter().partition(|&&group| product(sizes[group], count) < total as u128);
            if small.is_empty() {
                break;
            }
            for group in small {
                quotas[group] = 1;
                count -= 1;
                total -= sizes[group];
            }
            open = rest;
        }
    }
    let mut remainders = Vec::with_capacity(open.len());
    let mut left = count;
    for group in open {
        let exact = product(sizes[group], count);
        quotas[group] = (exact / total as u128) as usize;
        left -= quotas[group];
        remainders.push((Reverse(exact % total as u128), ties[group], group));
    }
    remainders.sort_unstable();
    for (_, _, group) in remainders.into_iter().take(left) {
        quotas[group] += 1;
    }
    quotas
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use stepladder_core::seed::Rng;

    use super::*;

    fn streams(seed: u64) -> impl Fn(&str) -> Rng {
        move |family| Draw::Training { seed }.stream(&[fingerprint(family)])
    }

    fn list(sizes: &[usize]) -> Vec<String> {
        let named = sizes.iter().enumerate();
        named.flat_map(|(number, size)| vec![format!("family {number}"); *size]).collect()
    }

    fn counts(families: &[String], chosen: &[usize]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for position in chosen {
            *counts.entry(families[*position].clone()).or_default() += 1;
        }
        counts
    }

    proptest! {
        #[test]
        fn a_sample_has_its_size_no_task_twice_and_proportional_families(
            sizes in prop::collection::vec(1usize..60, 1..12),
            count in 0usize..300,
            seed in any::<u64>(),
        ) {
            let families = list(&sizes);
            let chosen = stratified(&families, count, streams(seed));
            prop_assert_eq!(chosen.len(), count.min(families.len()));
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(chosen.last().is_none_or(|last| *last < families.len()));
            prop_assert_eq!(&chosen, &stratified(&families, count, streams(seed)));
            let found = counts(&families, &chosen);
            let quota = |size: usize| (size * chosen.len()) as f64 / families.len() as f64;
            if count >= sizes.len() {
                prop_assert_eq!(found.len(), sizes.len(), "a family is missing");
            }
            if count < sizes.len() || sizes.iter().all(|size| quota(*size) >= 1.0) {
                for (number, size) in sizes.iter().enumerate() {
                    let got = found.get(&format!("family {number}")).copied().unwrap_or(0);
                    prop_assert!((got as f64 - quota(*size)).abs() < 1.0, "{got} of {size}: {found:?}");
                }
            }
        }

        #[test]
        fn of_every_family_one_sample_contains_the_other(
            sizes in prop::collection::vec(1usize..60, 1..8),
            two in (1usize..200, 1usize..200),
            seed in any::<u64>(),
        ) {
            let families = list(&sizes);
            let draw = |count| -> BTreeSet<usize> {
                stratified(&families, count, streams(seed)).into_iter().collect()
            };
            let (one, other) = (draw(two.0), draw(two.1));
            for family in &families {
                let of = |sample: &BTreeSet<usize>| -> BTreeSet<usize> {
                    sample.iter().copied().filter(|position| families[*position] == *family).collect()
                };
                prop_assert!(of(&one).is_subset(&of(&other)) || of(&other).is_subset(&of(&one)));
            }
        }
    }

    #[test]
    fn another_seed_draws_other_tasks() {
        let families = list(&[50, 50]);
        assert_ne!(stratified(&families, 10, streams(1)), stratified(&families, 10, streams(2)));
        // Not the beginning of each family.
        assert!(stratified(&families, 10, streams(1)).iter().any(|position| position % 50 >= 25));
    }

    #[test]
    fn remainders_decide_and_small_families_are_never_left_out() {
        assert_eq!(apportion(&[10, 6, 4], 5, &[0; 3]), [3, 1, 1]);
        assert_eq!(apportion(&[977, 1, 1, 1], 6, &[0; 4]), [3, 1, 1, 1]);
        assert_eq!(apportion(&[5, 5, 5], 2, &[9, 1, 5]), [0, 1, 1]);
        assert_eq!(apportion(&[], 2, &[]), [0; 0]);
    }
}
