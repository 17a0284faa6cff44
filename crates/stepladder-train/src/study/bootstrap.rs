//! Bootstrap intervals over seeds and tasks.

use rand::RngExt;
use stepladder_core::seed::{Rng, stream};
use stepladder_rollout::evaluation::wilson;

/// Resamples per interval.
const RESAMPLES: usize = 10_000;

/// Results of several runs on the same tasks: one row per run.
pub(super) type Grid = Vec<Vec<f64>>;

/// Mean over runs and tasks.
pub(super) fn mean(grid: &Grid) -> f64 {
    let count: usize = grid.iter().map(Vec::len).sum();
    grid.iter().flatten().sum::<f64>() / count.max(1) as f64
}

/// Computes the 95 % percentile interval of the mean. Runs and tasks are drawn with replacement, and all runs of a resample have
/// the same tasks (Davison and Hinkley 1997, section 3.8). A single run varies over tasks only. Where all runs solve no task, or every
/// task, resamples do not vary: then it is the Wilson interval of one run.
pub(super) fn interval(grid: &Grid) -> [f64; 2] {
    let (n, all) = (grid.first().map_or(0, Vec::len), mean(grid));
    if n > 0 && (all == 0.0 || all == 1.0) {
        return wilson(if all == 0.0 { 0 } else { n }, n);
    }
    percentiles(|rng| resampled(grid, &drawn(grid.first().map_or(0, Vec::len), rng), rng))
}

/// Computes the 95 % percentile interval of `mean(grid) - mean(other)` on the same tasks: runs are drawn for each side by itself,
/// tasks for both together.
pub(super) fn difference(grid: &Grid, other: &Grid) -> [f64; 2] {
    percentiles(|rng| {
        let tasks = drawn(grid.first().map_or(0, Vec::len), rng);
        resampled(grid, &tasks, rng) - resampled(other, &tasks, rng)
    })
}

/// Draws task indices with replacement.
fn drawn(tasks: usize, rng: &mut Rng) -> Vec<usize> {
    (0..tasks).map(|_| rng.random_range(0..tasks)).collect()
}

/// Mean over runs drawn with replacement, on these tasks.
fn resampled(grid: &Grid, tasks: &[usize], rng: &mut Rng) -> f64 {
    let mut sum = 0.0;
    for _ in grid {
        let run = &grid[rng.random_range(0..grid.len())];
        sum += tasks.iter().map(|&task| run[task]).sum::<f64>();
    }
    sum / (grid.len() * tasks.len()).max(1) as f64
}

fn percentiles(mut resample: impl FnMut(&mut Rng) -> f64) -> [f64; 2] {
    let mut rng = stream(0, "bootstrap", &[]);
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| resample(&mut rng)).collect();
    means.sort_by(f64::total_cmp);
    [means[RESAMPLES / 40], means[RESAMPLES - 1 - RESAMPLES / 40]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 of 100 tasks solved.
    fn run(from: usize) -> Vec<f64> {
        (0..100).map(|task| if (task + from) % 100 < 40 { 1.0 } else { 0.0 }).collect()
    }

    #[test]
    fn a_single_run_has_the_interval_of_a_proportion() {
        let [low, high] = interval(&vec![run(0)]);
        // 0.4 ± 1.96 √(0.4 · 0.6 / 100) = 0.304, 0.496.
        assert!((low - 0.304).abs() < 0.012 && (high - 0.496).abs() < 0.012, "{low} {high}");
    }

    #[test]
    fn equal_runs_add_nothing_and_different_runs_widen_the_interval() {
        let single = interval(&vec![run(0)]);
        let equal = interval(&vec![run(0); 3]);
        assert!((single[0] - equal[0]).abs() < 0.012 && (single[1] - equal[1]).abs() < 0.012);
        let runs = vec![vec![0.0; 100], run(0), vec![1.0; 100]];
        let [low, high] = interval(&runs);
        assert!(low < 0.1 && high > 0.9, "{low} {high}");
        assert!((mean(&runs) - 1.4 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_difference_is_paired_by_task() {
        assert_eq!(difference(&vec![run(0)], &vec![run(0); 2]), [0.0, 0.0]);
        let [low, high] = difference(&vec![vec![1.0; 100]], &vec![run(0)]);
        assert!((low - 0.504).abs() < 0.012 && (high - 0.696).abs() < 0.012, "{low} {high}");
    }

    #[test]
    fn without_variation_the_interval_is_that_of_one_run() {
        assert_eq!(interval(&vec![vec![0.0; 20]; 3]), wilson(0, 20));
        assert_eq!(interval(&vec![vec![1.0; 40]]), wilson(40, 40));
    }

    #[test]
    fn nothing_is_no_panic() {
        assert_eq!((mean(&vec![]), interval(&vec![])), (0.0, [0.0, 0.0]));
        assert_eq!(interval(&vec![vec![]]), [0.0, 0.0]);
    }
}
