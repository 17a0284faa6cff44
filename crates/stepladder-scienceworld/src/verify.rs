//! Replay of recorded episodes of the original package.

use std::path::Path;

use serde_json::{Value, json};
use stepladder_env::EnvError;
use stepladder_env::transcript::{Replay, Report, Schema};

use crate::env::FIRST_ACTION;
use crate::instance::Instance;
use crate::pool::Pool;
use crate::spec::SPEC;

/// Tolerance for numbers: serde_json reads `0.39999999999999997` as 0.4.
const LAST_DIGIT: f64 = 1e-12;

/// Fields of a transcript row.
const ROWS: Schema = Schema {
    first_steps: &[0, 1],
    episode: &["task", "variation", "simplification"],
    played: &["command"],
    required: &["observation", "score", "done"],
    optional: &["look", "inventory", "moves", "description", "n_valid", "valid_hash", "valid"],
};

/// Replays a transcript and compares every row.
///
/// Step 1 starts the episode of its `task`, `variation` and `simplification`; every row plays its `command`.
/// An optional step 0 is the package's `reset`: a look around that counts as a move. Every row has
/// `observation`, `score` (the simulator's, 0 to 1) and `done`, which are compared. Compared where present:
/// `look`, `inventory`, `moves`, `n_valid`, `valid_hash` (Java's `List.hashCode` of the valid actions),
/// `valid` (the list itself) and `description`.
///
/// # Errors
/// [`EnvError::Data`] with the file and the row if the transcript is malformed; [`EnvError::Backend`] if the
/// simulator fails.
pub fn verify(path: &Path, pool: &Pool) -> Result<Report, EnvError> {
    let mut replay = Replay::new(SPEC.id, path).within(LAST_DIGIT);
    let mut instance = Instance::new(pool);
    let mut description = None;
    let rows = replay.rows()?;
    for value in &rows {
        let row = replay.row(&ROWS, value)?;
        let task = row.text("task")?;
        let variation =
            u32::try_from(row.whole("variation")?).map_err(|_| row.broken("`variation` is too large"))?;
        let simplification = row.get("simplification").map_or(Ok(""), |_| row.text("simplification"))?;
        let name = format!("{task}/{variation} ({simplification}), step {}", row.step);
        let failed =
            |failure: crate::failure::Failure| failure.into_env_error(&format!("row {}, {name}", row.number));
        if row.begins {
            description = Some(instance.load(task, variation, simplification).map_err(failed)?);
        }
        let command = match row.get("command") {
            None | Some(Value::Null) if row.step == 0 => FIRST_ACTION,
            _ => row.text("command")?,
        };
        let view = instance.step(command).map_err(failed)?;
        let mut found = vec![
            ("observation", json!(view.observation)),
            ("look", json!(view.look)),
            ("inventory", json!(view.inventory)),
            ("score", json!(view.score)),
            ("done", json!(view.completed)),
            ("moves", json!(view.moves)),
            ("description", json!(description)),
        ];
        if ["n_valid", "valid_hash", "valid"].iter().any(|field| row.get(field).is_some()) {
            // As recorded: the package's draws of names belong to the episode.
            let valid = instance.valid_as_packaged().map_err(failed)?.to_vec();
            found.push(("n_valid", json!(valid.len())));
            found.push(("valid_hash", json!(list_hash(&valid))));
            found.push(("valid", json!(valid)));
        }
        replay.compare(&row, &name, found);
    }
    Ok(replay.finish())
}

/// Computes Java's hash of a list of strings.
///
/// ```
/// use stepladder_scienceworld::verify::list_hash;
/// assert_eq!(list_hash(&["a".to_owned(), "bc".to_owned()]), (31 + 97) * 31 + (98 * 31 + 99));
/// assert_eq!(list_hash(&[]), 1);
/// ```
pub fn list_hash(list: &[String]) -> i32 {
    let hash = |text: &str| text.encode_utf16().fold(0i32, |hash, unit| next(hash, i32::from(unit)));
    list.iter().fold(1, |all, text| next(all, hash(text)))
}

fn next(hash: i32, part: i32) -> i32 {
    hash.wrapping_mul(31).wrapping_add(part)
}
