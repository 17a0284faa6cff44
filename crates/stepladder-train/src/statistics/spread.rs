//! Variance of a mean as a sum of mean squares, and the t quantile that fits it.

use super::grid::{Grid, Squares};
use super::student;

/// Smallest p value that is told apart from zero.
pub(super) const SMALLEST: f64 = 1e-12;

/// Estimated variance of a mean: a sum of mean squares with factors, each with its degrees of freedom.
///
/// The quantile is Student's at Satterthwaite's degrees of freedom (1946): (Σ v)² / Σ (v² / ν). Where the seeds vary much it is that of
/// n − 1 degrees, where they vary no more than chance would make them it is that of the tasks.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Spread {
    terms: Vec<(f64, f64)>,
}

impl Spread {
    /// Adds a term; without degrees of freedom it adds nothing.
    pub(super) fn add(&mut self, variance: f64, freedom: f64) {
        if freedom > 0.0 && variance != 0.0 {
            self.terms.push((variance, freedom));
        }
    }

    /// Adds what the means of the seeds vary beyond the residuals of their layouts, over all layouts together, if they do.
    pub(super) fn add_seeds(&mut self, grids: &[&Grid]) {
        let mut terms = Vec::new();
        for grid in grids.iter().filter(|grid| grid.seeds() > 1) {
            let Squares { seeds, residual, .. } = grid.squares();
            let freedom = grid.seeds() as f64 - 1.0;
            terms.push((seeds / grid.size(), freedom));
            terms.push((-residual / grid.size(), freedom * (grid.tasks() as f64 - 1.0)));
        }
        if terms.iter().map(|term| term.0).sum::<f64>() > 0.0 {
            terms.into_iter().for_each(|(variance, freedom)| self.add(variance, freedom));
        }
    }

    /// Variance of the mean of a layout: what the means of the tasks vary, at least the residual, and what the seeds vary beyond it.
    pub(super) fn of(grid: &Grid) -> Self {
        let Squares { tasks, residual, .. } = grid.squares();
        let mut spread = Self::default();
        spread.add(tasks.max(residual) / grid.size(), grid.tasks() as f64 - 1.0);
        spread.add_seeds(&[grid]);
        spread
    }

    /// Standard error of the mean.
    pub(super) fn error(&self) -> f64 {
        self.terms.iter().map(|term| term.0).sum::<f64>().max(0.0).sqrt()
    }

    /// Satterthwaite's degrees of freedom.
    pub(super) fn freedom(&self) -> f64 {
        let squares: f64 = self.terms.iter().map(|(variance, freedom)| variance * variance / freedom).sum();
        if squares > 0.0 { self.error().powi(4) / squares } else { 1.0 }
    }

    /// Half width of the interval of this level.
    pub(super) fn reach(&self, alpha: f64) -> f64 {
        let error = self.error();
        if error > 0.0 { student::quantile(alpha, self.freedom()) * error } else { 0.0 }
    }

    /// Two-sided p value of a distance from zero, at least [`SMALLEST`].
    pub(super) fn p(&self, distance: f64) -> f64 {
        let error = self.error();
        match (distance == 0.0, error > 0.0) {
            (true, _) => 1.0,
            (false, false) => SMALLEST,
            (false, true) => {
                student::two_sided(distance / error, self.freedom().max(1.0)).clamp(SMALLEST, 1.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(terms: &[(f64, f64)]) -> Spread {
        let mut spread = Spread::default();
        for &(variance, freedom) in terms {
            spread.add(variance, freedom);
        }
        spread
    }

    #[test]
    fn one_term_has_the_quantile_of_its_freedom() {
        let spread = sum(&[(4.0, 2.0), (0.0, 9.0), (5.0, 0.0)]);
        assert!((spread.reach(0.05) - 2.0 * 4.302_653).abs() < 1e-5);
        // The paired t test of the differences 1, 2, 3: mean 2, error 1/√3, two degrees.
        let spread = sum(&[(1.0 / 3.0, 2.0)]);
        assert!((spread.p(2.0) - 0.074_180).abs() < 1e-6, "{}", spread.p(2.0));
        assert_eq!(spread.p(0.0), 1.0);
    }

    #[test]
    fn the_freedom_of_a_sum_is_satterthwaites() {
        // Welch's example of two means: variances 1 and 1 with 2 and 99 degrees have 4 / (1/2 + 1/99).
        let spread = sum(&[(1.0, 2.0), (1.0, 99.0)]);
        assert!((spread.freedom() - 4.0 / (0.5 + 1.0 / 99.0)).abs() < 1e-12);
        let reach = spread.reach(0.05);
        assert!((spread.p(reach) - 0.05).abs() < 1e-12);
        // A term that is subtracted lowers the variance and adds its own uncertainty.
        let less = sum(&[(1.0, 2.0), (1.0, 99.0), (-0.5, 198.0)]);
        assert!((less.error().powi(2) - 1.5).abs() < 1e-12 && less.freedom() < spread.freedom());
    }

    #[test]
    fn seeds_that_vary_no_more_than_the_residual_add_nothing() {
        let grid = Grid::new(vec![vec![1.0, 0.0, 1.0, 0.0], vec![1.0, 0.0, 0.0, 1.0]]).unwrap();
        let squares = grid.squares();
        assert!(squares.seeds < squares.residual);
        assert_eq!(Spread::of(&grid).freedom(), 3.0);
        assert!(
            (Spread::of(&grid).error().powi(2) - squares.tasks.max(squares.residual) / 8.0).abs() < 1e-12
        );
    }

    #[test]
    fn a_spread_of_nothing_is_no_panic() {
        let none = Spread::default();
        assert_eq!((none.error(), none.reach(0.05), none.p(0.0), none.p(1.0)), (0.0, 0.0, 1.0, SMALLEST));
        assert!(sum(&[(1.0, 2.0)]).p(f64::INFINITY) <= SMALLEST);
    }
}
