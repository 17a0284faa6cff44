//! Mean over seeds and tasks with its interval.

use serde::Serialize;
use stepladder_rollout::evaluation::wilson;

use super::grid::{Grid, mean};
use super::spread::Spread;
use super::{ALPHA, Scope};

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Mean over seeds and tasks.
    pub mean: f64,
    /// 95 % interval.
    pub interval: [f64; 2],
    /// What the interval generalises to.
    pub scope: Scope,
}

/// Estimates the mean of results from 0 to 1. The interval is symmetric in ln(p / (1 − p)), so it stays inside. A single seed varies
/// over tasks only, with the Wilson interval if its results are 0 and 1. Where nothing varies, as where every seed solves every task,
/// it is the Wilson interval of one seed's tasks.
pub fn share(grid: &Grid) -> Estimate {
    let (mean, scope) = (grid.mean(), scope(grid.seeds()));
    let spread = Spread::of(grid);
    let error = spread.error();
    let alone = grid.seeds() == 1 && grid.is_binary();
    let interval = if alone || error == 0.0 || mean <= 0.0 || mean >= 1.0 {
        wilson((mean * grid.tasks() as f64).round() as usize, grid.tasks())
    } else {
        let reach = spread.reach(ALPHA) / (mean * (1.0 - mean));
        let centre = (mean / (1.0 - mean)).ln();
        [centre - reach, centre + reach].map(|end| 1.0 / (1.0 + f64::exp(-end)))
    };
    Estimate { mean, interval, scope }
}

/// Estimates the mean of results without bounds, by mean ± quantile × standard error.
pub fn value(grid: &Grid) -> Estimate {
    let (mean, reach) = (grid.mean(), Spread::of(grid).reach(ALPHA));
    Estimate { mean, interval: [mean - reach, mean + reach], scope: scope(grid.seeds()) }
}

/// Estimates the mean of one number per run, of runs that have nothing in common: the t interval. A single number has no interval.
pub fn of_runs(values: &[f64]) -> Option<Estimate> {
    let (mean, n) = (mean(values), values.len() as f64);
    if values.len() < 2 {
        return None;
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let mut spread = Spread::default();
    spread.add(variance / n, n - 1.0);
    let reach = spread.reach(ALPHA);
    Some(Estimate { mean, interval: [mean - reach, mean + reach], scope: Scope::Seeds })
}

fn scope(seeds: usize) -> Scope {
    if seeds > 1 { Scope::SeedsAndTasks } else { Scope::Tasks }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first `solved` of 100 tasks from `from` on.
    fn run(from: usize, solved: usize) -> Vec<f64> {
        (0..100).map(|task| if (task + from) % 100 < solved { 1.0 } else { 0.0 }).collect()
    }

    fn estimate(rows: Vec<Vec<f64>>) -> Estimate {
        share(&Grid::new(rows).unwrap())
    }

    #[test]
    fn a_single_seed_has_the_wilson_interval_over_tasks() {
        let Estimate { mean, interval, scope } = estimate(vec![run(0, 40)]);
        assert_eq!((mean, interval, scope), (0.4, wilson(40, 100), Scope::Tasks));
        // Scores vary less than outcomes of the same mean.
        let scores = estimate(vec![run(0, 40).iter().map(|won| 0.3 + 0.25 * won).collect()]);
        assert!((scores.mean - 0.4).abs() < 1e-9 && scores.interval[0] > 0.37 && scores.interval[1] < 0.43);
    }

    #[test]
    fn without_variation_the_interval_is_that_of_one_seed() {
        for (rows, expected) in [
            (vec![vec![0.0; 20]; 3], wilson(0, 20)),
            (vec![vec![1.0; 40]; 5], wilson(40, 40)),
            (vec![vec![1.0; 40]], wilson(40, 40)),
            (vec![vec![0.5; 10]; 2], wilson(5, 10)),
        ] {
            assert_eq!(estimate(rows).interval, expected);
        }
    }

    #[test]
    fn equal_seeds_add_nothing_and_different_seeds_widen_the_interval() {
        let [low, high] = estimate(vec![run(0, 40); 3]).interval;
        let [one, other] = wilson(40, 100);
        assert!((low - one).abs() < 0.005 && (high - other).abs() < 0.005, "{low} {high}");
        let Estimate { mean, interval: [low, high], scope } =
            estimate(vec![run(0, 10), run(0, 40), run(0, 70)]);
        assert!((mean - 0.4).abs() < 1e-12 && scope == Scope::SeedsAndTasks);
        // Three seeds at 10, 40 and 70 % say little: the t interval of these alone is 0.4 ± 0.745.
        assert!(low < 0.05 && high > 0.9, "{low} {high}");
    }

    #[test]
    fn seeds_that_complete_each_other_leave_a_width() {
        // Every task is solved by one of two seeds: means of seeds and tasks do not vary at all.
        let [low, high] = estimate(vec![run(0, 50), run(50, 50)]).interval;
        assert!(low > 0.3 && low < 0.45 && (low + high - 1.0).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    fn runs_without_common_tasks_have_the_t_interval() {
        let Estimate { mean, interval: [low, high], scope } = of_runs(&[1.0, 2.0, 3.0]).unwrap();
        // 2 ± 4.303 / sqrt(3).
        assert!((mean - 2.0).abs() < 1e-12 && scope == Scope::Seeds);
        assert!((high - 4.484).abs() < 1e-3 && (low + 0.484).abs() < 1e-3, "{low} {high}");
        assert_eq!((of_runs(&[1.0]), of_runs(&[])), (None, None));
    }

    #[test]
    fn values_without_bounds_are_symmetric() {
        let Estimate { mean, interval: [low, high], .. } =
            value(&Grid::new(vec![vec![-1.0, 3.0, 4.0], vec![0.0, 2.0, 7.0]]).unwrap());
        assert!((mean - 2.5).abs() < 1e-12 && (low + high - 5.0).abs() < 1e-12 && low < -1.0);
        assert_eq!(value(&Grid::new(vec![vec![2.0; 4]]).unwrap()).interval, [2.0, 2.0]);
    }
}
