//! Rows that begin with the same ids: the beginning is computed once for all of them (docs/design.md D10).
//!
//! An epoch divides rows with a common beginning into groups ([`epoch`]); a step finds the groups among its rows again
//! ([`share`]) and divides them into passes ([`divide`]).

use std::cmp::Reverse;

use rand::seq::SliceRandom;
use rustc_hash::FxHashMap;
use stepladder_core::seed::Rng;

/// Tokens that a shared beginning must save: each group costs some small operations.
const WORTH: usize = 16;
/// Number of latest steps that a group may join: few enough that steps stay random.
const OPEN: usize = 16;
/// Upper bound on rows of a group in a step.
const LARGEST: usize = 256;

/// Rows that share their first ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Number of ids that all rows begin with and that are computed once; 0 for a single row.
    pub prefix: usize,
    /// Row indices.
    pub rows: Vec<usize>,
}

impl Shared {
    /// Returns the number of tokens to compute, given the lengths of all rows.
    pub fn computed(&self, lens: impl Fn(usize) -> usize) -> usize {
        self.prefix + self.rows.iter().map(|&row| lens(row) - self.prefix).sum::<usize>()
    }
}

/// Returns the length of the common beginning.
fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Returns row indices in the order of their ids (equal rows by index), and the common beginning of each with its predecessor.
fn sorted(rows: &[&[u32]]) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| rows[a].cmp(rows[b]).then(a.cmp(&b)));
    let pairs = order.windows(2).map(|pair| common(rows[pair[0]], rows[pair[1]]));
    let depths = std::iter::once(0).chain(pairs).take(rows.len()).collect();
    (order, depths)
}

/// Divides rows into clusters by the longest beginning that each shares with at least `members` - 1 others. Clusters and their
/// rows are in the order of the rows.
pub fn clusters(rows: &[&[u32]], members: usize) -> Vec<Shared> {
    let (order, depths) = sorted(rows);
    let mut depth = vec![0; rows.len()];
    // Common beginning of each run of `members` neighbours.
    for last in members.max(2).saturating_sub(1)..rows.len() {
        let run = last + 1 - members.max(2)..=last;
        let shared = depths[run.clone()].iter().skip(1).copied().min().unwrap_or(0);
        run.for_each(|at| depth[order[at]] = depth[order[at]].max(shared));
    }
    let mut places: FxHashMap<&[u32], usize> = FxHashMap::default();
    let mut found: Vec<Shared> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let place = *places.entry(&row[..depth[index]]).or_insert(found.len());
        if place == found.len() {
            found.push(Shared { prefix: depth[index], rows: Vec::new() });
        }
        found[place].rows.push(index);
    }
    found
}

/// Divides the rows of an epoch into steps of at most `tokens` computed tokens, made of groups of at most `members` rows with a
/// common beginning (a larger group is a step by itself). The result depends on the arguments only.
///
/// Rows are shuffled within their clusters (the [`clusters`] of at least two groups) and groups among each other. Each group joins the
/// first of the latest steps that has enough tokens left.
pub fn epoch(rows: &[&[u32]], members: usize, tokens: usize, rng: &mut Rng) -> Vec<Vec<usize>> {
    let mut groups = Vec::new();
    for Shared { prefix, rows: mut cluster } in clusters(rows, 2 * members) {
        cluster.shuffle(rng);
        // As equal as possible, and within the tokens of a step.
        let rest: usize = cluster.iter().map(|&row| rows[row].len() - prefix).sum();
        let least = cluster.len().div_ceil(members.max(1));
        let count = least.max(rest.div_ceil(tokens.saturating_sub(prefix).max(1))).min(cluster.len());
        let mut from = 0;
        for part in 0..count {
            let to = (part + 1) * cluster.len() / count;
            groups.push(Shared { prefix, rows: cluster[from..to].to_vec() });
            from = to;
        }
    }
    groups.shuffle(rng);
    let mut steps: Vec<(usize, Vec<usize>)> = Vec::new();
    for group in groups {
        let cost = group.computed(|row| rows[row].len());
        let open = steps.len().saturating_sub(OPEN);
        match steps[open..].iter_mut().find(|(used, _)| used + cost <= tokens) {
            Some((used, step)) => {
                step.extend(group.rows);
                *used += cost;
            }
            None => steps.push((cost, group.rows)),
        }
    }
    steps.into_iter().map(|(_, step)| step).collect()
}

