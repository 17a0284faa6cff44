//! The two-way layout of seeds and tasks.

/// Results of several seeds on the same tasks: a row per seed, a column per task; at least one of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    rows: Vec<Vec<f64>>,
}

/// Mean squares of a layout, each with its degrees of freedom; zero where there are none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Squares {
    pub(super) seeds: f64,
    pub(super) tasks: f64,
    pub(super) residual: f64,
}

impl Grid {
    /// Takes one row per seed; `None` without rows or tasks, or if the rows differ in length.
    pub fn new(rows: Vec<Vec<f64>>) -> Option<Self> {
        let tasks = rows.first()?.len();
        (tasks > 0 && rows.iter().all(|row| row.len() == tasks)).then_some(Self { rows })
    }

    /// Number of seeds.
    pub fn seeds(&self) -> usize {
        self.rows.len()
    }

    /// Number of tasks.
    pub fn tasks(&self) -> usize {
        self.rows[0].len()
    }

    /// Results of a seed on every task.
    pub fn row(&self, seed: usize) -> &[f64] {
        &self.rows[seed]
    }

    /// Mean of every seed.
    pub fn by_seed(&self) -> Vec<f64> {
        self.rows.iter().map(|row| mean(row)).collect()
    }

    /// Mean of every task.
    pub fn by_task(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.tasks()];
        for row in &self.rows {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
        }
        let seeds = self.seeds() as f64;
        sums.into_iter().map(|sum| sum / seeds).collect()
    }

    /// Mean of all results.
    pub fn mean(&self) -> f64 {
        mean(&self.by_seed())
    }

    /// Whether every result is 0 or 1.
    pub(super) fn is_binary(&self) -> bool {
        self.rows.iter().flatten().all(|&value| value == 0.0 || value == 1.0)
    }

    /// Number of results.
    pub(super) fn size(&self) -> f64 {
        (self.seeds() * self.tasks()) as f64
    }

    /// Mean squares of seeds, tasks and the rest.
    pub(super) fn squares(&self) -> Squares {
        let (seeds, tasks) = (self.seeds() as f64, self.tasks() as f64);
        let (rows, columns) = (self.by_seed(), self.by_task());
        let all = mean(&rows);
        let mut residual = 0.0;
        for (row, of_row) in self.rows.iter().zip(&rows) {
            for (value, of_column) in row.iter().zip(&columns) {
                residual += (value - of_row - of_column + all).powi(2);
            }
        }
        let around = |values: &[f64]| values.iter().map(|value| (value - all).powi(2)).sum::<f64>();
        // A lone seed or task has no square, and a residual without freedom is 0.
        let per = |sum: f64, freedom: f64| if freedom > 0.0 { sum / freedom } else { 0.0 };
        Squares {
            seeds: per(tasks * around(&rows), seeds - 1.0),
            tasks: per(seeds * around(&columns), tasks - 1.0),
            residual: per(residual, (seeds - 1.0) * (tasks - 1.0)),
        }
    }
}

/// Mean of values; 0 without any.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_squares_are_those_of_the_textbook() {
        // Searle, Casella and McCulloch's two-way layout by hand: rows 1, 2, 3 / 3, 4, 8.
        let grid = Grid::new(vec![vec![1.0, 2.0, 3.0], vec![3.0, 4.0, 8.0]]).unwrap();
        assert_eq!((grid.by_seed(), grid.by_task()), (vec![2.0, 5.0], vec![2.0, 3.0, 5.5]));
        let Squares { seeds, tasks, residual } = grid.squares();
        // 3 * 2 * 1.5^2 = 13.5; 2 * (1.5^2 + 0.5^2 + 2^2) / 2 = 6.5; the rest of 29.5 over 2.
        assert!((seeds - 13.5).abs() < 1e-12 && (tasks - 6.5).abs() < 1e-12, "{seeds} {tasks}");
        assert!((residual - (29.5 - 13.5 - 13.0) / 2.0).abs() < 1e-12, "{residual}");
    }

    #[test]
    fn a_layout_has_rows_of_one_length() {
        assert!(Grid::new(vec![]).is_none() && Grid::new(vec![vec![]]).is_none());
        assert!(Grid::new(vec![vec![1.0], vec![1.0, 0.0]]).is_none());
        let Squares { seeds, tasks, residual } = Grid::new(vec![vec![0.0, 1.0]]).unwrap().squares();
        assert_eq!((seeds, tasks, residual), (0.0, 0.5, 0.0));
    }
}
