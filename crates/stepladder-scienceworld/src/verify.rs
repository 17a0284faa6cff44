//! Replaying recorded episodes of the original.

use std::path::Path;

use serde_json::{Value, json};
use stepladder_env::EnvError;
use stepladder_env::transcript::{Difference, Report, read_rows};

use crate::env::FIRST_ACTION;
use crate::instance::Instance;
use crate::pool::Pool;
use crate::tasks::SPEC;

/// Numbers that differ by less are equal: reading `0.39999999999999997`, serde_json gives 0.4.
const LAST_DIGIT: f64 = 1e-12;

/// Replays a transcript and compares every row.
///
/// Step 1 starts the episode of its `task`, `variation` and `simplification`; every row plays its `command`. Step 0, if
/// there is one, is the package's `reset`: a look around that counts as a move. Compared where present: `observation`,
/// `look`, `inventory`, `score` (of the simulator, 0 to 1), `done`, `moves`, `n_valid` and `valid_hash` (Java's
/// `List.hashCode` of the valid actions), `valid` (the list itself), `description`.
///
/// # Errors
/// [`EnvError::Data`] if the transcript cannot be read; the message names the file and the row.
/// [`EnvError::Backend`] if the simulator fails.
pub fn verify(path: &Path, pool: &Pool) -> Result<Report, EnvError> {
    let mut report = Report::new(SPEC.id);
    let mut instance = Instance::new(pool);
    let mut description = None;
    let mut before = None;
    for (index, row) in read_rows(path)?.iter().enumerate() {
        let broken = |reason: &str| EnvError::Data {
            path: path.to_owned(),
            reason: format!("row {}: {reason}", index + 1),
        };
        let text = |field: &str| row[field].as_str().ok_or_else(|| broken(&format!("no `{field}`")));
        let task = text("task")?;
        let variation = row["variation"].as_u64().and_then(|number| u32::try_from(number).ok());
        let variation = variation.ok_or_else(|| broken("no `variation`"))?;
        let simplification = row["simplification"].as_str().unwrap_or_default();
        let name = format!("{task}/{variation} ({simplification}), step {}", row["step"]);
        let failed = |failure: crate::Failure| failure.into_env_error(&format!("row {}, {name}", index + 1));
        let step = row["step"].as_u64().ok_or_else(|| broken("no `step`"))?;
        if step == 0 || (step == 1 && before != Some(0)) {
            description = Some(instance.load(task, variation, simplification).map_err(failed)?);
        }
        before = Some(step);
        if description.is_none() {
            return Err(broken("the transcript does not begin with a step 0 or 1"));
        }
        let command =
            if step == 0 { row["command"].as_str().unwrap_or(FIRST_ACTION) } else { text("command")? };
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
            // As recorded: the lists' own draws belong to the episode.
            let valid = instance.valid_as_packaged().map_err(failed)?.to_vec();
            found.push(("n_valid", json!(valid.len())));
            found.push(("valid_hash", json!(list_hash(&valid))));
            found.push(("valid", json!(valid)));
        }
        let difference = |(field, found): (&str, Value)| {
            let expected = row.get(field)?;
            let equal = match (expected.as_f64(), found.as_f64()) {
                (Some(one), Some(other)) => (one - other).abs() <= LAST_DIGIT,
                _ => *expected == found,
            };
            (!equal).then(|| Difference {
                file: path.display().to_string(),
                row: index + 1,
                task: name.clone(),
                field: field.to_owned(),
                expected: expected.clone(),
                found,
            })
        };
        report.row(found.into_iter().filter_map(difference).collect());
    }
    Ok(report)
}

/// Java's hash of a list of strings.
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