/// Divides rows into groups. Rows that share nothing worth it come last, as one group without a prefix, in the order of their
/// lengths.
///
/// Of all divisions of the sorted rows into runs of neighbours, this one computes the fewest tokens. Rows around a group that
/// share less than its members do not form a second group: that would save at most a few tokens more.
pub fn share(rows: &[&[u32]]) -> Vec<Shared> {
    let (order, depths) = sorted(rows);
    // Least cost of the first rows, and where the last group of that division begins.
    let mut best: Vec<(usize, usize, usize)> = vec![(0, 0, 0)];
    for last in 0..order.len() {
        let len = rows[order[last]].len();
        let mut least = (best[last].0 + len, last, 0);
        let (mut prefix, mut sum) = (len, len);
        for first in (last.saturating_sub(LARGEST - 1)..last).rev() {
            prefix = prefix.min(depths[first + 1]);
            if prefix == 0 {
                break;
            }
            sum += rows[order[first]].len();
            let cost = best[first].0 + sum - prefix * (last - first) + WORTH;
            if cost < least.0 {
                least = (cost, first, prefix);
            }
        }
        best.push(least);
    }
    let (mut groups, mut single) = (Vec::new(), Vec::new());
    let mut end = order.len();
    while end > 0 {
        let (_, first, prefix) = best[end];
        match end - first {
            1 => single.push(order[first]),
            _ => groups.push(Shared { prefix, rows: order[first..end].to_vec() }),
        }
        end = first;
    }
    groups.reverse();
    single.sort_by_key(|&row| (rows[row].len(), row));
    if !single.is_empty() {
        groups.push(Shared { prefix: 0, rows: single });
    }
    groups
}

