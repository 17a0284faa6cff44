//! `data status|get`: what the data root holds, and fetching.

use std::path::Path;

use anyhow::Result;
use stepladder_scienceworld::Jar;
use stepladder_scienceworld::jar::RELEASES;

use super::{fetch, say, scienceworld};
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
        let found = match data {
            None => "not looked for".to_owned(),
            Some(root) if *name == scienceworld::ID => simulators(root),
            Some(root) => describe(&root.join(place)),
        };
        say(format_args!(
            "{name}: {found}\n  place:   <data root>/{place}\n  origin:  {origin}\n  licence: {licence}"
        ));
    }
    Ok(())
}

/// Every version of the simulator that is there, and whether it is the published one.
fn simulators(root: &Path) -> String {
    let mut found = Vec::new();
    let mut problems = String::new();
    for release in &RELEASES {
        let jar = Jar::below(root, release.version);
        if !jar.file().exists() && !jar.types().exists() {
            continue;
        }
        match jar.check() {
            Ok(()) => found.push(format!("{} (whole)", release.version)),
            Err(failure) => {
                found.push(format!("{} (damaged)", release.version));
                problems.push_str(&format!("\n  damaged: {failure}"));
            }
        }
    }
    if found.is_empty() { "absent".to_owned() } else { format!("present: {}{problems}", found.join(", ")) }
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
