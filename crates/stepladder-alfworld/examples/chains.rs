//! Statistics of chains: `cargo run --release -p stepladder-alfworld --example chains -- [GAMES]` prints the tables of
//! docs/households.md over the first GAMES games (default 300) of each split `train-goals-N`.

#[allow(dead_code, reason = "the tables use only some fields of a rollout")]
#[path = "expert_stats/rollout.rs"]
mod rollout;

use std::collections::BTreeMap;
use std::io::Write;

use rayon::prelude::*;
use rollout::{Disturbance, Rollout, play};
use stepladder_alfworld::generate::{Family, GeneratorOptions, GoalCount, Room, Split, generate, read_chain};
use stepladder_alfworld::{AlfworldExpert, Households};
use stepladder_core::{TaskKey, seed};
use stepladder_env::TaskSet;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Probability of a wrong action in the last two columns.
const NOISE: f64 = 0.2;

/// Measurements for one number of goals.
#[derive(Default)]
struct Row {
    games: usize,
    walkthrough: Vec<usize>,
    expert: Vec<Rollout>,
    noisy: Vec<Rollout>,
    families: BTreeMap<Family, usize>,
    rooms: BTreeMap<Room, usize>,
}

fn main() -> Result<(), Failure> {
    let games: u64 = std::env::args().nth(1).map_or(Ok(300), |text| text.parse())?;
    let rows: Vec<(GoalCount, Row)> =
        GoalCount::all().map(|goals| Ok((goals, row(goals, games)?))).collect::<Result<_, Failure>>()?;
    let out = &mut std::io::stdout().lock();
    writeln!(
        out,
        "| goals | walkthrough, steps | expert, steps | per goal | most | expert wins | steps with noise {NOISE} | wins |"
    )?;
    writeln!(out, "|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    for (goals, row) in &rows {
        let walkthrough = mean(&row.walkthrough);
        let (steps, noisy) = (lengths(&row.expert), lengths(&row.noisy));
        writeln!(
            out,
            "| {} | {walkthrough:.1} | {:.1} | {:.2} | {} | {:.1} % | {:.1} | {:.1} % |",
            goals.get(),
            mean(&steps),
            mean(&steps) / goals.get() as f64,
            steps.iter().max().unwrap_or(&0),
            won(&row.expert),
            mean(&noisy),
            won(&row.noisy),
        )?;
    }
    let heads: Vec<String> = rows.iter().map(|(goals, _)| goals.get().to_string()).collect();
    writeln!(out, "\n| fraction of goals, by number of goals | {} |", heads.join(" | "))?;
    writeln!(out, "|---|{}", "---:|".repeat(rows.len()))?;
    for family in Family::ALL {
        let fractions = |(goals, row): &(GoalCount, Row)| {
            percent(row.families.get(&family).copied().unwrap_or(0), row.games * goals.get())
        };
        let fractions: Vec<String> = rows.iter().map(fractions).collect();
        writeln!(out, "| `{}` | {} |", family.name(), fractions.join(" | "))?;
    }
    for room in Room::ALL {
        let fraction =
            |(_, row): &(GoalCount, Row)| percent(row.rooms.get(&room).copied().unwrap_or(0), row.games);
        let fractions: Vec<String> = rows.iter().map(fraction).collect();
        writeln!(out, "| {}, fraction of games | {} |", room.name(), fractions.join(" | "))?;
    }
    Ok(())
}

fn row(goals: GoalCount, games: u64) -> Result<Row, Failure> {
    let options = GeneratorOptions { goals, ..GeneratorOptions::default() };
    let drawn: Vec<_> =
        (0..games).into_par_iter().map(|number| generate(Split::Train, number, &options)).collect();
    let mut row = Row { games: drawn.len(), ..Row::default() };
    for game in &drawn {
        row.walkthrough.push(game.walkthrough.len());
        *row.rooms.entry(game.room).or_default() += 1;
        for task in read_chain(&game.pddl_problem)?.1 {
            *row.families.entry(task.family).or_default() += 1;
        }
    }
    row.expert = rollouts(goals, games, Disturbance::default())?;
    row.noisy = rollouts(goals, games, Disturbance { noise: NOISE, burst: 0 })?;
    Ok(row)
}

fn rollouts(goals: GoalCount, games: u64, disturbance: Disturbance) -> Result<Vec<Rollout>, Failure> {
    let set = Households::default();
    let split = format!("train-goals-{}", goals.get());
    let limit = set.max_steps(&split) as usize;
    let expert = AlfworldExpert::default();
    (0..games)
        .into_par_iter()
        .map(|number| {
            let task = TaskKey::new("household", &split, format!("seed-{number}"));
            let mut rng = seed::stream(1, "noise", &[number]);
            Ok(play(&mut *set.make()?, &task, &expert, limit, disturbance, &mut rng)?)
        })
        .collect()
}

fn lengths(rollouts: &[Rollout]) -> Vec<usize> {
    rollouts.iter().map(|rollout| rollout.demonstration.steps.len()).collect()
}

fn won(rollouts: &[Rollout]) -> f64 {
    100.0 * rollouts.iter().filter(|rollout| rollout.won).count() as f64 / rollouts.len().max(1) as f64
}

fn mean(values: &[usize]) -> f64 {
    values.iter().sum::<usize>() as f64 / values.len().max(1) as f64
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}
