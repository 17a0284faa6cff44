//! Replaying recorded episodes of the original.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use stepladder_env::EnvError;
use stepladder_env::transcript::{Difference, Report, read_rows};

use crate::engine::Engine;
use crate::game::Game;
use crate::list::CommandList;
use crate::tasks::{GAMES_DIRECTORY, SPEC};

/// Replays a transcript and compares every row.
///
/// A row names its `game` (a path below the official games of `data_root`, or else beside the transcript), its `step` (0
/// starts an episode) and its `command`; `observation`, `reward`, `done`, `won` and `admissible` are compared where present.
///
/// # Errors
/// [`EnvError::Data`] if the transcript or one of its games cannot be read; the message names the file and the row.
pub fn verify(path: &Path, data_root: Option<&Path>) -> Result<Report, EnvError> {
    let mut report = Report::new(SPEC.id);
    let mut replay = Replay { path, data_root, games: FxHashMap::default(), engine: None };
    for (index, row) in read_rows(path)?.iter().enumerate() {
        let differences = replay.row(index + 1, row)?;
        report.row(differences);
    }
    Ok(report)
}

struct Replay<'a> {
    path: &'a Path,
    data_root: Option<&'a Path>,
    games: FxHashMap<String, Arc<Game>>,
    engine: Option<Engine>,
}

impl Replay<'_> {
    fn broken(&self, row: usize, reason: impl std::fmt::Display) -> EnvError {
        EnvError::Data { path: self.path.to_owned(), reason: format!("row {row}: {reason}") }
    }

    fn row(&mut self, number: usize, row: &Value) -> Result<Vec<Difference>, EnvError> {
        let name = row["game"].as_str().ok_or_else(|| self.broken(number, "no `game`"))?;
        let step = row["step"].as_u64().ok_or_else(|| self.broken(number, "no `step`"))?;
        let mut observation = String::new();
        let won = if step == 0 {
            let game = self.game(number, name)?;
            let engine = self.engine.insert(Engine::new(game));
            engine.write_intro(&mut observation);
            engine.won()
        } else {
            let command = row["command"].as_str().ok_or_else(|| self.broken(number, "no `command`"))?;
            let Some(engine) = &mut self.engine else {
                return Err(self.broken(number, "the transcript does not begin with a step 0"));
            };
            engine.step(command, &mut observation).won
        };
        let mut differences = Vec::new();
        let mut compare = |field: &str, found: Value, equal: fn(&Value, &Value) -> bool| {
            let Some(expected) = row.get(field) else { return };
            if !equal(expected, &found) {
                differences.push(Difference {
                    file: self.path.display().to_string(),
                    row: number,
                    task: name.to_owned(),
                    field: field.to_owned(),
                    expected: expected.clone(),
                    found,
                });
            }
        };
        compare("observation", json!(observation), PartialEq::eq);
        compare("reward", json!(if won && step > 0 { 1.0 } else { 0.0 }), |a, b| a.as_f64() == b.as_f64());
        compare("done", json!(won && step > 0), PartialEq::eq);
        compare("won", json!(won), PartialEq::eq);
        if row.get("admissible").is_some()
            && let Some(engine) = &mut self.engine
        {
            let mut commands = CommandList::new();
            engine.admissible(&mut commands);
            compare("admissible", json!(commands.iter().collect::<Vec<_>>()), PartialEq::eq);
        }
        Ok(differences)
    }

    fn game(&mut self, row: usize, name: &str) -> Result<Arc<Game>, EnvError> {
        if let Some(game) = self.games.get(name) {
            return Ok(game.clone());
        }
        let beside = self.path.parent().unwrap_or(Path::new(""));
        let candidates: Vec<PathBuf> = self
            .data_root
            .map(|root| root.join(GAMES_DIRECTORY).join(name))
            .into_iter()
            .chain([beside.join(name)])
            .collect();
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            let tried: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
            let reason = format!(
                "there is no game {}; name the data root with --data or STEPLADDER_DATA",
                tried.join(" nor ")
            );
            return Err(self.broken(row, reason));
        };
        let game = Arc::new(Game::load(path)?);
        self.games.insert(name.to_owned(), game.clone());
        Ok(game)
    }
}
