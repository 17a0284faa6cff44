//! Measures speed on one core: `cargo run --release -p stepladder-sokoban --example bench -- [SPLIT] [STEPS]`.
//!
//! Prints the report of `env bench` as JSON, then the speed through the environment contract (action and observation
//! are strings, one allocation each).

use rand::RngExt;
use stepladder_core::seed::stream;
use stepladder_env::clock::Stopwatch;
use stepladder_env::{Env, TaskSet, TimeLimit};
use stepladder_sokoban::bench::{Workload, bench};
use stepladder_sokoban::{Board, Direction, Options, Sokoban, splits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let split = arguments.next().unwrap_or_else(|| "train-6x6-1".to_owned());
    let steps: u64 = arguments.next().map_or(Ok(20_000_000), |text| text.parse())?;
    let set = Sokoban::default();
    let tasks = set.tasks(&split)?;
    let started = Stopwatch::start();
    let boards: Vec<Board> = tasks
        .iter()
        .map(|task| Ok(set.level(task)?.board))
        .collect::<Result<_, stepladder_env::EnvError>>()?;
    let opening = started.elapsed();
    let size = splits::SIZES.iter().find(|size| split.ends_with(size.name)).ok_or("not a generated split")?;
    let report = bench(Workload {
        boards: &boards,
        max_steps: size.max_steps,
        options: Options::default(),
        steps,
        seed: 0,
        generator: size.generator().map(|generator| (generator, steps / 200)),
    });
    eprintln!("{}", serde_json::to_string_pretty(&report.ok_or("no boards")?)?);
    eprintln!("held-out boards and {} of {split}: {opening:?}", boards.len());

    let mut env = TimeLimit::new(set.make()?, size.max_steps);
    let mut rng = stream(0, "sokoban/bench/contract", &[]);
    let (mut played, mut bytes) = (0u64, 0usize);
    let dev = set.tasks(&split.replace("train", "dev"))?;
    let started = Stopwatch::start();
    for task in dev.iter().cycle() {
        if played * 10 >= steps {
            break;
        }
        bytes += env.reset(task, 0)?.text.len();
        loop {
            let step = env.step(Direction::ALL[rng.random_range(0..4)].name())?;
            bytes += step.observation.len();
            played += 1;
            if step.end.is_some() {
                break;
            }
        }
    }
    let contract = played as f64 / started.elapsed().as_secs_f64();
    eprintln!("through the contract: {contract:.0} steps/s ({bytes} bytes of text)");
    Ok(())
}
