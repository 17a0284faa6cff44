//! `data status|get`: what the data root holds, and fetching.

use std::path::Path;

use anyhow::Result;

use super::{fetch, say};
use crate::cli::DataCommand;

/// Name, place below the data root, origin, licence.
const SETS: &[(&str, &str, &str, &str)] = &[
    (
        "alfworld",
        "alfworld/json_2.1.1",
        "json_2.1.3_tw-pddl.zip of the releases of github.com/alfworld/alfworld, unpacked there",
        "MIT",
    ),
    (
        "boxoban",
        "boxoban",
        "the folders unfiltered, medium and hard of github.com/google-deepmind/boxoban-levels (for sokoban)",
        "Apache-2.0",
    ),
    (
        "scienceworld",
        "scienceworld",
        "the package scienceworld on PyPI, versions 1.2.3 and 1.1.3: `stepladder data get scienceworld`",
        "Apache-2.0",
    ),
];

pub(super) fn run(command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Status { data } => status(data.as_deref()),
        DataCommand::Get { name, version, from, data } => {
            fetch::run(&name, version.as_deref(), from.as_deref(), data.as_deref())
        }
    }
}

fn status(data: Option<&Path>) -> Result<()> {
    match data {
        Some(root) => say(format_args!("data root: {}", root.display())),
        None => say("no data root: set STEPLADDER_DATA or pass --data DIR"),
    }
    for (name, place, origin, licence) in SETS {
        let found = data.map_or_else(|| "not looked for".to_owned(), |root| describe(&root.join(place)));
        say(format_args!(
            "{name}: {found}\n  place:   <data root>/{place}\n  origin:  {origin}\n  licence: {licence}"
        ));
    }
    Ok(())
}

fn describe(directory: &Path) -> String {
    let Ok(entries) = fs_err::read_dir(directory) else { return "absent".to_owned() };
    let mut splits: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| {
            let tasks = fs_err::read_dir(entry.path()).into_iter().flatten().count();
            format!("{} ({tasks} entries)", entry.file_name().to_string_lossy())
        })
        .collect();
    splits.sort();
    if splits.is_empty() { "empty".to_owned() } else { format!("present: {}", splits.join(", ")) }
}
