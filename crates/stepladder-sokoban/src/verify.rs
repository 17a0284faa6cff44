//! Replaying recorded episodes of the originals.

use std::path::Path;

use serde_json::{Value, json};
use stepladder_env::EnvError;
use stepladder_env::transcript::{Difference, Report, read_rows};

use crate::action::{Action, Variant};
use crate::board::{Board, BoardError, Tile};
use crate::episode::Episode;
use crate::frame::{Frame, Tiles};
use crate::tasks::SPEC;
use crate::text::Form;

/// gym-sokoban's step limit where a row names none.
const GYM_STEPS: u64 = 120;

/// What is said about `rgb_sha` without the original's tiles.
const NO_TILES: &str = "rgb_sha (drawn with the original's own tiles: name the folder `surface` of an installed gym-sokoban 0.0.6 with --tiles)";

/// Replays a transcript and compares every row.
///
/// A row with `text` is of verl-agent, one with `room_state` of gym-sokoban. Step 0 starts an episode on the board that
/// it shows; later steps play its `action`. Compared where present: `text`, `room_fixed`, `room_state`, `reward`, `done`,
/// `won`, `tiny_sha`, and `rgb_sha` if the original's tiles are given.
///
/// # Errors
/// [`EnvError::Data`] if the transcript cannot be read; the message names the file and the row.
pub fn verify(path: &Path, tiles: Option<&Tiles>) -> Result<Report, EnvError> {
    let mut report = Report::new(SPEC.id);
    let mut episode: Option<Episode> = None;
    for (index, row) in read_rows(path)?.iter().enumerate() {
        let broken = |reason: String| EnvError::Data {
            path: path.to_owned(),
            reason: format!("row {}: {reason}", index + 1),
        };
        let found = play(&mut episode, row, tiles).map_err(broken)?;
        if tiles.is_none() && row.get("rgb_sha").is_some() && report.skipped_fields.is_empty() {
            report.skipped_fields.push(NO_TILES.to_owned());
        }
        let difference = |(field, found): (&str, Value)| {
            let expected = row.get(field)?;
            let equal = match (expected.as_f64(), found.as_f64()) {
                (Some(one), Some(other)) => one == other,
                _ => *expected == found,
            };
            (!equal).then(|| Difference {
                file: path.display().to_string(),
                row: index + 1,
                task: task(row),
                field: field.to_owned(),
                expected: expected.clone(),
                found,
            })
        };
        report.row(found.into_iter().filter_map(difference).collect());
    }
    Ok(report)
}

/// How a difference names the episode.
fn task(row: &Value) -> String {
    let part = |name: &str| row.get(name).map(|value| format!("{name} {value}"));
    ["dim", "boxes", "search_depth", "seed"].into_iter().filter_map(part).collect::<Vec<_>>().join(", ")
}

/// Plays one row; gives every field that a row may hold.
fn play(
    episode: &mut Option<Episode>,
    row: &Value,
    tiles: Option<&Tiles>,
) -> Result<Vec<(&'static str, Value)>, String> {
    let variant = match (row.get("text"), row.get("room_state")) {
        (Some(_), _) => Variant::VerlAgent,
        (None, Some(_)) => Variant::Gym,
        (None, None) => return Err("neither `text` nor `room_state`".to_owned()),
    };
    let (now, reward, done, won) = match row["step"].as_u64().ok_or("no `step`")? {
        0 => {
            let board = start(row, variant)?;
            let limit =
                row.get("max_steps").map_or(Ok(GYM_STEPS), |limit| limit.as_u64().ok_or("no `max_steps`"))?;
            let limit = u32::try_from(limit).map_err(|_| "`max_steps` is too large")?;
            let begun = episode.insert(Episode::new(board, variant, limit));
            (&*begun, 0.0, false, false)
        }
        _ => {
            let playing = episode.as_mut().ok_or("the transcript does not begin with a step 0")?;
            let number = row["action"].as_u64().ok_or("no `action`")?;
            let action =
                Action::from_number(number, variant).ok_or(format!("there is no action {number}"))?;
            let outcome = playing.step(action);
            (&*playing, outcome.reward, outcome.done, outcome.won)
        }
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

/// The board of a step-0 row.
fn start(row: &Value, variant: Variant) -> Result<Board, String> {
    if variant == Variant::VerlAgent {
        let text = row["text"].as_str().ok_or("`text` is no text")?;
        return text.parse().map_err(|error: BoardError| format!("`text`: {error}"));
    }
    let numbers = |field: &str| -> Result<Vec<Vec<u64>>, String> {
        serde_json::from_value(row[field].clone()).map_err(|error| format!("`{field}`: {error}"))
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
