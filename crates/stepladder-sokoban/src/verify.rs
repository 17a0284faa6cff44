//! Replay of recorded episodes of the original implementations.

use std::path::Path;

use serde_json::{Value, json};
use stepladder_env::EnvError;
use stepladder_env::transcript::{Replay, Report, Row, Schema};

use crate::action::{Action, Variant};
use crate::board::{Board, BoardError, Tile};
use crate::episode::Episode;
use crate::frame::{Frame, Tiles};
use crate::tasks::SPEC;
use crate::text::Form;

/// gym-sokoban's step limit, used where a row has none.
const GYM_STEPS: u64 = 120;

/// Reason for a skipped `rgb_sha`.
const NO_TILES: &str = "rgb_sha (drawn with the original's own tiles: pass the folder `surface` of an installed gym-sokoban 0.0.6 as `--option tiles=DIR`)";

/// Fields that identify the episode of a row.
const EPISODE: &[&str] = &["dim", "boxes", "max_steps", "search_depth", "seed"];

/// Fields of verl-agent's rows, where observations are text.
const VERL_AGENT: Schema = Schema {
    first_steps: &[0],
    episode: EPISODE,
    played: &["action"],
    required: &["text", "reward", "done"],
    optional: &["room_fixed", "room_state", "won", "tiny_sha", "rgb_sha"],
};

/// Fields of gym-sokoban's rows.
const GYM: Schema = Schema {
    required: &["room_fixed", "room_state", "reward", "done"],
    optional: &["won", "tiny_sha", "rgb_sha"],
    ..VERL_AGENT
};

/// Replays a transcript and compares every row.
///
/// An episode whose first row has `text` is verl-agent's; one with `room_state` is gym-sokoban's. Step 0 starts the
/// episode on the board of its row; later steps play their `action`. `text` (or `room_fixed` and `room_state`),
/// `reward` and `done` are required in every row and compared. `won` and `tiny_sha` are compared where present,
/// `rgb_sha` too if the original's tiles are given.
///
/// # Errors
/// [`EnvError::Data`] with file and row if the transcript cannot be read or replayed, and if tiles are given but no row
/// has `rgb_sha`.
pub fn verify(path: &Path, tiles: Option<&Tiles>) -> Result<Report, EnvError> {
    let mut replay = Replay::new(SPEC.id, path);
    let mut playing: Option<(Variant, Episode)> = None;
    let rows = replay.rows()?;
    for value in &rows {
        let begins = value["step"] == 0;
        let variant = match &playing {
            Some((variant, _)) if !begins => *variant,
            _ if value.get("room_state").is_some() && value.get("text").is_none() => Variant::Gym,
            _ => Variant::VerlAgent,
        };
        let schema = if variant == Variant::Gym { &GYM } else { &VERL_AGENT };
        let row = replay.row(schema, value)?;
        let found = play(&mut playing, &row, variant, tiles)?;
        if tiles.is_none() && row.get("rgb_sha").is_some() {
            replay.skip(NO_TILES);
        }
        replay.compare(&row, &task(value), found);
    }
    let report = replay.finish();
    if tiles.is_some() && !report.compared_fields.contains_key("rgb_sha") {
        let reason = "no row has `rgb_sha`, so there is no picture to compare with these tiles".to_owned();
        return Err(EnvError::Data { path: path.to_owned(), reason });
    }
    Ok(report)
}

/// Name of the episode in a reported difference.
fn task(row: &Value) -> String {
    let part = |name: &str| row.get(name).map(|value| format!("{name} {value}"));
    ["dim", "boxes", "search_depth", "seed"].into_iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// Plays one row. Returns the value of every field that a row may have.
fn play(
    playing: &mut Option<(Variant, Episode)>,
    row: &Row<'_>,
    variant: Variant,
    tiles: Option<&Tiles>,
) -> Result<Vec<(&'static str, Value)>, EnvError> {
    let (now, reward, done, won) = if row.begins {
        row.plays_nothing("action")?;
        let board = start(row, variant).map_err(|reason| row.broken(reason))?;
        let limit = row.get("max_steps").map_or(Ok(GYM_STEPS), |_| row.whole("max_steps"))?;
        let limit = u32::try_from(limit).map_err(|_| row.broken("`max_steps` is too large"))?;
        let (_, begun) = playing.insert((variant, Episode::new(board, variant, limit)));
        (&*begun, 0.0, false, false)
    } else {
        let (_, episode) = playing
            .as_mut()
            .ok_or_else(|| row.broken("no episode has begun; an episode begins with step 0"))?;
        let number = row.whole("action")?;
        let action = Action::from_number(number, variant)
            .ok_or_else(|| row.broken(format!("action {number} does not exist in this rule set")))?;
        let outcome = episode.step(action);
        (&*episode, outcome.reward, outcome.done, outcome.won)
    };
    let board = now.board();
    let fixed = board.tiles().enumerate().map(|(number, tile)| match tile {
        Tile::Wall => 0,
        _ if board.targets().iter().any(|target| target.index() == number) => 2,
        _ => 1,
    });
    let state = board.tiles().map(|tile| (tile as u8).min(Tile::Player as u8));
    let mut fields = vec![
        ("text", json!(board.text(Form::VerlAgent))),
        ("room_fixed", matrix(fixed, board.cols())),
        ("room_state", matrix(state, board.cols())),
        ("reward", json!(reward)),
        ("done", json!(done)),
        ("won", json!(won)),
        ("tiny_sha", json!(Frame::tiny(board).sha1())),
    ];
    if let Some(tiles) = tiles {
        fields.push(("rgb_sha", json!(Frame::large(board, tiles).sha1())));
    }
    Ok(fields)
}

fn matrix(cells: impl Iterator<Item = u8>, cols: usize) -> Value {
    json!(cells.collect::<Vec<u8>>().chunks(cols).collect::<Vec<_>>())
}

/// Reads the board of a step-0 row.
fn start(row: &Row<'_>, variant: Variant) -> Result<Board, String> {
    if variant == Variant::VerlAgent {
        let text = row.get("text").and_then(Value::as_str).ok_or("`text` is not a string")?;
        return text.parse().map_err(|error: BoardError| format!("`text`: {error}"));
    }
    let numbers = |field: &str| -> Result<Vec<Vec<u64>>, String> {
        serde_json::from_value(row.get(field).cloned().unwrap_or_default())
            .map_err(|error| format!("`{field}`: {error}"))
    };
    let (fixed, state) = (numbers("room_fixed")?, numbers("room_state")?);
    let same_shape =
        fixed.len() == state.len() && fixed.iter().zip(&state).all(|(one, two)| one.len() == two.len());
    if !same_shape || state.iter().any(|line| line.len() != state[0].len()) {
        return Err("`room_fixed` and `room_state` are not rectangles of one shape".to_owned());
    }
    let cols = state.first().map_or(0, Vec::len);
    let mut tiles = Vec::new();
    for (state, fixed) in state.iter().flatten().zip(fixed.iter().flatten()) {
        tiles.push(match (state, fixed) {
            (5, 2) => Tile::PlayerOnTarget,
            (0..=5, _) => Tile::ALL[*state as usize],
            _ => return Err(format!("`room_state`: {}", BoardError::Unknown(state.to_string()))),
        });
    }
    Board::new(state.len(), cols, &tiles).map_err(|error| format!("`room_state`: {error}"))
}
