//! `data status|get`: status of the data root, and fetching.

use std::path::Path;

use anyhow::Result;
use stepladder_env::Family;
use stepladder_env::family::DataSet;

use super::{fetch, say};
use crate::cli::DataCommand;

pub(super) fn run(command: DataCommand) -> Result<()> {
    match command {
        DataCommand::Status { data } => {
            status(data.as_deref());
            Ok(())
        }
        DataCommand::Get { name, from, options, data } => {
            fetch::run(&name, &options.pairs, from.as_deref(), data.as_deref())
        }
    }
}

/// Lists official data sets with the families that read them.
pub(super) fn sets() -> impl Iterator<Item = (&'static Family, &'static DataSet)> {
    stepladder_families::all().into_iter().flat_map(|family| family.data.iter().map(move |set| (family, set)))
}

fn status(data: Option<&Path>) {
    match data {
        Some(root) => say(format_args!("data root: {}", root.display())),
        None => say("no data root: set STEPLADDER_DATA or pass --data DIR"),
    }
    for (_, set) in sets() {
        let state = data.map_or_else(|| "not checked".to_owned(), |root| (set.state)(root));
        say(format_args!(
            "{}: {state}\n  place:   <data root>/{}\n  origin:  {}\n  licence: {}",
            set.name, set.place, set.origin, set.licence
        ));
    }
}
