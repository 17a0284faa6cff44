//! Difference of two methods on the same tasks.

use serde::Serialize;
use stepladder_rollout::evaluation::wilson;

use super::grid::Grid;
use super::spread::{SMALLEST, Spread};
use super::{ALPHA, Bounds, Scope};

/// A difference of two means with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean of the one less that of the other.
    #[serde(rename = "mean")]
    pub difference: f64,
    /// 95 % interval.
    pub interval: [f64; 2],
    /// Two-sided p value of no difference; not less than 1e-12.
    pub p: f64,
    /// p value after Holm's adjustment over the differences of a table; the same as `p` for a single one.
    pub p_holm: f64,
    /// What the interval generalises to.
    pub scope: Scope,
    /// Number of tasks that both played.
    pub tasks: usize,
}

impl Difference {
    /// The same difference in other units.
    pub fn scaled(self, scale: f64) -> Self {
        Self { difference: scale * self.difference, interval: self.interval.map(|end| scale * end), ..self }
    }
}

/// Compares two layouts on the same tasks, whose columns stand in the same order. With `paired` the seeds belong together one by one,
/// as they do where both have the same; else each side's seeds vary by themselves. A side of a single seed adds no variance of seeds:
/// the interval is for that seed. `None` if the numbers of tasks differ, or of seeds where these are paired.
pub fn difference(grid: &Grid, other: &Grid, paired: bool, bounds: Bounds) -> Option<Difference> {
    if grid.tasks() != other.tasks() {
        return None;
    }
    let tasks = grid.tasks();
    let difference = grid.mean() - other.mean();
    let seeds = if paired { grid.seeds() } else { grid.seeds().max(other.seeds()) };
    let scope = if seeds > 1 { Scope::SeedsAndTasks } else { Scope::Tasks };
    let spread = if paired {
        if grid.seeds() != other.seeds() {
            return None;
        }
        Spread::of(&minus(grid, other)?)
    } else {
        unpaired(grid, other)
    };
    let (interval, p) = if spread.error() == 0.0 {
        unvaried(difference, tasks, bounds)
    } else {
        let reach = spread.reach(ALPHA);
        ([difference - reach, difference + reach], spread.p(difference))
    };
    let interval = match bounds {
        Bounds::Unit => interval.map(|end| end.clamp(-1.0, 1.0)),
        Bounds::None => interval,
    };
    Some(Difference { difference, interval, p, p_holm: p, scope, tasks })
}

fn minus(grid: &Grid, other: &Grid) -> Option<Grid> {
    let rows = (0..grid.seeds())
        .map(|seed| grid.row(seed).iter().zip(other.row(seed)).map(|(value, other)| value - other).collect());
    Grid::new(rows.collect())
}

/// Variance where the seeds of both sides vary by themselves: what the mean differences of the tasks vary, at least the residuals, and
/// what the seeds of both sides vary beyond these.
fn unpaired(grid: &Grid, other: &Grid) -> Spread {
    let tasks = grid.tasks() as f64;
    let by_task = grid.by_task().into_iter().zip(other.by_task()).map(|(value, other)| value - other);
    let varied = Grid::new(vec![by_task.collect()]).map_or(0.0, |lone| lone.squares().tasks / tasks);
    let residuals: f64 = [grid, other].iter().map(|side| side.squares().residual / side.size()).sum();
    let mut spread = Spread::default();
    spread.add(varied.max(residuals), tasks - 1.0);
    spread.add_seeds(&[grid, other]);
    spread
}

