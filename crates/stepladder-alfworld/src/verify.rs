//! Replay of recorded episodes of the original.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde_json::{Value, json};
use stepladder_env::EnvError;
use stepladder_env::transcript::{Replay, Report, Row, Schema};

use crate::engine::Engine;
use crate::game::Game;
use crate::list::CommandList;
use crate::tasks::{GAMES_DIRECTORY, SPEC};

/// Fields of a transcript's rows.
const ROWS: Schema = Schema {
    first_steps: &[0],
    episode: &["game", "mode"],
    played: &["command"],
    required: &["observation", "reward", "done"],
    optional: &["won", "admissible"],
};

/// Replays a transcript and compares every row.
///
/// A row has `game` (a path below the official games of `data_root`, or else relative to the transcript), `step` (0
/// starts an episode) and `command`. `observation`, `reward` and `done` are required and compared; `won` and
/// `admissible` are compared where present.
///
/// # Errors
/// [`EnvError::Data`] with file and row if the transcript or one of its games cannot be read.
pub fn verify(path: &Path, data_root: Option<&Path>) -> Result<Report, EnvError> {
    let mut replay = Replay::new(SPEC.id, path);
    let mut player = Player { path, data_root, games: FxHashMap::default(), engine: None };
    let rows = replay.rows()?;
    for value in &rows {
        let row = replay.row(&ROWS, value)?;
        let found = player.play(&row)?;
        replay.compare(&row, row.text("game")?, found);
    }
    Ok(replay.finish())
}

struct Player<'a> {
    path: &'a Path,
    data_root: Option<&'a Path>,
    games: FxHashMap<String, Arc<Game>>,
    engine: Option<Engine>,
}

impl Player<'_> {
    fn play(&mut self, row: &Row<'_>) -> Result<Vec<(&'static str, Value)>, EnvError> {
        let name = row.text("game")?;
        let mut observation = String::new();
        let engine = if row.begins {
            row.plays_nothing("command")?;
            let game = self.game(row, name)?;
            self.engine.insert(Engine::new(game))
        } else {
            self.engine
                .as_mut()
                .ok_or_else(|| row.broken("no episode has begun; an episode begins with step 0"))?
        };
        let won = if row.begins {
            engine.write_intro(&mut observation);
            engine.won()
        } else {
            engine.step(row.text("command")?, &mut observation).won
        };
        let mut found = vec![
            ("observation", json!(observation)),
            ("reward", json!(if won && !row.begins { 1.0 } else { 0.0 })),
            ("done", json!(won && !row.begins)),
            ("won", json!(won)),
        ];
        if row.get("admissible").is_some() {
            let mut commands = CommandList::new();
            engine.admissible(&mut commands);
            found.push(("admissible", json!(commands.iter().collect::<Vec<_>>())));
        }
        Ok(found)
    }

    fn game(&mut self, row: &Row<'_>, name: &str) -> Result<Arc<Game>, EnvError> {
        if let Some(game) = self.games.get(name) {
            return Ok(game.clone());
        }
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let candidates: Vec<PathBuf> = self
            .data_root
            .map(|root| root.join(GAMES_DIRECTORY).join(name))
            .into_iter()
            .chain([folder.join(name)])
            .collect();
        let Some(path) = candidates.iter().find(|path| path.is_file()) else {
            let tried: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
            let reason = format!(
                "there is no game {}; name the data root with --data or STEPLADDER_DATA",
                tried.join(" nor ")
            );
            return Err(row.broken(reason));
        };
        let game = Arc::new(Game::load(path)?);
        self.games.insert(name.to_owned(), game.clone());
        Ok(game)
    }
}
