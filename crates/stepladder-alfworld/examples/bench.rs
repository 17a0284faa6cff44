//! Measures the speed of the engine: `cargo run --release -p stepladder-alfworld --example bench -- DATA_ROOT [SPLIT]
//! [STEPS]`.
//!
//! Prints the report of `env bench` as JSON, then the speed through the environment contract (one allocated string per
//! command) and the time to load a game.

use std::path::Path;
use std::sync::Arc;

use rand::RngExt;
use stepladder_alfworld::{Alfworld, Game, Options, bench, tasks};
use stepladder_core::seed::stream;
use stepladder_env::TaskSet;
use stepladder_env::clock::Stopwatch;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().ok_or("usage: bench DATA_ROOT [SPLIT] [STEPS]")?;
    let split = arguments.next().unwrap_or_else(|| "valid_seen".to_owned());
    let steps: u64 = arguments.next().map_or(Ok(2_000_000), |text| text.parse())?;
    let root = Path::new(&root);
    let set = Alfworld::new(root, Options::default());
    let tasks = set.tasks(&split)?;

    let directory = root.join(tasks::GAMES_DIRECTORY);
    let path = |id: &str| directory.join(id).join("game.tw-pddl");
    for task in &tasks {
        fs_err::read(path(&task.id))?; // Warms the page cache: the disk is not measured.
    }
    let started = Stopwatch::start();
    let games: Vec<Arc<Game>> =
        tasks.iter().map(|task| Game::load(&path(&task.id)).map(Arc::new)).collect::<Result<_, _>>()?;
    let load = started.elapsed() / tasks.len() as u32;

    let report = bench::bench(&games, steps, 0).ok_or("no games")?;
    eprintln!("{}", serde_json::to_string_pretty(&report)?);

    let mut env = set.make()?;
    let mut rng = stream(0, "alfworld/bench/contract", &[]);
    let (mut played, mut bytes) = (0u64, 0usize);
    let started = Stopwatch::start();
    for task in tasks.iter().cycle() {
        if played * 4 >= steps {
            break;
        }
        bytes += env.reset(task, 0)?.text.len();
        for _ in 0..bench::EPISODE {
            let commands = env.admissible().ok_or("no list")?.admissible_actions();
            let step = env.step(&commands[rng.random_range(0..commands.len())])?;
            bytes += step.observation.len();
            played += 1;
            if step.end.is_some() {
                break;
            }
        }
    }
    let contract = played as f64 / started.elapsed().as_secs_f64();
    eprintln!("through the contract: {contract:.0} steps/s ({bytes} bytes of text); load: {load:?} per game");
    Ok(())
}
