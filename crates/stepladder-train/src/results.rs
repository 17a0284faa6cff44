//! Results of methods on tasks: one number per seed and task, read from the episodes that runs keep.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use stepladder_core::trace::Episode;
use stepladder_rollout::evaluation::wilson;

use crate::error::Result;
use crate::statistics::{self, Bounds, Difference, Estimate, Grid, Scope};
use crate::trace_file;

/// A number from 0 to 1 by task, named with its start seed.
pub(crate) type ByTask = BTreeMap<String, f64>;

/// Results of one method: those of every seed by task.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Results {
    runs: Vec<(Option<u64>, ByTask)>,
}

/// Name of an episode's task and start seed.
pub(crate) fn name(episode: &Episode) -> String {
    format!("{} {}", episode.task, episode.seed)
}

/// Score of an episode as a fraction of its range.
pub(crate) fn score(episode: &Episode, (low, high): (f64, f64)) -> f64 {
    match &episode.error {
        Some(_) => 0.0,
        None => (episode.score.clamp(low, high) - low) / (high - low),
    }
}

/// Reads success by task, or the score as a fraction of its range.
///
/// # Errors
/// If the episodes cannot be read.
pub(crate) fn read(path: &Path, range: Option<(f64, f64)>) -> Result<ByTask> {
    let of = |episode: &Episode| match range {
        Some(range) => score(episode, range),
        None => f64::from(u8::from(episode.won)),
    };
    let episodes = trace_file::load(path)?;
    Ok(episodes.iter().map(|episode| (name(episode), of(episode))).collect())
}

impl Results {
    /// Adds the results of a run; a model that is not trained has no seed.
    pub(crate) fn add(&mut self, seed: Option<u64>, by_task: ByTask) {
        self.runs.push((seed, by_task));
    }

    /// Number of runs.
    pub(crate) fn seeds(&self) -> usize {
        self.runs.len()
    }

    /// The results on some tasks.
    pub(crate) fn on(&self, tasks: &BTreeSet<String>) -> Self {
        let part = |run: &ByTask| {
            let kept = run.iter().filter(|(task, _)| tasks.contains(*task));
            kept.map(|(task, value)| (task.clone(), *value)).collect()
        };
        Self { runs: self.runs.iter().map(|(seed, run)| (*seed, part(run))).collect() }
    }

    /// Whether all runs have the same tasks.
    fn is_crossed(&self) -> bool {
        self.runs.windows(2).all(|pair| pair[0].1.keys().eq(pair[1].1.keys()))
    }

    /// Tasks that all runs have.
    pub(crate) fn tasks(&self) -> BTreeSet<&str> {
        let Some((_, first)) = self.runs.first() else { return BTreeSet::new() };
        let in_all = |task: &&str| self.runs.iter().all(|(_, run)| run.contains_key(*task));
        first.keys().map(String::as_str).filter(in_all).collect()
    }

    /// Layout of these tasks, with the runs in this order.
    fn grid(&self, tasks: &BTreeSet<&str>, order: &[usize]) -> Option<Grid> {
        let row = |&run: &usize| tasks.iter().map(|task| self.runs[run].1.get(*task).copied()).collect();
        Grid::new(order.iter().map(row).collect::<Option<Vec<Vec<f64>>>>()?)
    }

    /// Mean over seeds and tasks. Where the runs have other tasks, the interval is over seeds. `None` without results, and for such
    /// runs if there is one only.
    pub(crate) fn estimate(&self) -> Option<Estimate> {
        let order: Vec<usize> = (0..self.runs.len()).collect();
        if self.is_crossed() {
            return self.grid(&self.tasks(), &order).map(|grid| statistics::share(&grid));
        }
        let mean = |(_, run): &(Option<u64>, ByTask)| run.values().sum::<f64>() / run.len().max(1) as f64;
        statistics::of_runs(&self.runs.iter().map(mean).collect::<Vec<_>>()).map(within)
    }