/// Interval and p value where every task of every seed has the same difference. Of a number from 0 to 1, the share of tasks on which
/// it is another one is at most the Wilson interval's end for none of them; p is that of the sign test over tasks.
fn unvaried(difference: f64, tasks: usize, bounds: Bounds) -> ([f64; 2], f64) {
    let p = if difference == 0.0 { 1.0 } else { 2f64.powf(1.0 - tasks as f64).clamp(SMALLEST, 1.0) };
    let other = match bounds {
        Bounds::Unit => wilson(0, tasks)[1],
        Bounds::None => 0.0,
    };
    // On those tasks the difference may be as far off as the bounds allow.
    ([difference - other * (1.0 + difference), difference + other * (1.0 - difference)], p)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: usize, solved: usize) -> Vec<f64> {
        (0..100).map(|task| if (task + from) % 100 < solved { 1.0 } else { 0.0 }).collect()
    }

    fn of(rows: &[Vec<f64>], others: &[Vec<f64>], paired: bool) -> Difference {
        let grid = |rows: &[Vec<f64>]| Grid::new(rows.to_vec()).unwrap();
        difference(&grid(rows), &grid(others), paired, Bounds::Unit).unwrap()
    }

    #[test]
    fn a_difference_is_paired_by_task() {
        // 60 tasks against 40 of them: 20 tasks differ. sqrt(0.2 * 0.8 / 99) = 0.0402, t(99) = 1.984.
        let found = of(&[run(0, 60)], &[run(0, 40)], true);
        assert!((found.difference - 0.2).abs() < 1e-12 && found.scope == Scope::Tasks && found.tasks == 100);
        assert!((found.interval[0] - 0.1202).abs() < 1e-3 && (found.interval[1] - 0.2798).abs() < 1e-3);
        assert!(found.p > 1e-6 && found.p < 1e-5 && found.p_holm == found.p, "{}", found.p);
        // The same number of tasks, other ones: paired by task it is wider.
        let crossed = of(&[run(0, 60)], &[run(50, 40)], true);
        assert!(crossed.interval[0] < 0.05, "{crossed:?}");
    }

    #[test]
    fn equal_seeds_share_what_they_have_in_common() {
        let high: Vec<Vec<f64>> = [50, 60, 70].map(|solved| run(0, solved)).to_vec();
        let low: Vec<Vec<f64>> = [42, 50, 61].map(|solved| run(0, solved)).to_vec();
        let (paired, free) = (of(&high, &low, true), of(&high, &low, false));
        assert!((paired.difference - 0.09).abs() < 1e-12 && (free.difference - 0.09).abs() < 1e-12);
        assert!(paired.interval[0] > 0.0 && free.interval[0] < -0.05, "{paired:?} {free:?}");
        assert!(paired.p < 0.05 && free.p > 0.2 && paired.scope == Scope::SeedsAndTasks);
        // Sides of several sizes: only the side with seeds has their variance.
        let mixed = of(&[run(0, 60)], &low, false);
        assert!(mixed.scope == Scope::SeedsAndTasks && mixed.interval[0] > free.interval[0]);
    }

    #[test]
    fn the_p_value_is_the_level_whose_interval_ends_at_zero() {
        let shifted = of(&[run(0, 60), run(3, 55)], &[run(1, 52), run(9, 50)], true);
        let holds = shifted.interval[0] <= 0.0 && shifted.interval[1] >= 0.0;
        assert_eq!(holds, shifted.p >= ALPHA, "{shifted:?}");
    }

    #[test]
    fn without_variation_the_interval_is_honest() {
        let Difference { difference, interval, p, .. } = of(&vec![run(0, 40); 3], &vec![run(0, 40); 3], true);
        let end = wilson(0, 100)[1];
        assert_eq!((difference, interval, p), (0.0, [-end, end], 1.0));
        let all = of(&[vec![1.0; 8]], &[vec![0.0; 8]], true);
        assert_eq!((all.difference, all.interval[1]), (1.0, 1.0));
        assert!((all.interval[0] - (1.0 - 2.0 * wilson(0, 8)[1])).abs() < 1e-12 && all.p == 1.0 / 128.0);
    }

    #[test]
    fn what_cannot_be_paired_is_none() {
        let grid = |seeds: usize, tasks: usize| Grid::new(vec![vec![0.5; tasks]; seeds]).unwrap();
        assert!(difference(&grid(2, 3), &grid(2, 4), false, Bounds::None).is_none());
        assert!(difference(&grid(2, 3), &grid(3, 3), true, Bounds::None).is_none());
        let same = difference(&grid(2, 3), &grid(3, 3), false, Bounds::None).unwrap();
        assert_eq!((same.interval, same.p), ([0.0, 0.0], 1.0));
    }
}
