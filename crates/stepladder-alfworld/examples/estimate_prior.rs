//! Estimates the expert's search prior from the official training games without the held-out ones.
//!
//! `STEPLADDER_DATA=DIR cargo run -p stepladder-alfworld --example estimate_prior >
//! crates/stepladder-alfworld/src/expert/prior.tsv`
#![expect(clippy::disallowed_methods, reason = "the data root is named by the environment")]

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;
use stepladder_alfworld::expert::{Prior, prior::Stock};
use stepladder_alfworld::generate::read_problem;
use stepladder_alfworld::tasks::GAMES_DIRECTORY;
use stepladder_alfworld::{Alfworld, Options};
use stepladder_env::TaskSet;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = std::env::var_os("STEPLADDER_DATA").ok_or("set STEPLADDER_DATA to the data root")?;
    let root = PathBuf::from(root);
    let mut rooms = Vec::new();
    for task in Alfworld::new(&root, Options::default()).tasks("train")? {
        let path = root.join(GAMES_DIRECTORY).join(&task.id).join("game.tw-pddl");
        let game: Value = serde_json::from_str(&fs_err::read_to_string(path)?)?;
        let problem = game["pddl_problem"].as_str().ok_or("a game without pddl_problem")?;
        rooms.push(Stock::of_household(&read_problem(problem)?.0));
    }
    std::io::stdout().write_all(Prior::estimate(rooms).save().as_bytes())?;
    Ok(())
}
