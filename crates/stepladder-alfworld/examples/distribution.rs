//! Compares official and generated games: `cargo run --release -p stepladder-alfworld --example distribution --
//! OFFICIAL_DIR [-o docs/households.md]` prints the tables (split `train`, the same number of games of both), or writes
//! them below the mark of a page.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rayon::prelude::*;
use stepladder_alfworld::generate::distribution::{Summary, report};
use stepladder_alfworld::generate::{GenerateError, GeneratorOptions, Split, generate};

/// Line of a page after which everything is replaced.
const MARK: &str = "<!-- what follows is written by the example `distribution` -->";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("distribution: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    const USAGE: &str = "usage: distribution OFFICIAL_DIR [-o FILE]";
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or(USAGE)?;
    let output = match (args.next().as_deref(), args.next()) {
        (None, _) => None,
        (Some("-o"), Some(file)) => Some(file),
        _ => return Err(USAGE.into()),
    };
    let mut files = Vec::new();
    collect(Path::new(&dir), &mut files)?;
    let mut official = Summary::default();
    for file in &files {
        let game: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(file)?)?;
        let problem = game["pddl_problem"].as_str().ok_or("no `pddl_problem`")?;
        official.add(problem, game["walkthrough"].as_array().map_or(0, Vec::len))?;
    }
    let number = u64::from(official.games);
    let text = report(
        ("official train", &official),
        ("generated train", &summarise(0..number)?),
        &summarise(number..2 * number)?,
    );
    let Some(file) = output else {
        std::io::stdout().write_all(text.as_bytes())?;
        return Ok(());
    };
    let page = fs_err::read_to_string(&file)?;
    let end = page.find(MARK).ok_or_else(|| format!("{file} has no line `{MARK}`"))? + MARK.len();
    fs_err::write(&file, format!("{}\n{text}", &page[..end]))?;
    Ok(())
}

fn summarise(seeds: std::ops::Range<u64>) -> Result<Summary, GenerateError> {
    let games: Vec<_> = seeds
        .into_par_iter()
        .map(|seed| generate(Split::Train, seed, &GeneratorOptions::default()))
        .collect();
    let mut summary = Summary::default();
    for game in &games {
        summary.add(&game.pddl_problem, game.walkthrough.len())?;
    }
    Ok(summary)
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
