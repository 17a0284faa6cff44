//! Compares generated boards with recorded ones: floor cells, length of the shortest solution, pushes, sub-goals.
//!
//! `cargo run --release -p stepladder-sokoban --example distribution -- BOARDS.jsonl gym|verl-agent [DEPTH]`
//!
//! The file has one board per line, a JSON string in either published form (`parity/levels_sokoban.py` writes it). The
//! same number of boards of the same size is generated twice, with two seeds: the difference between these two samples
//! is the effect of chance.

use std::io::BufRead;
use std::time::Duration;

use stepladder_core::seed::stream;
use stepladder_env::clock::Stopwatch;
use stepladder_sokoban::generate::{Generator, GeneratorOptions, Recipe};
use stepladder_sokoban::{Board, plan};

/// Sorted values per board: moves, pushes, sub-goals, floor cells.
#[derive(Default)]
struct Measurements {
    columns: [Vec<f64>; 4],
    unsolved: usize,
    /// Time to solve each board and cut the solution.
    times: Vec<Duration>,
}

const NAMES: [&str; 4] = ["moves", "pushes", "sub-goals", "floor cells"];

impl Measurements {
    fn of(boards: &[Board]) -> Self {
        let mut measured = Self::default();
        for board in boards {
            let started = Stopwatch::start();
            let found = plan(board);
            measured.times.push(started.elapsed());
            let Some(plan) = found else {
                measured.unsolved += 1;
                continue;
            };
            let mut now = *board;
            let pushes = plan.moves.iter().filter(|one| now.step(**one) == stepladder_sokoban::Moved::Pushed);
            let row = [
                plan.moves.len() as f64,
                pushes.count() as f64,
                plan.subgoals.len() as f64,
                (board.rows() * board.cols() - board.walls().len()) as f64,
            ];
            row.into_iter().zip(&mut measured.columns).for_each(|(value, column)| column.push(value));
        }
        measured.columns.iter_mut().for_each(|column| column.sort_by(f64::total_cmp));
        measured
    }
}

fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
}

/// Returns the Kolmogorov-Smirnov statistic: the largest difference between two empirical distributions. Values must be
/// sorted.
fn kolmogorov_smirnov(one: &[f64], other: &[f64]) -> f64 {
    let below = |values: &[f64], limit: f64| {
        values.partition_point(|value| *value <= limit) as f64 / values.len() as f64
    };
    one.iter().chain(other).map(|at| (below(one, *at) - below(other, *at)).abs()).fold(0.0, f64::max)
}

#[allow(clippy::print_stdout, reason = "a report is what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    const USAGE: &str = "usage: distribution BOARDS.jsonl gym|verl-agent [DEPTH]";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, recipe, rest @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
    let depth = rest.first().map_or(Ok(30), |text| text.parse())?;
    let recipe = match recipe.as_str() {
        "gym" => Recipe::Gym,
        "verl-agent" => Recipe::VerlAgent { depth },
        _ => return Err(USAGE.into()),
    };
    let mut original: Vec<Board> = Vec::new();
    for line in std::io::BufReader::new(fs_err::File::open(path)?).lines() {
        original.push(serde_json::from_str::<String>(&line?)?.parse()?);
    }
    let first = original.first().ok_or("the file holds no board")?;
    let options =
        GeneratorOptions { rows: first.rows(), cols: first.cols(), boxes: first.boxes().len(), recipe };
    let mut generator = Generator::new(options)?;
    let mut draw = |seed| -> Result<Vec<Board>, _> {
        (0..original.len() as u64)
            .map(|number| generator.board(&mut stream(seed, "sokoban/distribution", &[number])))
            .collect()
    };
    let (ours, again) = (draw(0)?, draw(1)?);
    let [original, ours, again] = [&original, &ours, &again].map(|boards| Measurements::of(boards));
    println!("{options:?}, {} boards each", original.columns[0].len() + original.unsolved);
    println!("unsolved: original {}, ours {}", original.unsolved, ours.unsolved);
    let total: Duration = ours.times.iter().sum();
    let (mean, worst) = (total / ours.times.len() as u32, ours.times.iter().max());
    println!("solving ours: {mean:?} each, {:?} at worst", worst.copied().unwrap_or_default());
    println!(
        "| | original | ours | largest difference | between two draws of ours |\n|---|---:|---:|---:|---:|"
    );
    for (number, name) in NAMES.into_iter().enumerate() {
        let [one, other, third] =
            [&original, &ours, &again].map(|measured| measured.columns[number].as_slice());
        let show = |values: &[f64]| {
            let (mean, deviation) = mean_and_deviation(values);
            format!("{mean:.2} ± {deviation:.2}")
        };
        println!(
            "| {name} | {} | {} | {:.3} | {:.3} |",
            show(one),
            show(other),
            kolmogorov_smirnov(one, other),
            kolmogorov_smirnov(other, third)
        );
    }
    let fraction = |measured: &Measurements, limit: f64| {
        let moves = &measured.columns[0];
        100.0 * (1.0 - moves.partition_point(|value| *value <= limit) as f64 / moves.len() as f64)
    };
    for limit in [15.0, 30.0, 50.0, 100.0] {
        println!(
            "longer than {limit} moves: original {:.2} %, ours {:.2} %",
            fraction(&original, limit),
            fraction(&ours, limit)
        );
    }
    for percent in [50, 90, 99] {
        let at =
            |measured: &Measurements| measured.columns[0][(measured.columns[0].len() - 1) * percent / 100];
        println!(
            "{percent} of 100 solutions have at most: original {}, ours {} moves",
            at(&original),
            at(&ours)
        );
    }
    Ok(())
}