    /// Mean difference to another method on the tasks that all runs of both have, and on the seeds that both have, which are paired. All
    /// runs of both count, each side's seeds by themselves, where they share fewer than two seeds of several.
    pub(crate) fn minus(&self, other: &Self) -> Option<Difference> {
        let own = self.tasks();
        let tasks: BTreeSet<&str> = own.intersection(&other.tasks()).copied().collect();
        let seeds =
            |results: &Self| results.runs.iter().filter_map(|(seed, _)| *seed).collect::<BTreeSet<u64>>();
        let (ours, theirs) = (seeds(self), seeds(other));
        let common: BTreeSet<u64> = ours.intersection(&theirs).copied().collect();
        let paired = common.len() > 1 || common.len() == 1 && ours == theirs;
        let order = |results: &Self| {
            let counts =
                |run: &usize| !paired || results.runs[*run].0.is_some_and(|seed| common.contains(&seed));
            let mut order: Vec<usize> = (0..results.runs.len()).filter(counts).collect();
            order.sort_by_key(|&run| results.runs[run].0);
            order
        };
        let (grid, base) = (self.grid(&tasks, &order(self))?, other.grid(&tasks, &order(other))?);
        statistics::difference(&grid, &base, paired, Bounds::Unit)
    }

    /// Mean difference per run to the run of the same seed of another method.
    pub(crate) fn by_seed(&self, other: &Self) -> Vec<f64> {
        let of = |(seed, run): &(Option<u64>, ByTask)| {
            let (_, base) = other.runs.iter().find(|(other, _)| other == seed)?;
            let common: Vec<f64> =
                run.iter().filter_map(|(task, value)| Some(value - base.get(task)?)).collect();
            (!common.is_empty()).then(|| common.iter().sum::<f64>() / common.len() as f64)
        };
        self.runs.iter().filter_map(of).collect()
    }
}

/// Estimates success of runs that kept no episodes, from the rates of runs with `n` episodes each.
pub(crate) fn of_rates(rates: &[f64], n: u64) -> Estimate {
    statistics::of_runs(rates).map(within).unwrap_or_else(|| {
        let mean = rates.first().copied().unwrap_or(0.0);
        let interval = wilson((mean * n as f64).round() as usize, n as usize);
        Estimate { mean, interval, scope: Scope::Tasks }
    })
}

/// Keeps an interval of fractions inside 0 to 1.
fn within(estimate: Estimate) -> Estimate {
    Estimate { interval: estimate.interval.map(|end| end.clamp(0.0, 1.0)), ..estimate }
}

/// What an interval generalises to, and its numbers of seeds and tasks.
type Kind = (Scope, usize, usize);

/// One line about the intervals of a table: what they generalise to, and for which rows. `rows` are (name, scope, seeds, tasks).
pub(crate) fn caption(rows: &[(&str, Scope, usize, usize)], gains: usize) -> String {
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let mut kinds: Vec<(Kind, Vec<&str>)> = Vec::new();
    for &(name, scope, seeds, tasks) in rows {
        let kind = (scope, seeds, tasks);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, names)) => names.push(name),
            None => kinds.push((kind, vec![name])),
        }
    }
    let several = kinds.len() > 1;
    let parts: Vec<String> = kinds
        .iter()
        .map(|((scope, seeds, tasks), names)| {
            let only = if *scope == Scope::SeedsAndTasks { "" } else { " only" };
            let who = if several { format!(" for {}", names.join(", ")) } else { String::new() };
            format!("over {scope}{only} ({}, {}){who}", count(*seeds, "seed"), count(*tasks, "task"))
        })
        .collect();
    let mut text = format!("Intervals: 95 %, {}.", parts.join("; "));
    if gains > 0 {
        text.push_str(&format!(
            " Gains: on the same tasks, seeds paired where equal; two-sided p, after Holm over {} of this table.",
            count(gains, "gain")
        ));
    }
    text + " See docs/statistics.md.\n"
}

