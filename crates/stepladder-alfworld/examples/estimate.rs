//! Counts the tables of the household generator over official training games: `cargo run --release -p
//! stepladder-alfworld --example estimate -- GAMES_DIR [-o FILE]`. The committed tables were counted over
//! `$STEPLADDER_DATA/alfworld/json_2.1.1/train`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rayon::prelude::*;
use stepladder_alfworld::generate::estimate;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("estimate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: estimate GAMES_DIR [-o FILE]")?;
    let output = match (args.next().as_deref(), args.next()) {
        (None, _) => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/generate/households.json")),
        (Some("-o"), Some(file)) => PathBuf::from(file),
        _ => return Err("usage: estimate GAMES_DIR [-o FILE]".into()),
    };
    let mut files = Vec::new();
    collect(Path::new(&dir), &mut files)?;
    files.sort();
    let problems: Vec<String> = files
        .par_iter()
        .map(|file| {
            let game: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(file)?)?;
            let problem = game["pddl_problem"].as_str().ok_or("no `pddl_problem`")?;
            Ok(problem.to_owned())
        })
        .collect::<Result<_, Box<dyn std::error::Error + Send + Sync>>>()
        .map_err(|error| error.to_string())?;
    let tables = estimate(problems.iter().map(String::as_str))?;
    fs_err::write(&output, tables.to_json()?)?;
    eprintln!("{} games counted into {}", tables.games, output.display());
    Ok(())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.file_name().is_some_and(|name| name == "game.tw-pddl") {
            files.push(path);
        }
    }
    Ok(())
}
