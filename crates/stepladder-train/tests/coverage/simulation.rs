//! Simulated studies: two methods on the same tasks, and how often intervals hold the truth.

use rand::RngExt;
use rayon::prelude::*;
use stepladder_core::seed::{Rng, stream};

use stepladder_train::statistics::{Bounds, Grid, difference, share};

/// Two methods on the same tasks: a task's success is a coin with ln(p / (1 − p)) = method + task + seed + both, all normal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    /// Number of tasks.
    pub(crate) tasks: usize,
    /// Success rate of the first method over all seeds and tasks.
    pub(crate) success: f64,
    /// Standard deviations of tasks, seeds, and seeds within tasks.
    pub(crate) task: f64,
    pub(crate) seed: f64,
    pub(crate) both: f64,
}

/// Settings of every test run: few, and small but for the rare successes.
pub(crate) const QUICK: [Setting; 5] = [
    Setting { tasks: 300, success: 0.03, task: 1.5, seed: 0.3, both: 0.5 },
    Setting { tasks: 40, success: 0.3, task: 1.5, seed: 0.7, both: 0.5 },
    Setting { tasks: 100, success: 0.5, task: 1.5, seed: 0.2, both: 0.5 },
    LARGE,
    Setting { tasks: 300, success: 0.97, task: 2.0, seed: 0.3, both: 0.5 },
];

/// Seeds that vary much: a standard deviation of about 20 points.
pub(crate) const LARGE: Setting = Setting { tasks: 100, success: 0.5, task: 1.5, seed: 1.0, both: 0.5 };

/// Advantage of the second method, in ln(p / (1 − p)).
const ADVANTAGE: f64 = 0.4;

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Setting {
    fn deviation(&self) -> f64 {
        (self.task.powi(2) + self.seed.powi(2) + self.both.powi(2)).sqrt()
    }

    /// Success rate with this location: the mean over a normal variable, by the trapezium rule.
    fn rate(&self, location: f64) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for step in -200..=200 {
            let z = f64::from(step) / 25.0;
            let weight = (-z * z / 2.0).exp();
            sum += weight * logistic(location + self.deviation() * z);
            weights += weight;
        }
        sum / weights
    }

    /// Location that gives the success rate.
    pub(crate) fn location(&self) -> f64 {
        let (mut low, mut high) = (-40.0, 40.0);
        for _ in 0..60 {
            let middle = (low + high) / 2.0;
            if self.rate(middle) < self.success {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low + high) / 2.0
    }
}

/// Two independent normal numbers (Box and Muller 1958).
fn normals(rng: &mut Rng) -> [f64; 2] {
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    let (radius, angle) = ((-2.0 * radius.ln()).sqrt(), std::f64::consts::TAU * angle);
    [radius * angle.cos(), radius * angle.sin()]
}

/// Plays both methods; the seeds are drawn for each.
pub(crate) fn play(setting: &Setting, seeds: usize, location: f64, rng: &mut Rng) -> [Grid; 2] {
    let tasks: Vec<f64> = (0..setting.tasks).map(|_| setting.task * normals(rng)[0]).collect();
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..seeds {
        let of_seed = normals(rng);
        let (mut row, mut other_row) = (Vec::new(), Vec::new());
        for task in &tasks {
            let both = normals(rng);
            let chance = |method: usize, shift: f64| {
                logistic(
                    location + shift + task + setting.seed * of_seed[method] + setting.both * both[method],
                )
            };
            let won = |chance: f64, draw: f64| f64::from(u8::from(draw < chance));
            row.push(won(chance(0, 0.0), rng.random()));
            other_row.push(won(chance(1, ADVANTAGE), rng.random()));
        }
        one.push(row);
        other.push(other_row);
    }
    [one, other].map(|rows| Grid::new(rows).unwrap())
}

pub(crate) fn holds(interval: [f64; 2], truth: f64) -> bool {
    interval[0] <= truth && truth <= interval[1]
}

/// Fraction of the studies in which each interval holds the truth.
pub(crate) fn covered<const N: usize>(
    (setting, seeds, studies): (&Setting, usize, u64),
    judge: impl Fn(&[Grid; 2], [f64; 2], &mut Rng) -> [bool; N] + Sync,
) -> [f64; N] {
    let location = setting.location();
    let truth = [setting.success, setting.rate(location + ADVANTAGE) - setting.success];
    let counts: [u32; N] = (0..studies)
        .into_par_iter()
        .map(|study| {
            let mut rng = stream(1, "coverage", &[study, seeds as u64, setting.tasks as u64]);
            let grids = play(setting, seeds, location, &mut rng);
            judge(&grids, truth, &mut rng).map(u32::from)
        })
        .reduce(|| [0; N], |a, b| std::array::from_fn(|place| a[place] + b[place]));
    counts.map(|count| f64::from(count) / studies as f64)
}

/// Coverages of a setting at 3, 5 and 10 seeds.
pub(crate) struct Row {
    /// Row of the table in docs/statistics.md.
    pub(crate) text: String,
    /// Whether all of them lie between 93 and 97 %.
    pub(crate) inside: bool,
}

/// Simulates studies of each setting: intervals of the mean, and of the gain with paired and with unpaired seeds. `most` limits seeds times tasks.
pub(crate) fn rows(settings: &[Setting], studies: u64, most: usize) -> Vec<Row> {
    settings.iter().map(|setting| row(setting, studies, most)).collect()
}

fn row(setting: &Setting, studies: u64, most: usize) -> Row {
    // More where they cost little.
    let studies = studies * (100 / setting.tasks as u64).max(1);
    let mut columns: [Vec<String>; 3] = Default::default();
    let mut inside = true;
    for seeds in [3, 5, 10].into_iter().filter(|seeds| seeds * setting.tasks <= most) {
        let found = covered((setting, seeds, studies), |[one, other], truth, _| {
            let gain = |paired| difference(other, one, paired, Bounds::Unit).unwrap().interval;
            [holds(share(one).interval, truth[0]), holds(gain(true), truth[1]), holds(gain(false), truth[1])]
        });
        for (column, share) in columns.iter_mut().zip(found) {
            column.push(format!("{:.1}", 100.0 * share));
            inside &= (0.93..=0.97).contains(&share);
        }
    }
    let Setting { tasks, success, task, seed, both } = setting;
    let [mean, paired, unpaired] = columns.map(|column| column.join(", "));
    let percent = 100.0 * success;
    let text =
        format!("| {percent:.0} % | {tasks} | {task}, {seed}, {both} | {mean} | {paired} | {unpaired} |");
    Row { text, inside }
}