/// Renders one number per seed: `1: 50.0, 2: 55.0`. A model that is not trained has no seeds.
pub(crate) fn by_seed(seeds: &[u64], values: impl IntoIterator<Item = f64>) -> String {
    let one = |(place, value)| match seeds.get(place) {
        Some(seed) => format!("{seed}: {value:.1}"),
        None => format!("{value:.1}"),
    };
    values.into_iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// Renders the cell of a gain in a table that has gains: a space, the difference in points or a dash, and the end of the cell.
pub(crate) fn gain_cell(gain: Option<&Difference>) -> String {
    format!(" {} |", gain.map_or("-".to_owned(), |gain| points(&gain.scaled(100.0))))
}

/// Renders a difference in points with its interval and p value: `+1.0 [-2.0, +4.0], p 0.420 (Holm 0.840)`.
pub(crate) fn points(gain: &Difference) -> String {
    let [low, high] = gain.interval;
    let p = |value: f64| if value < 0.001 { "<0.001".to_owned() } else { format!("{value:.3}") };
    format!("{:+.1} [{low:+.1}, {high:+.1}], p {} (Holm {})", gain.difference, p(gain.p), p(gain.p_holm))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(solved: usize, from: usize, tasks: usize) -> ByTask {
        let won = |task: usize| f64::from(u8::from(task < solved));
        (from..from + tasks).map(|task| (format!("dev/{task:03} 0"), won(task))).collect()
    }

    fn results(runs: &[(u64, usize)]) -> Results {
        let mut results = Results::default();
        for &(seed, solved) in runs {
            results.add(Some(seed), run(solved, 0, 100));
        }
        results
    }

    #[test]
    fn equal_seeds_are_paired_in_whatever_order_they_come() {
        let (one, other) = (results(&[(1, 50), (2, 60), (3, 70)]), results(&[(3, 61), (1, 42), (2, 50)]));
        let paired = one.minus(&other).unwrap();
        assert!((paired.difference - 0.09).abs() < 1e-12 && paired.p < 0.05, "{paired:?}");
        let gains = one.by_seed(&other);
        assert!(gains.iter().zip([0.08, 0.10, 0.09]).all(|(a, b)| (a - b).abs() < 1e-12), "{gains:?}");
        let free = one.minus(&results(&[(4, 61), (5, 42), (6, 50)])).unwrap();
        assert!((free.difference - 0.09).abs() < 1e-12 && free.p > 0.2, "{free:?}");
    }

    #[test]
    fn seeds_that_one_side_lacks_do_not_count() {
        // Seed 3 is hard for everyone, and only the other method has run it.
        let (one, other) = (results(&[(1, 80), (2, 70)]), results(&[(1, 70), (2, 62), (3, 10)]));
        let gain = one.minus(&other).unwrap();
        assert!((gain.difference - 0.09).abs() < 1e-12, "{gain:?}");
        assert!((other.minus(&one).unwrap().difference + 0.09).abs() < 1e-12);
        // A single common seed of several pairs nothing.
        let free = one.minus(&results(&[(2, 62), (3, 10)])).unwrap();
        assert!((free.difference - 0.39).abs() < 1e-12, "{free:?}");
    }

    #[test]
    fn runs_with_other_tasks_have_an_interval_over_seeds_and_gains_on_common_tasks() {
        let mut mixed = Results::default();
        mixed.add(Some(1), run(50, 0, 100));
        mixed.add(Some(2), run(60, 20, 100));
        assert_eq!(mixed.tasks().len(), 80);
        let estimate = mixed.estimate().unwrap();
        assert_eq!((estimate.scope, estimate.interval[0]), (Scope::Seeds, 0.0));
        assert_eq!(mixed.minus(&results(&[(1, 40), (2, 40)])).unwrap().tasks, 80);
        assert!(mixed.minus(&Results::default()).is_none() && Results::default().estimate().is_none());
    }

    #[test]
    fn the_caption_groups_rows_by_what_their_intervals_mean() {
        use Scope::{SeedsAndTasks, Tasks};
        let rows = [("bc", SeedsAndTasks, 3, 140), ("flat", SeedsAndTasks, 3, 140)];
        assert_eq!(
            caption(&rows, 0),
            "Intervals: 95 %, over seeds and tasks (3 seeds, 140 tasks). See docs/statistics.md.\n"
        );
        let rows = [("bc", SeedsAndTasks, 3, 140), ("one", Tasks, 1, 140)];
        assert!(
            caption(&rows, 1).starts_with(
                "Intervals: 95 %, over seeds and tasks (3 seeds, 140 tasks) for bc; over tasks only (1 seed, 140 tasks) for one. \
                 Gains: on the same tasks, seeds paired where equal; two-sided p, after Holm over 1 gain of this table."
            )
        );
    }
}