/// Divides groups into at most `count` shards of similar numbers of computed tokens, and each shard into passes of at most
/// `limit` computed tokens. A group at a border is cut in two; a row with more than `limit` tokens is a pass by itself.
///
/// # Panics
/// If `count` is 0 and there are rows.
pub fn divide(
    mut groups: Vec<Shared>,
    lens: impl Fn(usize) -> usize,
    count: usize,
    limit: usize,
) -> Vec<Vec<Vec<Shared>>> {
    let total: usize = groups.iter().map(|group| group.computed(&lens)).sum();
    // Large groups first: the last shard then ends on small pieces.
    groups.sort_by_key(|group| Reverse(group.computed(&lens)));
    let mut shards: Vec<Vec<Vec<Shared>>> = Vec::new();
    let (mut before, mut in_pass) = (0, 0);
    for Shared { prefix, rows } in groups {
        for (place, &row) in rows.iter().enumerate() {
            let rest = lens(row) - prefix;
            let wanted = (before * count / total.max(1)).min(count - 1);
            let fresh_shard = shards.len() <= wanted;
            if fresh_shard {
                shards.push(Vec::new());
            }
            before += rest + if place == 0 { prefix } else { 0 };
            let Some(passes) = shards.last_mut() else { continue };
            let joins = place > 0 && !fresh_shard;
            let cost = rest + if joins { 0 } else { prefix };
            match passes.last_mut() {
                Some(pass) if in_pass + cost <= limit => {
                    match pass.last_mut() {
                        Some(group) if joins => group.rows.push(row),
                        _ => pass.push(Shared { prefix, rows: vec![row] }),
                    }
                    in_pass += cost;
                }
                _ => {
                    passes.push(vec![Shared { prefix, rows: vec![row] }]);
                    in_pass = rest + prefix;
                }
            }
        }
    }
    shards
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stepladder_core::seed::stream;

    /// Rows over two ids, so that many begin alike.
    fn rows() -> impl Strategy<Value = Vec<Vec<u32>>> {
        let row = (0u32..3, 0u32..4, proptest::collection::vec(0u32..2, 1..12));
        let build = |(role, place, rest): (u32, u32, Vec<u32>)| {
            let instruction = std::iter::repeat_n(10 + role, 20);
            instruction.chain(std::iter::repeat_n(20 + place, 12)).chain(rest).collect()
        };
        proptest::collection::vec(row.prop_map(build), 1..60)
    }

    fn slices(rows: &[Vec<u32>]) -> Vec<&[u32]> {
        rows.iter().map(Vec::as_slice).collect()
    }

    fn all<'a>(groups: impl IntoIterator<Item = &'a Shared>) -> Vec<usize> {
        let mut all: Vec<usize> = groups.into_iter().flat_map(|group| group.rows.clone()).collect();
        all.sort_unstable();
        all
    }

    fn begin_alike(rows: &[&[u32]], group: &Shared) -> bool {
        group.rows.iter().all(|&row| rows[row].starts_with(&rows[group.rows[0]][..group.prefix]))
    }

    proptest! {
        #[test]
        fn clusters_have_the_longest_beginnings_that_enough_rows_share(rows in rows(), members in 1usize..9) {
            let rows = slices(&rows);
            let found = clusters(&rows, members);
            prop_assert_eq!(all(&found), (0..rows.len()).collect::<Vec<_>>());
            for group in &found {
                prop_assert!(begin_alike(&rows, group));
                for &row in &group.rows {
                    // By comparison with every row, in place of sorting.
                    let mut depths: Vec<usize> = (0..rows.len()).filter(|&other| other != row)
                        .map(|other| common(rows[row], rows[other])).collect();
                    depths.sort_unstable_by_key(|&depth| Reverse(depth));
                    let expected = depths.get(members.max(2) - 2).copied().unwrap_or(0);
                    prop_assert_eq!(group.prefix, expected);
                }
            }
        }

        #[test]
        fn an_epoch_has_every_row_once_in_steps_within_the_budget(
            rows in rows(), members in 1usize..9, tokens in 60usize..400, seed in 0u64..9,
        ) {
            let rows = slices(&rows);
            let plan = |seed| epoch(&rows, members, tokens, &mut stream(seed, "shuffle", &[]));
            let steps = plan(seed);
            prop_assert_eq!(&plan(seed), &steps);
            let mut all: Vec<usize> = steps.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows.len()).collect::<Vec<_>>());
            for step in steps {
                let own: Vec<&[u32]> = step.iter().map(|&row| rows[row]).collect();
                let groups = share(&own);
                let computed: usize = groups.iter().map(|group| group.computed(|row| own[row].len())).sum();
                // A group that saves less than `WORTH` is not shared again.
                prop_assert!(step.len() <= members || computed <= tokens + WORTH * step.len(), "{computed}");
            }
        }

        #[test]
        fn no_division_into_runs_of_neighbours_computes_fewer_tokens(rows in proptest::collection::vec(
            (0u32..2, 0u32..2, 1usize..30).prop_map(|(a, b, len)| {
                std::iter::repeat_n(a, 20).chain(std::iter::repeat_n(b, len)).collect::<Vec<u32>>()
            }), 1..10,
        )) {
            let rows = slices(&rows);
            let found = share(&rows);
            prop_assert_eq!(all(&found), (0..rows.len()).collect::<Vec<_>>());
            prop_assert!(found.iter().all(|group| begin_alike(&rows, group)));
            let cost = |groups: &[Shared]| -> usize {
                let of = |group: &Shared| group.computed(|row| rows[row].len()) + if group.prefix > 0 { WORTH } else { 0 };
                groups.iter().map(of).sum()
            };
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|&row| rows[row]);
            // All divisions: bit `place` of `cuts` ends a group after the row at `place`.
            let divisions = (0u32..1 << (rows.len() - 1)).map(|cuts| -> Vec<Shared> {
                let mut groups = vec![Vec::new()];
                for (place, &row) in order.iter().enumerate() {
                    groups.last_mut().unwrap().push(row);
                    if cuts >> place & 1 == 1 {
                        groups.push(Vec::new());
                    }
                }
                let prefix = |members: &[usize]| match members {
                    [_] => 0,
                    _ => members.iter().map(|&row| common(rows[row], rows[members[0]])).min().unwrap_or(0),
                };
                groups.into_iter().map(|rows| Shared { prefix: prefix(&rows), rows }).collect()
            });
            prop_assert_eq!(Some(cost(&found)), divisions.map(|groups| cost(&groups)).min());
        }

        #[test]
        fn shards_are_balanced_and_passes_limited(
            rows in rows(), count in 1usize..5, limit in 40usize..300,
        ) {
            let rows = slices(&rows);
            let groups = share(&rows);
            let lens = |row: usize| rows[row].len();
            let total: usize = groups.iter().map(|group| group.computed(lens)).sum();
            let deepest = groups.iter().map(|group| group.prefix).max().unwrap_or(0);
            let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
            let whole = divide(groups.clone(), lens, count, usize::MAX);
            prop_assert!(whole.len() <= count && whole.iter().all(|passes| passes.len() == 1));
            for passes in &whole {
                let computed: usize = passes.iter().flatten().map(|group| group.computed(lens)).sum();
                prop_assert!(computed <= total / count + 2 * longest + deepest, "{computed} of {total}");
            }
            let shards = divide(groups, lens, count, limit);
            prop_assert_eq!(all(shards.iter().flatten().flatten()), (0..rows.len()).collect::<Vec<_>>());
            for pass in shards.iter().flatten() {
                let computed: usize = pass.iter().map(|group| group.computed(lens)).sum();
                let single = pass.len() == 1 && pass[0].rows.len() == 1;
                prop_assert!(computed <= limit || single, "{computed}");
                prop_assert!(pass.iter().all(|group| begin_alike(&rows, group)));
            }
        }
    }
}
