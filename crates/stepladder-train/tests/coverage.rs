//! Intervals hold the truth as often as they say, and those of earlier versions did not: simulations with fixed seeds
//! (docs/statistics.md). The example `coverage` simulates more settings.
#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

use rand::RngExt;
use rayon::prelude::*;
use stepladder_core::seed::{Rng, stream};
use stepladder_train::statistics::{ALPHA, Bounds, Grid, difference};

#[path = "coverage/simulation.rs"]
mod simulation;

use simulation::{LARGE, QUICK, Setting, covered, holds, play, rows};

#[test]
fn intervals_hold_the_truth_in_93_to_97_percent_of_studies() {
    // The standard error of a coverage of 95 % is 0.8 points.
    let rows = rows(&QUICK, 800, 1500);
    let outside: Vec<&str> = rows.iter().filter(|row| !row.inside).map(|row| row.text.as_str()).collect();
    assert!(outside.is_empty(), "{}", outside.join("\n"));
}

/// The interval of earlier versions: percentiles of means over runs and tasks drawn with replacement.
fn percentiles(mut draw: impl FnMut(&mut Rng) -> f64, rng: &mut Rng) -> [f64; 2] {
    const DRAWS: usize = 200;
    let mut means: Vec<f64> = (0..DRAWS).map(|_| draw(rng)).collect();
    means.sort_by(f64::total_cmp);
    [means[DRAWS / 40], means[DRAWS - 1 - DRAWS / 40]]
}

fn resampled(grid: &Grid, tasks: &[usize], rng: &mut Rng) -> f64 {
    let mut sum = 0.0;
    for _ in 0..grid.seeds() {
        let row = grid.row(rng.random_range(0..grid.seeds()));
        sum += tasks.iter().map(|&task| row[task]).sum::<f64>();
    }
    sum / (grid.seeds() * tasks.len()) as f64
}

#[test]
fn the_percentile_bootstrap_of_few_seeds_holds_it_too_rarely() {
    let setting = &LARGE;
    for seeds in [3, 5] {
        let [mean, gain] = covered((setting, seeds, 200), |[one, other], truth, rng| {
            let drawn = |rng: &mut Rng| -> Vec<usize> {
                (0..setting.tasks).map(|_| rng.random_range(0..setting.tasks)).collect()
            };
            let mean = percentiles(|rng| resampled(one, &drawn(rng), rng), rng);
            let gain = percentiles(
                |rng| {
                    let tasks = drawn(rng);
                    resampled(other, &tasks, rng) - resampled(one, &tasks, rng)
                },
                rng,
            );
            [holds(mean, truth[0]), holds(gain, truth[1])]
        });
        println!("percentile bootstrap, {seeds} seeds: mean {mean:.3}, gain {gain:.3}");
        assert!(mean < 0.93 && gain < 0.93, "{seeds} seeds: {mean} {gain}");
    }
}

#[test]
fn a_difference_that_is_none_is_called_one_in_5_percent_of_studies() {
    const STUDIES: u64 = 800;
    let setting = Setting { tasks: 100, success: 0.5, task: 1.5, seed: 0.4, both: 0.5 };
    for seeds in [3, 5, 10] {
        let location = setting.location();
        let claims = (0..STUDIES)
            .into_par_iter()
            .filter(|&study| {
                let mut rng = stream(2, "coverage", &[study, seeds as u64]);
                // Two draws of the same method on the same tasks.
                let [one, _] = play(&setting, 2 * seeds, location, &mut rng);
                let half = |from: usize| {
                    Grid::new((from..from + seeds).map(|seed| one.row(seed).to_vec()).collect()).unwrap()
                };
                difference(&half(0), &half(seeds), false, Bounds::Unit).unwrap().p < ALPHA
            })
            .count();
        let share = claims as f64 / STUDIES as f64;
        println!("no difference, {seeds} seeds: {:.1} % called one", 100.0 * share);
        assert!((0.03..=0.07).contains(&share), "{seeds} seeds: {share}");
    }
}
