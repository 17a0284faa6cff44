//! Loading of game files, official and generated.

use std::borrow::Cow;
use std::path::Path;

use serde::Deserialize;

use crate::build;
use crate::dialect::Dialect;
use crate::error::{FileError, GameError};
use crate::game::{Game, family_in};
use crate::problem::Problem;

/// A game file. Generated games have empty domain and grammar, and name their dialect and task instead.
#[derive(Deserialize)]
struct GameFile<'a> {
    #[serde(borrow)]
    pddl_domain: Cow<'a, str>,
    #[serde(borrow)]
    grammar: Cow<'a, str>,
    #[serde(borrow)]
    pddl_problem: Cow<'a, str>,
    #[serde(default)]
    walkthrough: Vec<String>,
    #[serde(default = "yes")]
    solvable: bool,
    dialect: Option<String>,
    task: Option<String>,
    family: Option<String>,
}

fn yes() -> bool {
    true
}

/// The part of `traj_data.json` with the task family.
#[derive(Deserialize)]
struct Trajectory {
    task_type: String,
}

impl Game {
    /// Loads a game file, official or generated.
    ///
    /// # Errors
    /// [`FileError`] with the file and the reason.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let wrap = |error| FileError { path: path.to_owned(), error };
        let text = std::str::from_utf8;
        let bytes = fs_err::read(path).map_err(|error| wrap(GameError::Read(plain(error))))?;
        let text = text(&bytes).map_err(|error| {
            wrap(GameError::Read(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))
        })?;
        let mut game = Self::from_json(text).map_err(wrap)?;
        if game.family.is_empty() {
            game.family = family_of(path).unwrap_or_else(|| "unknown".to_owned());
        }
        Ok(game)
    }

    /// Compiles the text of a game file. The family of an official game is not in its text and stays empty.
    ///
    /// # Errors
    /// [`GameError`] if the text is not a supported game.
    pub fn from_json(text: &str) -> Result<Self, GameError> {
        let file: GameFile<'_> = serde_json::from_str(text)?;
        let (dialect, task) = if file.pddl_domain.is_empty() && file.grammar.is_empty() {
            let why = "a game without domain and grammar text must name it";
            let dialect = file.dialect.as_deref().ok_or(GameError::MissingKey { key: "dialect", why })?;
            let task = file.task.ok_or(GameError::MissingKey { key: "task", why })?;
            (Dialect::named(dialect)?, task)
        } else {
            Dialect::recognise(&file.pddl_domain, &file.grammar)?
        };
        let lower = file.pddl_problem.to_ascii_lowercase();
        let metadata = build::Metadata {
            dialect,
            task,
            family: file.family.unwrap_or_default(),
            walkthrough: file.walkthrough,
            solvable: file.solvable,
        };
        build::game(&Problem::parse(&lower)?, metadata)
    }
}

/// Reduces an error to the operating system's reason; the message already names the path.
fn plain(error: std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or(error, std::io::Error::from_raw_os_error)
}

/// Returns the family of an official game: from the name of the task directory, otherwise from the trajectory file next
/// to the game.
fn family_of(path: &Path) -> Option<String> {
    let directory = path.parent()?;
    let task =
        directory.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    if let Some(family) = family_in(task) {
        return Some(family.to_owned());
    }
    let text = fs_err::read_to_string(directory.join("traj_data.json")).ok()?;
    serde_json::from_str::<Trajectory>(&text).ok().map(|trajectory| trajectory.task_type)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::Engine;
    use crate::list::CommandList;

    const KITCHEN: &str = include_str!("../tests/kitchen/kitchen.tw-pddl");

    proptest! {
        /// Damage to a game gives an error or another game, never a panic.
        #[test]
        fn damaged_games_do_not_panic(
            edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..3), 1..4),
        ) {
            let mut file: serde_json::Value = serde_json::from_str(KITCHEN).unwrap();
            let problem = file["pddl_problem"].as_str().unwrap();
            let mut words: Vec<String> = problem.split_inclusive(['(', ')', ' ']).map(str::to_owned).collect();
            for (one, other, kind) in edits {
                let (one, other) = (one.index(words.len()), other.index(words.len()));
                match kind {
                    0 => words.swap(one, other),
                    1 => words[one] = words[other].clone(),
                    _ => words.truncate(one.max(1)),
                }
            }
            file["pddl_problem"] = words.concat().into();
            if let Ok(game) = Game::from_json(&file.to_string()) {
                let mut engine = Engine::new(Arc::new(game));
                let (mut commands, mut text) = (CommandList::new(), String::new());
                engine.write_intro(&mut text);
                for choice in 0..20 {
                    engine.admissible(&mut commands);
                    let command = commands.get(choice * 7 % commands.len()).unwrap();
                    prop_assert!(engine.step(command, &mut text).possible, "{}", command);
                }
            }
        }
    }
}
