//! Writes generated households as game files: `cargo run --release -p stepladder-alfworld --example generate -- --split
//! dev --count 12 --seed 0 -o DIR` writes `DIR/seed-0/game.tw-pddl` and so on.

use std::path::PathBuf;
use std::process::ExitCode;

use stepladder_alfworld::Dialect;
use stepladder_alfworld::generate::{GeneratorOptions, Split, generate};

const USAGE: &str = "usage: generate --split train|dev|test --count N --seed FIRST [--dialect alfworld-0.4|alfworld-0.3] -o DIR";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut split, mut count, mut first, mut dir) = (Split::Dev, 1, 0, None);
    let mut options = GeneratorOptions::default();
    let mut args = std::env::args().skip(1);
    while let Some(key) = args.next() {
        let value = args.next().ok_or(USAGE)?;
        match key.as_str() {
            "--split" => split = value.parse()?,
            "--count" => count = value.parse::<u64>()?,
            "--seed" => first = value.parse::<u64>()?,
            "--dialect" => options.wording = Dialect::named(&value)?.wording,
            "-o" => dir = Some(PathBuf::from(value)),
            _ => return Err(USAGE.into()),
        }
    }
    let dir = dir.ok_or(USAGE)?;
    for seed in first..first + count {
        let game = dir.join(format!("seed-{seed}"));
        fs_err::create_dir_all(&game)?;
        fs_err::write(game.join("game.tw-pddl"), generate(split, seed, &options).to_json()?)?;
    }
    Ok(())
}
